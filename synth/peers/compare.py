# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Ours and a peer by the same recipe: first whether they are right, then what they take."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..area import Mapped, map_component
from ..ecp5 import place_and_route
from ..liberty import Library


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A structure to be measured.

    Parameters
    ----------
    name : str
    against : tuple of str
        Names of the structures of ours that it is compared with; none for ours.
    gates : callable, optional
        Makes the combinational component whose area is measured in standard cells.
    wrong_gates : callable, optional
        Number of wrong outputs of a mapped netlist of it.
    flip_flops : int
        Registers that go with it in standard cells.
    clocked : callable, optional
        Makes the component that is placed on an ECP5.
    wrong_clocked : callable, optional
        Number of wrong outputs of its RTL.
    facts : dict
        What else is to be said, as JSON values.
    """

    name: str
    against: tuple[str, ...] = ()
    gates: Callable[[], Any] | None = None
    wrong_gates: Callable[[Mapped], int] | None = None
    flip_flops: int = 0
    clocked: Callable[[], Any] | None = None
    wrong_clocked: Callable[[Any], int] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Figures:
    """What a contender takes; None where it was not measured.

    Attributes
    ----------
    name, against, facts
        As of the contender.
    wrong : int
        Wrong outputs: of its RTL and of every netlist.
    gate_equivalents : float
        The smallest netlist of the scripts, with its registers.
    script : str
        By which it was made.
    delay_ps : float
        Longest path of the smallest netlist.
    fastest_ps : float
        That of the fastest netlist.
    luts : int
        ECP5: LUT4s, carry chains and distributed memory among them.
    flip_flops, dsp, block_ram : int
        ECP5.
    mhz : float
        ECP5, median of the seeds.
    """

    name: str
    against: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    wrong: int = 0
    gate_equivalents: float | None = None
    script: str | None = None
    delay_ps: float | None = None
    fastest_ps: float | None = None
    luts: int | None = None
    flip_flops: int | None = None
    dsp: int | None = None
    block_ram: int | None = None
    mhz: float | None = None


COMPARED = ("gate_equivalents", "delay_ps", "fastest_ps", "luts", "flip_flops", "dsp", "block_ram", "mhz")
"""Figures of which ratios are taken."""


def measure(
    contender: Contender,
    library: Library,
    scripts: Mapping[str, str],
    seeds: Sequence[int],
) -> Figures:
    """Check and measure a contender.

    Parameters
    ----------
    contender
    library
        Standard cells.
    scripts
        ABC scripts; every netlist is checked, the smallest counts.
    seeds
        Of placement on the ECP5; none: it is left out.
    """
    figures = Figures(contender.name, contender.against, contender.facts)
    if contender.gates and contender.wrong_gates:
        mapped = []
        for result in map_component(contender.gates(), library, scripts):
            figures.wrong += contender.wrong_gates(result)
            mapped.append(result)
        best = min(mapped, key=lambda result: result.area)
        registers = contender.flip_flops * flip_flop_equivalents(library, scripts) if contender.flip_flops else 0.0
        figures.gate_equivalents = best.gate_equivalents + registers
        figures.script, figures.delay_ps = best.script, best.delay_ps
        figures.fastest_ps = min((r.delay_ps for r in mapped if r.delay_ps is not None), default=None)
    if contender.clocked and contender.wrong_clocked:
        figures.wrong += contender.wrong_clocked(contender.clocked())
        if seeds:
            placed = place_and_route(contender.clocked(), seeds=seeds)
            figures.luts, figures.flip_flops = placed.lut4, placed.flip_flops
            figures.dsp, figures.block_ram, figures.mhz = placed.dsp, placed.block_ram, placed.median
    return figures


def ratios(ours: Figures, theirs: Figures) -> dict[str, float]:
    """Figures of ours over theirs, where both have one and theirs is not 0."""
    pairs = {name: (getattr(ours, name), getattr(theirs, name)) for name in COMPARED}
    return {name: own / other for name, (own, other) in pairs.items() if own is not None and other}


def flip_flop_equivalents(library: Library, scripts: Mapping[str, str]) -> float:
    """Area of a flip-flop without reset."""
    name = next(iter(scripts))
    (mapped,) = map_component(_FlipFlop(), library, {name: scripts[name]})
    return mapped.gate_equivalents


class _FlipFlop(wiring.Component):
    def __init__(self) -> None:
        super().__init__({"d": In(1), "q": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        register = Signal(reset_less=True)
        m.d.sync += register.eq(self.d)
        m.d.comb += self.q.eq(register)
        return m
