# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""A mapped netlist beside the RTL that it was made of: the claim that nobody can tell them apart at the ports.

Yosys turns both into one machine with one output, which is high in a clock in which any port differs; ABC finds out
which registers and nodes of the two always agree, until nothing is left of it, or a run in which they do not.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from amaranth.hdl import Signal
from amaranth.lib.wiring import In, Out

from ..hdl.axi import AxiStreamTop
from ..hdl.verilog import verilog_text
from .gates import Netlist

_TOP = "dut"
_MODEL = "model.aig"
_TRIES = "scorr; dprove"

# A command that fails in yosys ends the process. The alarm outlives the change to ABC, and ends it.
_CHILD = """
import json, os, signal, sys
from pyosys import libyosys
os.chdir(sys.argv[1])
with open("work.json") as file:
    work = json.load(file)
design = libyosys.Design()
for command in work["yosys"]:
    design.run_pass(command)
signal.alarm(work["seconds"])
os.execvp("yosys-abc", ["yosys-abc", "-q", work["abc"]])
"""


class Equivalence:
    """The claim that a netlist does what its RTL does.

    Registers of both start at 0, for a solver wants to know; in the first clock both are reset. From the next on every
    output of one is that of the other, whatever comes in, further resets included.

    Parameters
    ----------
    block : callable
        Makes an Amaranth component with streams, as `AxiStreamTop` takes it.
    netlist : callable
        Makes the netlist of Verilog and the name of its top module.
    """

    rules = ("every output is that of the RTL",)
    situations = ()

    def __init__(self, block: Callable[[], Any], netlist: Callable[[str, str], Netlist]) -> None:
        top = AxiStreamTop(block())
        self.ports = {name: (member.flow, len(Signal(member.shape))) for name, member in top.signature.members.items()}
        self.verilog = verilog_text(top, _TOP)
        self.netlist = netlist(self.verilog, _TOP)

    def _both(self) -> str:
        """RTL and netlist side by side, and whether they differ."""
        inputs = {name: width for name, (flow, width) in self.ports.items() if flow == In}
        outputs = {name: width for name, (flow, width) in self.ports.items() if flow == Out}
        ports = [f"input [{width - 1}:0] {name}" for name, width in inputs.items()]
        lines = [f"module both ({', '.join(ports)}, output differ);"]
        lines += ["  reg started = 0;", "  always @(posedge aclk) started <= 1;"]
        wires = {name: f"{name} & started" if name == "aresetn" else name for name in inputs}
        for kind in ("rtl", "netlist"):
            lines += [f"  wire [{width - 1}:0] {kind}_{name};" for name, width in outputs.items()]
            pins = [f".{name}({wire})" for name, wire in wires.items()]
            pins += [f".{name}({kind}_{name})" for name in outputs]
            lines.append(f"  {kind} the_{kind} ({', '.join(pins)});")
        differ = " | ".join(f"(rtl_{name} != netlist_{name})" for name in outputs)
        return "\n".join([*lines, f"  assign differ = started & ({differ});", "endmodule\n"])

    def prepare(self, directory: Path, seconds: int) -> str:
        """Write what is needed into a directory, and return the text of the Python program that looks for an answer.

        Its argument is the directory, what it prints is for `judge`; after so many seconds it ends by SIGALRM.
        """
        read = [f"hierarchy -top {_TOP}", "proc", "flatten", "opt_clean"]
        work = {
            "yosys": [
                "read_verilog rtl.v",
                *read,
                "memory_dff",
                "memory_collect",
                "memory_map",
                "setattr -unset init",
                f"rename {_TOP} rtl",
                "design -stash rtl",
                "read_verilog netlist.v",
                *read,
                "async2sync",
                "memory_map",
                "setattr -unset init",
                f"rename {_TOP} netlist",
                "design -stash netlist",
                "design -copy-from rtl -as rtl rtl",
                "design -copy-from netlist -as netlist netlist",
                "read_verilog both.v",
                "hierarchy -top both",
                "proc",
                "flatten",
                "opt -full",
                "techmap",
                "opt",
                "dffunmap",
                "setundef -undriven -zero",
                "aigmap",
                "setundef -zero -init",
                "opt_clean",
                f"write_aiger -symbols {_MODEL}",
            ],
            "abc": f"read {_MODEL}; {_TRIES}; print_status; write_cex -n -m inputs.txt",
            "seconds": seconds,
        }
        files = {"rtl.v": self.verilog, "netlist.v": self.netlist.text, "both.v": self._both()}
        for name, text in (files | {"work.json": json.dumps(work)}).items():
            (directory / name).write_text(text)
        return _CHILD


def judge(log: str, directory: Path) -> tuple[str, str]:
    """What ABC found, "proven", "refuted" or "unknown", and the inputs that tell the two apart."""
    status = re.findall(r"^Status = (-?\d)", log, re.M)
    if status[-1:] == ["1"]:
        return "proven", ""
    if status[-1:] != ["0"]:
        return "unknown", "ABC could not tell"
    clocks: dict[int, list[str]] = {}
    text = (directory / "inputs.txt").read_text()
    for name, clock in re.findall(r"^(?!lo)(\S+)@(\d+)=1", text, re.M):
        clocks.setdefault(int(clock), []).append(name)
    (length,) = re.findall(r"COUNTEREXAMPLE LENGTH: (\d+)", text)
    inputs = "; ".join(f"clock {clock}: {' '.join(names)}" for clock, names in sorted(clocks.items()))
    return "refuted", f"an output differs in clock {int(length) - 1}, by inputs that are high in {inputs}"
