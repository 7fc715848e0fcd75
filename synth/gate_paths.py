# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Longest path through the gates of a mapped netlist, by ABC's static timing, which comes with pyosys."""

import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .liberty import Library
from .tools import run_tool


def longest_gate_path(
    module: Mapping[str, Any], library: Library, files: Sequence[str], directory: Path
) -> tuple[float | None, str]:
    """Longest path, ns, and ABC's lines about it. What holds a state takes no time: paths begin and end there.

    Parameters
    ----------
    module : dict
        Flat, as yosys' ``write_json`` has it.
    library : Library
    files : sequence of str
        Its Liberty files in the directory.
    directory : Path

    Raises
    ------
    RuntimeError
        If ABC fails.
    """
    (directory / "gates.blif").write_text(gates_blif(module, library))
    read = "; ".join(f"read_lib {'-m ' if number else ''}-w {file}" for number, file in enumerate(files))
    said = run_tool([_abc(), "-c", f"{read}; read_blif gates.blif; topo; stime -p"], directory)
    return path_of(said)


def path_of(said: str) -> tuple[float | None, str]:
    """Delay, ns, in what ABC's ``stime -p`` said, None without a gate; and the lines of the path."""
    delays = re.findall(r"Delay\s*=\s*([\d.]+)\s*ps", said)
    lines = [line.strip() for line in said.splitlines() if line.startswith("Path")]
    return (float(delays[-1]) / 1000 if delays else None), "\n".join(lines)


def gates_blif(module: Mapping[str, Any], library: Library) -> str:
    """Combinational gates of a netlist in BLIF: outputs of all else are inputs, what all else reads is an output."""
    gates, driven, read = [], set(), set()
    for cell in module["cells"].values():
        kind, pins = cell["type"], cell["connections"]
        if kind in library.cells and not library.cells[kind].sequential:
            wires = {pin: bits[0] for pin, bits in pins.items() if bits}
            gates.append(f".gate {kind} " + " ".join(f"{pin}={_net(bit)}" for pin, bit in wires.items()))
            driven |= {wires[pin] for pin in library.cells[kind].functions if pin in wires}
            read |= {bit for pin, bit in wires.items() if pin not in library.cells[kind].functions}
    ends = {
        bit
        for cell in module["cells"].values()
        if cell["type"] not in library.cells or library.cells[cell["type"]].sequential
        for bits in cell["connections"].values()
        for bit in bits
    } | {bit for port in module["ports"].values() if port["direction"] == "output" for bit in port["bits"]}
    # Constants too: ABC's timing takes no node without a gate.
    inputs = [_net(bit) for bit in sorted(read - driven, key=str)]
    outputs = [_net(bit) for bit in sorted(ends & driven, key=str)]
    head = [".model gates", ".inputs " + " ".join(inputs), ".outputs " + " ".join(outputs)]
    return "\n".join([*head, *gates, ".end"]) + "\n"


def _net(bit: int | str) -> str:
    return f"n{bit}" if isinstance(bit, int) else f"const_{bit}"


def _abc() -> str:
    """ABC as pyosys brings it."""
    found = importlib.util.find_spec("pyosys")
    if found is None or found.origin is None:
        raise RuntimeError("pyosys is missing: pip install pyosys")
    return str(Path(found.origin).parent / "yosys-abc")
