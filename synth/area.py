# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Area of a block in standard cells, and the proof by simulation that the cells are the block.

Yosys turns the block into logic and ABC maps it, once by each of a fixed list of scripts: ABC's heuristics differ by
more than most designs do, so structures are compared by the best of the same list. No placement, no wires, no sizing.
"""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.back import rtlil
from amaranth.sim import Simulator
from numpy.typing import NDArray

from .liberty import YOSYS_GATES, Library
from .yosys import run_yosys

_MAP_AGAIN = "dch;amap,-m;strash;"
_RESUBSTITUTE = "resub,-K,6,-l;rewrite,-l;resub,-K,8,-N,2,-l;refactor,-l;resub,-K,12,-N,3,-l;balance,-l;"
_RESYNTHESISE = "mfs3,-a,-e,-z,-H,8,-R,4,-F,100"

SCRIPTS: dict[str, str] = {
    "default": "strash;&get,-n;&fraig,-x;&put;scorr;dc2;dretime;strash;&get,-n;&dch,-f;&nf;&put",
    "map": "strash;dch;map,-a",
    "amap": "strash;amap,-m",
    "amap2": f"strash;{_MAP_AGAIN}dch;amap,-m",
    "amap4": f"strash;{_MAP_AGAIN * 3}dch;amap,-m",
    "amap7": f"strash;{_MAP_AGAIN * 6}dch;amap,-m",
    "map5": f"strash;{'dch;map,-a;strash;' * 4}dch;map,-a",
    "f-amap2": "strash;dch,-f;amap,-m;strash;dch,-f;amap,-m",
    "rs-amap1": f"strash;{_RESUBSTITUTE}{_MAP_AGAIN}dch;amap,-m",
    "rs-amap2": f"strash;{(_RESUBSTITUTE + _MAP_AGAIN) * 2}dch;amap,-m",
    "dc2-amap5": f"strash;{'dc2;dch;amap,-m;strash;' * 4}dc2;dch;amap,-m",
    "mfs3": f"strash;{f'amap,-m;{_RESYNTHESISE};{_RESYNTHESISE},-r;strash;dch;' * 3}"
    f"amap,-m;{_RESYNTHESISE};{_RESYNTHESISE},-r",
}
"""ABC scripts by name, as yosys' ``abc -script +`` takes them: commas for blanks. The first is yosys' own."""

_TOP = "top"
_CELLS = "cells.lib"


@dataclass(frozen=True)
class Mapped:
    """A block in standard cells.

    Parameters
    ----------
    script : str
        Name of the ABC script.
    area : float
        Area of all cells, in the library's unit.
    gate_equivalents : float
        Area over that of the library's smallest two-input NAND.
    cells : int
        Number of cells.
    delay_ps : float or None
        Longest path by ABC's static timing, without drive, load or wires; None without a Liberty file.
    netlist : dict
        The flat module as yosys' ``write_json`` has it.
    """

    script: str
    area: float
    gate_equivalents: float
    cells: int
    delay_ps: float | None
    netlist: dict[str, Any] = field(repr=False, compare=False)


def map_component(
    component: Any, library: Library = YOSYS_GATES, scripts: Mapping[str, str] = SCRIPTS
) -> Iterator[Mapped]:
    """Map an Amaranth component by each script in turn, and hand out each result as it comes.

    Parameters
    ----------
    component : amaranth.lib.wiring.Component
        Combinational or clocked. Initial values are dropped, as silicon has none; memories become flip-flops.
    library : Library
        With Liberty text: its flip-flops and cells. `YOSYS_GATES`: static CMOS gates, area in transistors by
        yosys' ``stat -tech cmos``.
    scripts : dict of str to str
        ABC scripts by name.

    Raises
    ------
    RuntimeError
        If a script fails, naming it and yosys' last words.
    """
    text = rtlil.convert(component, name=_TOP, emit_src=False)
    for name, script in scripts.items():
        yield _map(text, library, name, script)


def _map(text: str, library: Library, name: str, script: str) -> Mapped:
    if library.text is None:
        flip_flops = "dfflegalize -cell $_DFF_P_ x -cell $_DFF_N_ x"
        cells, stat = "-g cmos", "stat -json -tech cmos"
        delay = ""
    else:
        flip_flops = f"dfflibmap -liberty {_CELLS}"
        cells, stat = f"-liberty {_CELLS}", f"stat -json -liberty {_CELLS}"
        delay = ";topo;stime"
    commands = [
        "read_rtlil top.il",
        f"synth -flatten -top {_TOP}",
        "setattr -unset init",
        *([flip_flops] if _has_flip_flops(library) else []),
        f"abc {cells} -script +{script}{delay}",
        "opt_clean -purge",
        f"tee -q -o stat.json {stat}",
        "write_json net.json",
    ]
    with tempfile.TemporaryDirectory(prefix="ptychopress-area-") as folder:
        directory = Path(folder)
        (directory / "top.il").write_text(text)
        if library.text is not None:
            (directory / _CELLS).write_text(library.text)
        said = run_yosys(commands, directory, f"abc script {name}")
        stat_text = (directory / "stat.json").read_text()
        figures = json.loads(stat_text[stat_text.index("{") :])["modules"][f"\\{_TOP}"]
        netlist = json.loads((directory / "net.json").read_text())["modules"][_TOP]
    unknown = sorted({cell["type"] for cell in netlist["cells"].values()} - library.cells.keys())
    if unknown:
        raise RuntimeError(f"abc script {name}: library {library.name} has no area for {', '.join(unknown)}")
    area = float(figures["estimated_num_transistors"] if library.text is None else figures.get("area", 0.0))
    delays = re.findall(r"Delay\s*=\s*([\d.]+)\s*ps", said)
    delay_ps = float(delays[-1]) if delays else None
    return Mapped(name, area, area / library.nand2.area, len(netlist["cells"]), delay_ps, netlist)


def _has_flip_flops(library: Library) -> bool:
    return any(cell.sequential for cell in library.cells.values())


def simulate_netlist(
    netlist: Mapping[str, Any], library: Library, inputs: Mapping[str, NDArray[np.integer[Any]]]
) -> dict[str, NDArray[np.int64]]:
    """Outputs of a combinational netlist, by the functions of its cells.

    Parameters
    ----------
    netlist : dict
        As `Mapped.netlist`.
    library : Library
    inputs : dict of str to ndarray of int
        Value of each input port, all of one shape.

    Returns
    -------
    dict of str to ndarray
        Value of each output port, int64, the shape of the inputs.

    Raises
    ------
    ValueError
        If the netlist holds a state, a loop, an undriven net, or a cell that the library does not know.
    """
    for kind in {cell["type"] for cell in netlist["cells"].values()}:
        if kind not in library.cells or library.cells[kind].sequential:
            raise ValueError(f"cell {kind} is not a combinational cell of library {library.name}")
    ports = netlist["ports"]
    nets: dict[int | str, NDArray[np.bool_]] = {"0": np.asarray(False), "1": np.asarray(True)}
    for name, port in ports.items():
        if port["direction"] == "input":
            nets |= {bit: (inputs[name] >> place & 1).astype(np.bool_) for place, bit in enumerate(port["bits"])}
    waiting = [
        (cell["type"], {pin: bits[0] for pin, bits in cell["connections"].items()})
        for cell in netlist["cells"].values()
    ]
    while waiting:
        stuck = []
        for kind, pins in waiting:
            functions = library.cells[kind].functions
            if any(bit not in nets for pin, bit in pins.items() if pin not in functions):
                stuck.append((kind, pins))
                continue
            values = {pin: nets[bit] for pin, bit in pins.items() if pin not in functions}
            nets |= {pins[pin]: function(values) for pin, function in functions.items() if pin in pins}
        if len(stuck) == len(waiting):
            raise ValueError(f"{len(stuck)} cells have an undriven input or form a loop, the first is a {stuck[0][0]}")
        waiting = stuck
    shape = np.broadcast_shapes(*(value.shape for value in inputs.values()))
    outputs = {}
    for name, port in ports.items():
        if port["direction"] == "output":
            value = np.zeros(shape, np.int64)
            for place, bit in enumerate(port["bits"]):
                if bit not in nets:
                    raise ValueError(f"output {name}[{place}] is not driven")
                value |= nets[bit].astype(np.int64) << place
            outputs[name] = value
    return outputs


def netlist_codes(mapped: Mapped, library: Library, count_bits: int) -> NDArray[np.int64]:
    """Code of every count by a mapped encoder core with ports ``count`` and ``code``, int64 (2**count_bits,)."""
    return simulate_netlist(mapped.netlist, library, {"count": np.arange(1 << count_bits)})["code"]


def rtl_codes(component: Any) -> NDArray[np.int64]:
    """Code of every count by the RTL of a combinational core, simulated by Amaranth, int64 (2**count_bits,)."""
    codes = np.zeros(1 << len(component.count), np.int64)

    async def bench(ctx: Any) -> None:
        for count in range(len(codes)):
            ctx.set(component.count, count)
            codes[count] = ctx.get(component.code)

    simulator = Simulator(component)
    simulator.add_testbench(bench)
    simulator.run()
    return codes
