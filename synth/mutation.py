# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Mutants of a block: one wrong bit each, planted by yosys, and the proof that a mutant is none.

All mutants are in one netlist, behind a port that selects one; at 0 the block is as it was. A mutant that no input
can tell from the block is proven to be equal by ABC, for all times.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any, Literal

from amaranth.back import rtlil

from ..hdl.verilog import VerilogTarget, block_memory_text
from .yosys import run_yosys

Equality = Literal["equal", "different", "unknown"]

SELECT = "mutant"
"""Port that selects a mutant."""

_CONSTANTS: dict[int, Equality] = {0: "equal", 1: "different"}
_TOP = "dut"
_NETLIST = "mutants.il"


@dataclass(frozen=True)
class Mutation:
    """A wrong bit.

    Parameters
    ----------
    number : int
        Value of the port `SELECT`.
    mode : str
        inv: inverted; const0, const1: stuck; cnot0, cnot1: inverted while another bit of the port is 0, or 1.
    module, cell, port : str
    bit : int
    other : int or None
        The other bit, for cnot0 and cnot1.
    sources : tuple of str
        File and line of what made the cell.
    """

    number: int
    mode: str
    module: str
    cell: str
    port: str
    bit: int
    other: int | None
    sources: tuple[str, ...]

    def __str__(self) -> str:
        """One line that says where it is."""
        other = "" if self.other is None else f" by bit {self.other}"
        return f"{self.mode} {self.module} {self.cell}.{self.port}[{self.bit}]{other} ({', '.join(self.sources)})"

    @property
    def command(self) -> str:
        """What plants it."""
        other = "" if self.other is None else f" -ctrlbit {self.other}"
        where = f"-module {self.module} -cell {self.cell} -port {self.port} -portbit {self.bit}{other}"
        return f"mutate -mode {self.mode} {where}"


@dataclass(frozen=True)
class Mutants:
    """A netlist with mutants.

    Parameters
    ----------
    mutations : tuple of Mutation
    verilog : str
        Module ``dut`` with the port `SELECT`.
    netlist : str
        The same as yosys' RTLIL.
    """

    mutations: tuple[Mutation, ...]
    verilog: str
    netlist: str

    @property
    def select_bits(self) -> int:
        """Width of the port `SELECT`."""
        return len(self.mutations).bit_length()


def plant(top: Any, count: int, seed: int = 1, modules: str = "*") -> Mutants:
    """Plant mutants all over a block, evenly over modules, cells and lines as yosys' ``mutate`` has it.

    Parameters
    ----------
    top : amaranth.lib.wiring.Component
    count : int
    seed : int
    modules : str
        Pattern of the names of the modules to plant in, as yosys selects them.
    """
    target = VerilogTarget(_TOP)
    text = rtlil.convert(top, name=_TOP, platform=target)
    read = ["read_rtlil top.il"]
    if target.block_memory in text:
        read.append("read_verilog memory.v")
    # A flip-flop whose output is spoilt would lose its initial value: all of them start at 0, with inverters behind.
    read += [f"hierarchy -top {_TOP}", "proc", "memory_collect", "opt_clean", "zinit -all", "setattr -unset init w:*"]
    with tempfile.TemporaryDirectory(prefix="ptychopress-mutants-") as name:
        directory = Path(name)
        (directory / "top.il").write_text(text)
        (directory / "memory.v").write_text(block_memory_text(target))
        listed = f"mutate -list {count} -seed {seed} -o list.txt {modules}"
        run_yosys([*read, "write_rtlil plain.il", listed], directory, "mutation")
        lines = (directory / "list.txt").read_text().splitlines()
        mutations = tuple(_parsed(number, line) for number, line in enumerate(lines, start=1))
        ctrl = f"-ctrl {SELECT} {len(mutations).bit_length()}"
        planting = [f"{mutation.command} {ctrl} {mutation.number}" for mutation in mutations]
        # The second time for initial values that stand at another name of a flip-flop's output.
        written = ["opt_clean", "setundef -init -zero", "opt_clean"]
        written += ["write_verilog -noattr mutants.v", f"write_rtlil {_NETLIST}"]
        run_yosys(["read_rtlil plain.il", *planting, *written], directory, "mutation")
        return Mutants(mutations, (directory / "mutants.v").read_text(), (directory / _NETLIST).read_text())


def equal(mutants: Mutants, number: int, seconds: int = 60) -> Equality:
    """Whether a mutant is equal to the block, for all inputs and all times from power-up on.

    The data of a stream, or of an answer on AXI, are compared while they are valid: without, they mean nothing.

    Parameters
    ----------
    mutants : Mutants
    number : int
        Of the mutation.
    seconds : int
        Time for each run of ABC.
    """
    module = mutants.mutations[number - 1].module if number else _TOP
    # The smaller question first: a module that is equal by itself makes the block equal, one that differs need not
    # make it differ. Modules with parameters have names that Verilog cannot write.
    if module != _TOP and not module.startswith("$") and _compared(mutants, number, module, seconds) == "equal":
        return "equal"
    return _compared(mutants, number, _TOP, seconds)


def _compared(mutants: Mutants, number: int, module: str, seconds: int) -> Equality:
    """Compare a module of the block with that of the mutant; of the block itself, data without valid are left out."""
    with tempfile.TemporaryDirectory(prefix="ptychopress-equal-") as name:
        directory = Path(name)
        (directory / _NETLIST).write_text(mutants.netlist)
        (directory / "miter.v").write_text(_miter(mutants, number, module))
        commands = [f"read_rtlil {_NETLIST}", "read_verilog miter.v", "hierarchy -top miter", "proc", "flatten"]
        commands += ["opt", "memory_map", "opt", "setundef -undriven -init -zero", "techmap", "opt", "dffunmap"]
        commands += ["setundef -zero", "aigmap", "opt_clean", "write_aiger -zinit miter.aig"]
        run_yosys(commands, directory, "equality")
        try:
            # Signal correspondence settles most; property-directed reachability refuses what has no state left.
            _run_abc(
                directory, "read_aiger miter.aig; strash; scorr; strash; scorr -F 4; write_aiger less.aig", seconds
            )
            output = _output(directory / "less.aig")
            if output in _CONSTANTS:
                return _CONSTANTS[output]
            said = _run_abc(directory, f"read_aiger less.aig; strash; pdr -T {seconds}", seconds + 10)
        except subprocess.TimeoutExpired:
            return "unknown"
    if "Property proved" in said:
        return "equal"
    return "different" if "was asserted in frame" in said else "unknown"


def _run_abc(directory: Path, script: str, seconds: int) -> str:
    spec = util.find_spec("pyosys")
    assert spec is not None and spec.submodule_search_locations
    command = [Path(spec.submodule_search_locations[0]) / "yosys-abc", "-q", script]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True, timeout=seconds).stdout


def _output(path: Path) -> int:
    """Literal of the only output of an AIGER file: 0 and 1 are constants."""
    lines = path.read_bytes().split(b"\n")
    latches = int(lines[0].split()[3])
    return int(lines[1 + latches])


def _miter(mutants: Mutants, number: int, module: str) -> str:
    """Verilog of a module whose one output says that two copies of a module differ, one with a mutant selected."""
    ports = _ports(mutants.netlist, module)
    outputs = [name for name, (_, direction) in ports.items() if direction == "output"]
    wires = {name: k for k, name in enumerate(name for name in ports if name != SELECT)}
    lines: list[str] = []
    differ: list[str] = []
    connections: dict[str, list[str]] = {"gold": [], "gate": []}
    for name, k in wires.items():
        width, direction = ports[name]
        for copy, links in connections.items():
            wire = f"in_{k}" if direction == "input" else f"{copy}_{k}"
            links.append(f".\\{name} ({wire})")
        if direction == "input":
            lines.append(f"  input [{width - 1}:0] in_{k};")
            continue
        lines += [f"  wire [{width - 1}:0] {copy}_{k};" for copy in connections]
        valid = _valid(name, outputs) if module == _TOP else None
        seen = f" & {{{width}{{gold_{wires[valid]}}}}}" if valid else ""
        differ.append(f"|((gold_{k} ^ gate_{k}){seen})")
    for copy, value in (("gold", 0), ("gate", number)):
        select = f".{SELECT}({mutants.select_bits}'d{value})" if SELECT in ports else ""
        lines.append(f"  \\{module}  {copy}({', '.join([*filter(None, [select]), *connections[copy]])});")
    inputs = [f"in_{k}" for name, k in wires.items() if ports[name][1] == "input"]
    header = f"module miter({', '.join([*inputs, 'bad'])});"
    return "\n".join([header, *lines, "  output bad;", f"  assign bad = {' | '.join(differ)};", "endmodule", ""])


def _ports(netlist: str, name: str) -> dict[str, tuple[int, str]]:
    """Width and direction of the ports of a module."""
    module = re.search(rf"^module \\{re.escape(name)}\n(.*?)^end$", netlist, re.MULTILINE | re.DOTALL)
    assert module is not None
    wires = re.findall(r"^  wire (?:width (\d+) )?(input|output) \d+(?: signed)? \\(\S+)$", module[1], re.MULTILINE)
    return {port: (int(width or 1), direction) for width, direction, port in wires}


def _valid(name: str, outputs: list[str]) -> str | None:
    """Output that says when this one means something."""
    stem = name
    while stem:
        stem = stem[:-1]
        for ending in ("tvalid", "valid", "_valid"):
            valid = stem + ending
            if valid in outputs and valid != name:
                return valid
        if stem.endswith("_"):
            return None
    return None


def _parsed(number: int, line: str) -> Mutation:
    """Parse a line of ``mutate -list``."""
    words = line.split()
    options: dict[str, str] = {}
    sources: list[str] = []
    for name, value in zip(words[1::2], words[2::2], strict=True):
        if name == "-src":
            sources.append("/".join(Path(value).parts[-2:]))
        else:
            options[name] = value
    return Mutation(
        number=number,
        mode=options["-mode"],
        module=options["-module"],
        cell=options["-cell"],
        port=options["-port"],
        bit=int(options["-portbit"]),
        other=int(options["-ctrlbit"]) if "-ctrlbit" in options else None,
        sources=tuple(sources),
    )
