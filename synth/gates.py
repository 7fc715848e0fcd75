# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Mapped netlists in Verilog with models of their cells: what gate-level simulation, equivalence and power start from.

They are made of the Verilog that a user gets, not of what it was made of. Models of a library's cells are written from
the functions in its Liberty file; those of an ECP5 are read from yosys' own installation.
"""

import importlib.util
import json
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..hdl.verilog import ecp5_models
from .liberty import YOSYS_GATES, Cell, Library
from .yosys import run_yosys


@dataclass(frozen=True)
class Netlist:
    """A module as cells of a target.

    Parameters
    ----------
    top : str
        Name of the module.
    verilog : str
        The module, flat; with bits of buses for ports, and else one wire a net.
    models : str
        Modules of the cells that occur in it, for simulation.
    cells : dict of str to int
        How many there are of each kind.
    """

    top: str
    verilog: str = field(repr=False)
    models: str = field(repr=False)
    cells: dict[str, int]

    @property
    def text(self) -> str:
        """The module and the models: complete Verilog."""
        return f"{self.verilog}\n{self.models}"


def asic_netlist(verilog: str, top: str, library: Library = YOSYS_GATES) -> Netlist:
    """Map Verilog to standard cells, as yosys and ABC do by default.

    Initial values are dropped, as silicon has none: in simulation every flip-flop starts unknown. Memories become
    flip-flops.

    Parameters
    ----------
    verilog : str
    top : str
        Name of the top module.
    library : Library
        With a Liberty text, or `YOSYS_GATES`.

    Raises
    ------
    RuntimeError
        If yosys fails, or uses a cell of which the library states no function.
    """
    files = {f"cells_{number}.lib": text for number, text in enumerate(library.texts)}
    flip_flops, cells = "dfflegalize -cell $_DFF_P_ x -cell $_DFF_N_ x", "-g cmos"
    if files:
        cells = " ".join(f"-liberty {name}" for name in files)
        flip_flops = f"dfflibmap {cells}"
    text, counts = _mapped(
        verilog,
        top,
        [
            "proc",
            "setattr -unset init",
            f"synth -flatten -booth -nofsm -top {top}",
            "setattr -unset init",
            flip_flops,
            f"abc {cells}",
            "opt_clean",
        ],
        files,
    )
    return Netlist(top, text, cell_models(library, counts), counts)


def ecp5_netlist(verilog: str, top: str) -> Netlist:
    """Map Verilog to cells of a Lattice ECP5 by ``synth_ecp5``.

    Raises
    ------
    RuntimeError
        If yosys fails, or uses a cell without a model.
    """
    text, counts = _mapped(verilog, top, [f"synth_ecp5 -top {top}"], {})
    return Netlist(top, text, _ecp5_models(counts), counts)


def cell_models(library: Library, names: Iterable[str], *, delayed: bool = False) -> str:
    """Verilog modules of cells of a library, from their functions. A flip-flop starts unknown.

    Parameters
    ----------
    library : Library
    names : iterable of str
    delayed : bool
        Every output comes a unit of time after what it comes from; else at once.

    Raises
    ------
    RuntimeError
        For a cell that the library does not have, or of which it states no function.
    """
    return "\n".join(_cell_model(library, name, delayed) for name in sorted(names))


def _cell_model(library: Library, name: str, delayed: bool) -> str:
    cell = library.cells.get(name, Cell(name, 0, {}))
    state = cell.flip_flop
    if not cell.functions or (cell.sequential and state is None):
        raise RuntimeError(f"library {library.name} states no function of cell {name}: it cannot be simulated")
    assign = "assign #1" if delayed else "assign"
    lines = [f"  {assign} {pin} = {function.verilog};" for pin, function in cell.functions.items()]
    functions, inner = list(cell.functions.values()), set()
    if state is not None:
        inner = {state.state, state.inverse}
        # Each on a wire of its own: yosys reads no edge of an expression.
        edges = {"clocked_on": state.clocked_on, "clear": state.clear, "preset": state.preset}
        wires = {f"{state.state}_{name}": function for name, function in edges.items() if function is not None}
        held = [(wire, int(wire.endswith("preset"))) for wire in list(wires)[1:]]
        choices = "".join(f"if ({wire}) {state.state} <= 1'b{value}; else " for wire, value in held)
        functions += [*wires.values(), state.next_state]
        lines += [
            *(f"  wire {wire} = {function.verilog};" for wire, function in wires.items()),
            f"  reg {state.state};",
            f"  wire {state.inverse} = ~{state.state};",
            f"  always @({' or '.join(f'posedge {wire}' for wire in wires)})",
            f"    {choices}{state.state} <= {state.next_state.verilog};",
        ]
    inputs = dict.fromkeys(pin for function in functions for pin in function.inputs if pin not in inner)
    ports = [*(f"input {pin}" for pin in inputs), *(f"output {pin}" for pin in cell.functions)]
    return "\n".join([f"module \\{name} ({', '.join(ports)});", *lines, "endmodule\n"])


def _mapped(verilog: str, top: str, commands: list[str], files: dict[str, str]) -> tuple[str, dict[str, int]]:
    """Text of the netlist, and its cells by kind."""
    with tempfile.TemporaryDirectory(prefix="ptychopress-gates-") as folder:
        directory = Path(folder)
        for name, text in ({"rtl.v": verilog} | files).items():
            (directory / name).write_text(text)
        run_yosys(
            [
                "read_verilog rtl.v",
                *commands,
                "delete t:$scopeinfo",
                "setundef -zero",
                "write_verilog -noattr -noexpr -simple-lhs net.v",
                "tee -q -o stat.json stat -json",
            ],
            directory,
            f"synthesis of {top}",
        )
        stat = (directory / "stat.json").read_text()
        counts = json.loads(stat[stat.index("{") :])["design"]["num_cells_by_type"]
        return (directory / "net.v").read_text(), counts


def _ecp5_models(names: Iterable[str]) -> str:
    """Models of cells of an ECP5: those of yosys' installation, and of what has none there our own."""
    spec = importlib.util.find_spec("pyosys")
    assert spec is not None and spec.origin is not None
    share = Path(spec.origin).parent / "share" / "ecp5"
    known: dict[str, str] = {}
    for text in (
        *((share / name).read_text() for name in ("common_sim.vh", "ccu2c_sim.vh")),
        ecp5_models(),
    ):
        known |= {match[1]: match[0] for match in re.finditer(r"^module (\w+) *[#(].*?^endmodule", text, re.M | re.S)}
    chosen: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in chosen:
            continue
        if name not in known:
            raise RuntimeError(f"there is no model of the ECP5's cell {name}: it cannot be simulated")
        chosen[name] = known[name]
        waiting += [inner for inner in known if re.search(rf"^\s*{inner} +#?\(", known[name], re.M)]
    return "\n".join(chosen[name] for name in sorted(chosen)) + "\n"
