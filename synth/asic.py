# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The ASIC target: standard cells block by block, large memories left as macros, longest path before layout."""

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .designs import TOP, Design, write_rtl
from .gate_paths import longest_gate_path
from .liberty import YOSYS_GATES, Library
from .result import Result
from .sta import constraints_text, longest_path, sta_installed
from .tools import releases
from .yosys import run_yosys

MACRO_BITS = 1024
"""Bits from which a memory with clocked reads counts as a macro; smaller ones, and others, become flip-flops."""

DEPTH = 2
"""Blocks so deep in the hierarchy keep an area of their own; what is deeper is part of them."""

QUICK = "strash;dc2;&get,-n;&nf,{D};&put"
"""ABC script that does not look for equal nodes by SAT as yosys' own does, which for large sums takes very long."""

_MACRO = "$__macro"


def synthesise_asic(
    design: Design,
    library: Library = YOSYS_GATES,
    *,
    clock_mhz: float = 250,
    macro_bits: int = MACRO_BITS,
    quick: bool = False,
    keep: Path | None = None,
    advance: Callable[[str], None] = lambda _: None,
) -> Result:
    """Map a design to standard cells.

    Every block down to `DEPTH` is mapped on its own, so that each has an area; constants and what nothing reads are
    passed on between them. Initial values are dropped, as silicon has none. Read-only memories become logic.

    Parameters
    ----------
    design : Design
        With one clock.
    library : Library
        With Liberty text, or `YOSYS_GATES`, which have no delay.
    clock_mhz : float
        What gates are sized for; with `YOSYS_GATES` it says nothing.
    macro_bits : int
        As `MACRO_BITS`.
    quick : bool
        Map by `QUICK`, once, instead of twice as yosys does.
    keep : Path, optional
        Directory that exists, for netlist, constraints and yosys' log.
    advance : callable
        Called after each step with its name.

    Raises
    ------
    RuntimeError
        If a tool fails, with its last words; if the library lacks a cell that is needed.
    """
    with tempfile.TemporaryDirectory(prefix="ptychopress-synth-") as folder:
        directory = keep if keep is not None else Path(folder)
        files = []
        for number, text in enumerate(library.texts):
            files.append(f"cells_{number}.lib")
            (directory / files[-1]).write_text(text)
        blocks, macros = _read(design.component, macro_bits, directory)
        advance("memories")
        log = _map(library, files, blocks, macros, clock_mhz, quick, directory)
        (directory / "yosys.log").write_text(log)
        advance("cells")
        netlist = json.loads((directory / "net.json").read_text())["modules"]
        flat = json.loads((directory / "flat.json").read_text())["modules"][TOP]
        areas, memories = _by_place(netlist, library)
        path_ns, path, timing = None, "", {}
        if library.texts:
            path_ns, path, by = _longest_path(flat, library, files, clock_mhz, directory)
            timing = {"path by": by}
            advance("paths")
    nand2 = library.nand2.area
    return Result(
        design=design.name,
        configuration=design.configuration,
        target=f"asic {library.name}",
        tools=releases("ptychopress", "amaranth", "pyosys") | timing,
        options={"macro_bits": macro_bits}
        | ({"clock_mhz": clock_mhz} if library.texts else {})
        | ({"quick": True} if quick else {}),
        area=areas[""],
        area_unit=library.unit,
        gate_equivalents=areas[""] / nand2,
        memory_bits=memories,
        hierarchy={place: area / nand2 for place, area in areas.items()},
        path_ns=path_ns,
        critical_path=path,
        frame_clocks=design.frame_clocks,
    )


def _read(component: Any, macro_bits: int, directory: Path) -> tuple[list[str], list[str]]:
    """Leave the design in design.il, its memories as cells; return the modules to keep, and where the macros are."""
    read = write_rtl(component, directory)
    # Read-only memories are logic; the rest is looked at.
    commands = [*read, f"hierarchy -top {TOP}", "proc", "opt_clean", "opt_hier", "opt_clean", "memory -nomap"]
    commands += ["memory_map -rom-only", "write_json memories.json", "write_rtlil design.il"]
    run_yosys(commands, directory, "memories")
    modules = json.loads((directory / "memories.json").read_text())["modules"]
    macros = [
        f"{module}/{name}"
        for module, body in modules.items()
        for name, cell in body["cells"].items()
        if cell["type"] == "$mem_v2" and _bits(cell) >= macro_bits and _clocked(cell)
    ]
    level, blocks = [TOP], []
    for _ in range(DEPTH):
        level = [cell["type"] for name in level for cell in modules[name]["cells"].values() if cell["type"] in modules]
        blocks += level
    return blocks, macros


def _number(text: str) -> int:
    return int(text, 2)


def _bits(cell: Mapping[str, Any]) -> int:
    return _number(cell["parameters"]["SIZE"]) * _number(cell["parameters"]["WIDTH"])


def _clocked(cell: Mapping[str, Any]) -> bool:
    """Whether every port reads by the clock, as macros do."""
    parameters = cell["parameters"]
    ports = _number(parameters["RD_PORTS"])
    return parameters["RD_CLK_ENABLE"][-ports:] == "1" * ports


def _map(
    library: Library,
    files: list[str],
    blocks: list[str],
    macros: list[str],
    clock_mhz: float,
    quick: bool,
    directory: Path,
) -> str:
    """Map what is in design.il; leaves net.json, net.v and, without blocks, flat.json. Returns yosys' log."""
    liberty = " ".join(f"-liberty {file}" for file in files)
    if files:
        (directory / "abc.constr").write_text(f"set_driving_cell {library.inverter.name}\nset_load 10 [all_outputs]\n")
        # Sized for the clock, and no more.
        cells = f"{liberty} -D {1e6 / clock_mhz:.0f} -constr abc.constr"
        flip_flops = [f"dfflibmap {liberty}"] if any(cell.sequential for cell in library.cells.values()) else []
    else:
        cells, flip_flops = "-g cmos", ["dfflegalize -cell $_DFF_P_ x -cell $_DFF_N_ x"]
    if quick:
        cells += f" -script +{QUICK}{';buffer;upsize,{D};dnsize,{D}' if files else ''}"
    commands = ["read_rtlil design.il"]
    commands += [f"chtype -set {_MACRO} {place}" for place in macros]
    commands += [f"setattr -mod -set keep_hierarchy 1 {block}" for block in blocks]
    commands += [
        "flatten",
        f"synth -top {TOP} -run coarse:check{' -noabc' if quick else ''}",
        "setattr -unset init",
        *flip_flops,
        "opt_clean -purge",
        f"abc {cells}",
        "opt_clean -purge",
        "write_json net.json",
        "write_verilog -noattr -noexpr -simple-lhs net.v",
        "setattr -mod -unset keep_hierarchy",
        "flatten",
        "opt_clean -purge",
        "write_json flat.json",
    ]
    return run_yosys(commands, directory, "mapping" if quick else "mapping without --quick")


def _by_place(modules: Mapping[str, Any], library: Library) -> tuple[dict[str, float], dict[str, int]]:
    """Area of each block, those inside it among them, and bits of each macro, by place; "" is the whole."""
    areas: dict[str, float] = {}
    memories: dict[str, int] = {}

    def visit(module: str, place: str) -> float:
        total = 0.0
        for name, cell in modules[module]["cells"].items():
            kind, here = cell["type"], f"{place}.{name}".lstrip(".")
            if kind == _MACRO:
                # A module of block memories holds one memory and nothing else of note.
                memories[here.removesuffix(f".{name}") if name.startswith("$") else here] = _bits(cell)
            elif kind in modules:
                total += visit(kind, here)
            elif kind in library.cells:
                total += library.cells[kind].area
            elif kind != "$scopeinfo":
                raise RuntimeError(f"library {library.name} has no area for {kind}")
        areas[place] = total
        return total

    visit(TOP, "")
    return dict(sorted(areas.items())), memories


def _longest_path(
    flat: Mapping[str, Any], library: Library, files: list[str], clock_mhz: float, directory: Path
) -> tuple[float | None, str, str]:
    """Longest path, ns, its parts, and by which program: OpenSTA's where it is and takes the library, or else ABC's."""
    by = "abc"
    if sta_installed():
        clock = "aclk" if "aclk" in flat["ports"] else "clk"
        opened = _without_macros(flat)
        (directory / "net.sdc").write_text(constraints_text(opened, clock, clock_mhz))
        (directory / "sta.json").write_text(json.dumps({"modules": {TOP: opened}}))
        run_yosys(["read_json sta.json", "write_verilog -noattr -noexpr -simple-lhs sta.v"], directory, "timing")
        try:
            path_ns, path, version = longest_path(files, "sta.v", "net.sdc", TOP, directory)
            return path_ns, path, f"OpenSTA {version}"
        except RuntimeError as error:
            # It asks more of a library than mapping does.
            by = f"abc, {error}"
    return *longest_gate_path(flat, library, files, directory), by


def _without_macros(module: Mapping[str, Any]) -> dict[str, Any]:
    """A flat module whose macros' pins are ports, so that paths from and to them count, and take no time in them."""
    ports, cells = dict(module["ports"]), {}
    for number, (name, cell) in enumerate(module["cells"].items()):
        if cell["type"] != _MACRO:
            # Yosys numbers cells afresh whose names are its own; the block's name says where a path runs.
            block = "".join(f"{inner}." for inner in re.findall(r"\\([^.\\]+)\.", name))
            cells[f"{block}cell_{number}"] = cell
            continue
        for pin, bits in cell["connections"].items():
            if bits and not pin.endswith("_CLK"):
                way = "input" if pin == "RD_DATA" else "output"
                # Yosys has an enable for each bit of a word, a macro as many as there are.
                ports[f"macro_{number}_{pin}"] = {"direction": way, "bits": list(dict.fromkeys(bits))}
    # Of names OpenSTA takes no signed ones.
    return {**module, "ports": ports, "cells": cells, "netnames": {}}
