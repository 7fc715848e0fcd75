# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Energy of a netlist of standard cells in a simulated run, from the energies in its Liberty file.

Every transition of every net is counted where and when it happens: the charge of the inputs that it drives, what the
library says its cell takes for it in that state of its pins, and leakage by the states the cells are in. There are no
wires and no clock tree. A simulation without delays has no glitches; one in which every cell takes the same time has
some.

OpenSTA multiplies mean rates of transitions by mean energies instead, and the internal power of the release that Debian
has is wrong (`synth.sta_power`): it is asked beside this, not in its place.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .gates import Netlist
from .liberty import Library
from .liberty_power import CellPower, Energy, PowerLibrary
from .waveforms import Waveforms
from .yosys import run_yosys

INPUT_TRANSITION = 50e-12
"""Transition time of the clock and at the other inputs, s."""

Bits = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Circuit:
    """A netlist, and what its nets did in a run.

    Parameters
    ----------
    cells : list of (str, dict of str to Any)
        Kind, and the net at each pin.
    inputs : dict of str to list
        Nets of each input port, the lowest bit first.
    nets : dict of Any to numpy.ndarray
        Value of each net in each step, bool (steps,).
    times : numpy.ndarray
        int64 (steps + 1,): when the steps begin, and the last one ends.
    """

    cells: list[tuple[str, dict[str, Any]]]
    inputs: dict[str, list[Any]]
    nets: dict[Any, Bits]
    times: NDArray[np.int64]

    @classmethod
    def read(cls, netlist: Netlist, waveforms: Waveforms) -> Self:
        """Netlist with the waveforms of all its signals.

        Raises
        ------
        ValueError
            If a pin is unknown at some time.
        """
        with tempfile.TemporaryDirectory(prefix="ptychopress-power-") as folder:
            directory = Path(folder)
            (directory / "net.v").write_text(netlist.verilog)
            run_yosys(["read_verilog net.v", "write_json net.json"], directory, "reading the netlist")
            module = json.loads((directory / "net.json").read_text())["modules"][netlist.top]
        steps = len(waveforms.times) - 1
        nets: dict[Any, Bits] = {"0": np.zeros(steps, np.bool_), "1": np.ones(steps, np.bool_)}
        for name, signal in module["netnames"].items():
            if name in waveforms.bits:
                known = zip(signal["bits"], waveforms.bits[name], waveforms.unknown[name], strict=True)
                nets |= {bit: wave for bit, wave, unknown in known if not unknown}
        cells = [
            (cell["type"], {pin: bits[0] for pin, bits in cell["connections"].items() if bits})
            for cell in module["cells"].values()
        ]
        for kind, pins in cells:
            for pin, bit in pins.items():
                if bit not in nets:
                    raise ValueError(f"pin {pin} of a {kind} is unknown at some time of the run")
        inputs = {name: port["bits"] for name, port in module["ports"].items() if port["direction"] == "input"}
        return cls(cells, inputs, nets, waveforms.times)

    def transitions(self, bit: Any) -> int:
        """How often a net changes."""
        return int(np.count_nonzero(self.nets[bit][1:] != self.nets[bit][:-1]))

    def clocks(self, clock: str) -> int:
        """Rising edges of a port.

        Raises
        ------
        ValueError
            If there is none.
        """
        (bit,) = self.inputs[clock]
        edges = int(np.count_nonzero(self.nets[bit][1:] & ~self.nets[bit][:-1]))
        if not edges:
            raise ValueError(f"{clock} does not rise in the run")
        return edges

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each step in the time of the run."""
        return np.diff(self.times) / (self.times[-1] - self.times[0])


@dataclass(frozen=True)
class Power:
    """Energy of a run.

    Parameters
    ----------
    clock : float
        J: the clock's net and what flip-flops take at its edges.
    registers : float
        J: other transitions of flip-flops' pins, and the load of their outputs.
    logic : float
        J: transitions of gates, the load of their outputs, and that of the inputs.
    leakage : float
        W.
    seconds : float
        Length of the run.
    switching : float
        J, of those above: the charge of nets that cells drive.
    inputs : float
        J, of those above: the charge of nets that ports drive.
    """

    clock: float
    registers: float
    logic: float
    leakage: float
    seconds: float
    switching: float
    inputs: float

    @property
    def internal(self) -> float:
        """J, of those above: what is spent inside cells."""
        return self.clock + self.registers + self.logic - self.switching - self.inputs

    @property
    def energy(self) -> float:
        """All of it, J."""
        return self.clock + self.registers + self.logic + self.leakage * self.seconds


def power(circuit: Circuit, library: Library, *, clock: str, period: float, delayed: bool = False) -> Power:
    """Energy of a netlist in a run.

    Parameters
    ----------
    circuit : Circuit
    library : Library
        With its Liberty text.
    clock : str
        Port of the clock.
    period : float
        Of the clock, s, whatever it was in the simulation.
    delayed : bool
        The simulation's cells took a unit of time each.

    Raises
    ------
    ValueError
        If the clock stands still; what `PowerLibrary.of` raises.
    """
    nets, inputs, cells = circuit.nets, circuit.inputs, circuit.cells
    table = PowerLibrary.of(library, {kind for kind, _ in cells})
    edges, (clock_bit,) = circuit.clocks(clock), inputs[clock]

    loads: dict[Any, float] = dict.fromkeys(nets, 0.0)
    for kind, pins in cells:
        for pin, farad in table.cells[kind].capacitance.items():
            loads[pins[pin]] += farad
    times = _transition_times(cells, library, table, loads)

    def charge(bit: Any) -> float:
        return 0.5 * loads[bit] * table.volts**2 * circuit.transitions(bit)

    of_inputs = sum(charge(bit) for bits in inputs.values() for bit in bits if bit in nets and bit != clock_bit)
    totals = {"clock": charge(clock_bit), "registers": 0.0, "logic": of_inputs}
    leakage, switching = 0.0, 0.0
    for kind, pins in cells:
        cell, known = table.cells[kind], library.cells[kind]
        waves = {pin: nets[bit] for pin, bit in pins.items()}
        before = {pin: np.roll(wave, 1) for pin, wave in waves.items()} if clock_bit in pins.values() else waves
        time_at = {pin: times.get(bit, INPUT_TRANSITION) for pin, bit in pins.items()}
        for pin, bit in pins.items():
            part = "clock" if bit == clock_bit else "registers" if known.sequential else "logic"
            # What an edge of the clock costs depends on the state that it finds.
            state = before if bit == clock_bit else waves
            totals[part] += _internal(cell.energies.get(pin, []), pin, waves, state, time_at, loads[bit], delayed)
            if pin in known.functions:
                totals[part] += charge(bit)
                switching += charge(bit)
        leakage += _leakage(cell, waves, circuit.shares)
    charged = of_inputs + charge(clock_bit)
    return Power(**totals, leakage=leakage, seconds=edges * period, switching=switching, inputs=charged)


def _transition_times(
    cells: Sequence[tuple[str, Mapping[str, Any]]],
    library: Library,
    table: PowerLibrary,
    loads: Mapping[Any, float],
) -> dict[Any, float]:
    """How long an edge takes on each net: the mean of those that its cell's inputs lead to, rising and falling."""
    times: dict[Any, float] = {}
    waiting = [(table.cells[kind], pins, library.cells[kind]) for kind, pins in cells]
    made = {pins[pin] for _, pins, known in waiting for pin in known.functions if pin in pins}
    while waiting:
        later = []
        for cell, pins, known in waiting:
            edges = {pin: [arc for arc in cell.edges[pin] if arc[0] in pins] for pin in known.functions if pin in pins}
            # Outputs of flip-flops come from the clock alone.
            origins = {pins[related] for arcs in edges.values() for related, _ in arcs}
            if any(bit in made and bit not in times for bit in origins):
                later.append((cell, pins, known))
                continue
            for pin, arcs in edges.items():
                load = loads[pins[pin]]
                found = [edge(times.get(pins[related], INPUT_TRANSITION), load) for related, edge in arcs]
                times[pins[pin]] = float(np.mean(found)) if found else INPUT_TRANSITION
        if len(later) == len(waiting):
            raise ValueError(f"{len(later)} cells of the netlist form a loop")
        waiting = later
    return times


def _internal(
    energies: Sequence[Energy],
    pin: str,
    waves: Mapping[str, Bits],
    state: Mapping[str, Bits],
    time_at: Mapping[str, float],
    load: float,
    delayed: bool,
) -> float:
    """Energy that a cell takes for the transitions of a pin, beside that of the load."""
    rises, falls = waves[pin][1:] & ~waves[pin][:-1], ~waves[pin][1:] & waves[pin][:-1]
    moves = np.flatnonzero(rises | falls)
    if not moves.size:
        return 0.0
    total = 0.0
    for rail in {energy.rail for energy in energies}:
        entries = [energy for energy in energies if energy.rail == rail]
        # With delays a cell's output moves a step behind what moved it.
        applies = np.array([_applies(one, entries, waves, state, moves, moves - delayed) for one in entries])
        # In a state that the library says nothing of, all of them count alike; else those that apply.
        applies[:, ~applies.any(axis=0)] = True
        shares = applies / applies.sum(axis=0)
        for entry, share in zip(entries, shares, strict=True):
            time = float(np.mean([time_at[name] for name in entry.related or (pin,) if name in time_at]))
            total += float(share[rises[moves]].sum()) * entry.rise(time, load)
            total += float(share[falls[moves]].sum()) * entry.fall(time, load)
    return total


def _applies(
    entry: Energy,
    entries: Sequence[Energy],
    waves: Mapping[str, Bits],
    state: Mapping[str, Bits],
    moves: NDArray[Any],
    causes: NDArray[Any],
) -> Bits:
    """In which of the moves an entry counts: its input moved, and its condition holds, or no other's does."""
    caused = np.ones(len(moves), np.bool_)
    if entry.related:
        pins = [waves[name] for name in entry.related if name in waves]
        caused = np.any([wave[1:][causes] != wave[:-1][causes] for wave in pins], axis=0) & caused

    def holds(one: Energy) -> Bits:
        assert one.when is not None
        return np.broadcast_to(one.when({name: wave[1:][moves] for name, wave in state.items()}), len(moves))

    if entry.when is not None:
        return caused & holds(entry)
    others = [holds(one) for one in entries if one.when is not None and one.related == entry.related]
    return caused & ~np.any(others, axis=0) if others else caused


def _leakage(cell: CellPower, waves: Mapping[str, Bits], shares: NDArray[np.float64]) -> float:
    """Mean leakage, W, by the states of a cell."""
    total = 0.0
    for entries in cell.leakage.values():
        rest = np.ones(len(shares), np.bool_)
        for when, watt in entries:
            if when is not None:
                held = rest & when(waves)
                total += float(shares[held].sum()) * watt
                rest &= ~held
        total += float(shares[rest].sum()) * next((watt for when, watt in entries if when is None), 0.0)
    return total
