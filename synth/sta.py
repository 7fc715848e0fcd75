# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Static timing by OpenSTA, where it is installed: it reads the same Liberty files, and is no Python package."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .tools import run_tool

MISSING = "OpenSTA (sta) is not installed: the longest path is ABC's, without flip-flops"
"""What to say to people whose machine lacks it."""


def sta_installed() -> bool:
    """Whether there is OpenSTA on this machine."""
    return shutil.which("sta") is not None


def constraints_text(module: Mapping[str, Any], clock: str, clock_mhz: float) -> str:
    """SDC of a module on its own: one clock, and ports that take no time.

    Parameters
    ----------
    module : dict
        As yosys' ``write_json`` has it.
    clock : str
        Name of the clock's port.
    clock_mhz : float
    """
    lines = [f"create_clock -name clock -period {1000 / clock_mhz:g} [get_ports {clock}]"]
    for way in ("input", "output"):
        ports = {name: port for name, port in module["ports"].items() if port["direction"] == way and name != clock}
        names = " ".join(f"{name}[*]" if len(port["bits"]) > 1 else name for name, port in ports.items())
        if names:
            lines.append(f"set_{way}_delay 0 -clock clock [get_ports {{{names}}}]")
    return "".join(f"{line}\n" for line in lines)


def longest_path(
    libraries: Sequence[str], netlist: str, constraints: str, top: str, directory: Path
) -> tuple[float | None, str, str]:
    """Time that the slowest path takes, ns, the path, and OpenSTA's version.

    Parameters
    ----------
    libraries, netlist, constraints : str
        Names of files in the directory.
    top : str
        Module.
    directory : Path

    Raises
    ------
    RuntimeError
        If OpenSTA fails.
    """
    commands = [
        *(f"read_liberty {library}" for library in libraries),
        f"read_verilog {netlist}",
        f"link_design {top}",
        f"read_sdc {constraints}",
        "report_checks -path_delay max -format full -digits 4",
    ]
    (directory / "sta.tcl").write_text("".join(f"{command}\n" for command in commands))
    said = run_tool(["sta", "-no_splash", "-exit", "sta.tcl"], directory)
    version = run_tool(["sta", "-version"], directory).split()[0]
    return *path_of(said), version


def path_of(report: str) -> tuple[float | None, str]:
    """Time of the path in a report of OpenSTA, its endpoint's set-up among it, ns; and its lines.

    Raises
    ------
    RuntimeError
        If the report tells of an error.
    """
    if found := re.search(r"^Error.*", report, re.MULTILINE):
        raise RuntimeError(f"sta failed: {found.group()}")
    begin = report.find("Startpoint:")
    if begin < 0:
        return None, ""
    lines = report[begin:].splitlines()
    arrival = next((float(line.split()[0]) for line in lines if line.rstrip().endswith("data arrival time")), None)
    setup = next((float(line.split()[0]) for line in lines if "setup time" in line), 0.0)
    # Set-up is subtracted from the time there is, so it is printed negative.
    return (None if arrival is None else arrival - setup), "\n".join(lines).strip()
