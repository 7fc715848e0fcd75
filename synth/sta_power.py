# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Power by OpenSTA, where it is installed, from how often the pins of a netlist change in a simulated run.

Release 2.0, that of Debian, works out for itself how often a pin changes wherever an input port or a constant leads to
it, and finds that flip-flops never do. So the netlist has no port but the clock, and a flip-flop in the place of each.
What 2.0 says of charges is right then. Its leakage takes every state of a cell for as likely; its internal power adds a
rise and a fall at every transition, of each input that may have caused it.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .liberty import Library
from .power import Circuit
from .tools import run_tool

SCRIPT = "opensta.tcl"
"""Name of the script, for ``sta -exit``."""

INTERNAL_WRONG = "2.0."
"""Releases whose internal power is not to be used begin so."""

# Release 2.0's option for pins does not work; the command behind it does, and takes what later ones do not.
_ACTIVITY = """proc activity {pin transitions duty} {
  if {[catch {set_power_activity -pins $pin -activity $transitions -duty $duty}]} {
    ::sta::set_power_pin_activity $pin $transitions $duty
  }
}"""


@dataclass(frozen=True)
class StaPower:
    """What OpenSTA says.

    Parameters
    ----------
    version : str
    internal, switching, leakage : float
        W: spent inside cells, charge of nets that cells drive, leakage.
    """

    version: str
    internal: float
    switching: float
    leakage: float


def write_script(circuit: Circuit, library: Library, directory: Path, *, clock: str, period: float) -> None:
    """Write netlist, library and a script for OpenSTA that tells it how often each pin changes.

    Parameters
    ----------
    circuit : Circuit
    library : Library
        With its Liberty text.
    directory : Path
    clock : str
        Port of the clock.
    period : float
        Of the clock, s.

    Raises
    ------
    ValueError
        If the clock stands still, or the circuit has no flip-flop.
    """
    for number, text in enumerate(library.texts):
        (directory / f"cells_{number}.lib").write_text(text)
    (directory / "netlist.v").write_text(_closed(circuit, library, clock))
    lines = [
        *(f"read_liberty cells_{number}.lib" for number in range(len(library.texts))),
        "read_verilog netlist.v",
        "link_design closed",
        "set_cmd_units -time ns",
        f"create_clock -name clock -period {1e9 * period:.6g} [get_ports clock]",
        # Else it adds wires by the library's statistics.
        "set_load 0 [get_nets *]",
        _ACTIVITY,
    ]
    clocks, shares, clock_bits = circuit.clocks(clock), circuit.shares, circuit.inputs[clock]
    rates = {
        bit: f"{circuit.transitions(bit) / clocks:.6g} {float(np.dot(wave, shares)):.6g}"
        for bit, wave in circuit.nets.items()
    }
    for number, (_, pins) in enumerate(circuit.cells):
        for pin, bit in pins.items():
            if bit not in clock_bits:
                lines.append(f"activity [get_pins cell_{number}/{pin}] {rates[bit]}")
    lines += ["report_power -instances [get_cells cell_*] -digits 6", ""]
    (directory / SCRIPT).write_text("\n".join(lines))


def run_script(directory: Path) -> StaPower:
    """Have OpenSTA run what `write_script` wrote.

    Raises
    ------
    RuntimeError
        If OpenSTA fails.
    """
    said = run_tool(["sta", "-no_init", "-no_splash", "-exit", SCRIPT], directory)
    cells = re.findall(r"^ *(\S+) +(\S+) +(\S+) +\S+ +cell_\d+$", said, re.MULTILINE)
    if (error := re.search(r"^Error.*", said, re.MULTILINE)) or not cells:
        raise RuntimeError(f"sta failed: {error.group() if error else 'it reports no power'}")
    version = run_tool(["sta", "-version"], directory).split()[0]
    return StaPower(version, *(float(watt) for watt in np.array(cells, np.float64).sum(axis=0)))


def _closed(circuit: Circuit, library: Library, clock: str) -> str:
    """Verilog of the cells, and of a flip-flop for each net that none of them drives."""
    (clock_bit,) = circuit.inputs[clock]
    flip_flop = next((kind for kind, _ in circuit.cells if library.cells[kind].flip_flop), None)
    if flip_flop is None:
        raise ValueError("a circuit without a flip-flop has no clock that its power could be told by")
    outputs = list(library.cells[flip_flop].functions)
    pins = next(pins for kind, pins in circuit.cells if kind == flip_flop)
    source = {pin: bit for pin, bit in pins.items() if pin not in outputs} | {outputs[0]: None}
    driven = {pins[pin] for kind, pins in circuit.cells for pin in library.cells[kind].functions if pin in pins}
    used = dict.fromkeys(bit for _, pins in circuit.cells for bit in pins.values())

    def instance(kind: str, name: str, pins: dict[str, Any]) -> str:
        nets = {pin: "clock" if bit == clock_bit else f"n{bit}" for pin, bit in pins.items()}
        return f"  {kind} {name} ({', '.join(f'.{pin}({net})' for pin, net in nets.items())});"

    cells = [instance(kind, f"cell_{number}", pins) for number, (kind, pins) in enumerate(circuit.cells)]
    for bit in used:
        if bit not in driven and bit != clock_bit:
            pins = {pin: clock_bit if at == clock_bit else bit for pin, at in source.items()}
            cells.append(instance(flip_flop, f"source_{bit}", pins))
    wires = ", ".join(f"n{bit}" for bit in used if bit != clock_bit)
    return "\n".join(["module closed (input clock);", f"  wire {wires};", *cells, "endmodule", ""])
