# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Projector with its weights wired in: a graph of adders, one frame a clock."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from amaranth.hdl import Cat, Const, Module, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from ..model.projection import Projection
from .beat import check_lanes, coefficients_beat, values_beat
from .fixed import round_shift, saturate
from .pipeline import delay, handshake


class Term(NamedTuple):
    """A node's value as it enters a sum: times 2**shift, perhaps negative."""

    node: int
    shift: int
    negative: bool


@dataclass(frozen=True, eq=False)
class Node:
    """A pixel, a constant, or a sum of two terms, the first of them positive.

    Attributes
    ----------
    row : numpy.ndarray
        int64 (N + 1,): what the value is, weights of the N pixels and a constant. From it follow width and sign,
        exactly: terms of a sum share pixels, so their own ranges would say too much.
    terms : tuple of Term
        None for a pixel or a constant.
    depth : int
        Adders on the longest way from a pixel.
    """

    row: NDArray[np.int64]
    terms: tuple[Term, ...] = ()
    depth: int = 0

    def range(self, largest: int) -> tuple[int, int]:
        """Smallest and largest value for pixels from 0 to `largest`."""
        weights, constant = self.row[:-1], int(self.row[-1])
        return tuple(int(part.sum()) * largest + constant for part in (weights.clip(max=0), weights.clip(min=0)))


class AdderGraph:
    """All sums of a projection, before its shifts, as shared additions and subtractions.

    Parameters
    ----------
    projection : Projection
    extra_depth : int or None
        Adders that a sum may have one behind the other, beyond the fewest; None: as many as the smallest graph has.

    Attributes
    ----------
    nodes : list of Node
        The N pixels first. A sum comes after its terms.
    outputs : list of Term
        What each component's coefficient is shifted down from: bias, half a step and weighted pixels; none is negative.

    Raises
    ------
    ValueError
        If da4ml is not installed.
    """

    def __init__(self, projection: Projection, *, extra_depth: int | None = None) -> None:
        self.nodes = [
            Node(row) for row in np.eye(projection.format.pixels, projection.format.pixels + 1, dtype=np.int64)
        ]
        sums = self._solve(projection, -1 if extra_depth is None else extra_depth)
        self.outputs = [self._preloaded(term, int(c)) for term, c in zip(sums, projection.preload, strict=True)]
        wanted = np.hstack([projection.weights, projection.preload[:, None]])
        for term, row in zip(self.outputs, wanted, strict=True):
            np.testing.assert_array_equal(self.nodes[term.node].row << term.shift, row, "da4ml: another matrix")

    @property
    def adders(self) -> int:
        """Number of additions and subtractions."""
        return sum(bool(node.terms) for node in self.nodes)

    def _solve(self, projection: Projection, hard_dc: int) -> list[Term | None]:
        """Sums of weighted pixels by da4ml, None for nothing."""
        try:
            from da4ml.cmvm import solve
        except ModuleNotFoundError as error:
            raise ValueError(
                f"the hard-wired projector needs {error.name}: pip install 'ptychopress[hardwired]'"
            ) from None
        size = projection.format
        # da4ml reads the memory of its matrix row by row, whatever its strides say.
        matrix = np.ascontiguousarray(projection.weights.T, np.float32)
        pixel = (0.0, float(size.input_format.maximum), 1.0)
        # Its wider search takes ten times the time for the same adders, give or take one in a hundred.
        found = solve(matrix, qintervals=[pixel] * size.pixels, hard_dc=hard_dc, search_all_decompose_dc=False)
        values: list[Term | None] = [Term(k, 0, False) for k in range(size.pixels)]
        for logic in found.solutions:
            buffer: list[Term | None] = []
            for op in logic.ops:
                if op.opcode == -1:
                    buffer.append(_scaled(values[op.id0], logic.inp_shifts[op.id0]))
                else:
                    right = _scaled(buffer[op.id1], op.data, negative=op.opcode == 1)
                    buffer.append(self._add(buffer[op.id0], right))
            outputs = zip(logic.out_idxs, logic.out_shifts, logic.out_negs, strict=True)
            values = [_scaled(buffer[k], shift, negative=bool(sign)) if k >= 0 else None for k, shift, sign in outputs]
        return values

    def _preloaded(self, term: Term | None, constant: int) -> Term:
        """A sum with a constant added, positive."""
        if term is not None and not constant and not term.negative:
            return term
        # Zeros at its end take no adder. What a negative term is subtracted from must not be shifted in the sum.
        shift = (constant & -constant).bit_length() - 1 if constant else 0
        if term is not None and term.negative:
            shift = min(shift, term.shift) if constant else term.shift
        row = np.zeros_like(self.nodes[0].row)
        row[-1] = constant >> shift
        self.nodes.append(Node(row))
        offset = Term(len(self.nodes) - 1, shift, False)
        return offset if term is None else self._add(offset, term)

    def _add(self, a: Term, b: Term) -> Term:
        """Sum of two terms; at least one of the two is not shifted in it, and it has a sign of its own."""
        shift = min(a.shift, b.shift)
        # A term that is not shifted goes first, for its low bits are the sum's, a positive one if both are not.
        first, second = sorted((a, b), key=lambda term: (term.shift != shift, term.negative))
        terms = (
            Term(first.node, first.shift - shift, False),
            Term(second.node, second.shift - shift, first.negative != second.negative),
        )
        rows = [self.nodes[term.node].row << term.shift for term in terms]
        depth = 1 + max(self.nodes[term.node].depth for term in terms)
        self.nodes.append(Node(rows[0] - rows[1] if terms[1].negative else rows[0] + rows[1], terms, depth))
        return Term(len(self.nodes) - 1, shift, first.negative)


def _scaled(term: Term | None, shift: int, *, negative: bool = False) -> Term | None:
    """A term times 2**shift, perhaps with the other sign."""
    return None if term is None else Term(term.node, term.shift + shift, term.negative != negative)


class HardwiredProjector(wiring.Component):
    """A whole frame in a beat, all its coefficients in a beat, exactly as `ptychopress.model.projection.Projection`.

    Weights, biases, half steps and shifts are constants. da4ml finds a graph of additions and subtractions that
    sums share; each is as wide as its values are for all frames, and low bits that it passes on take no adder. Shifts
    are wires. Only components whose sum can leave the output's range saturate.

    Latency: `latency` clocks, ceil(levels / adders_per_stage), or 1. Throughput: one frame a clock. Stalls: all stages
    move or none; a stalled output stalls the input in the same clock, combinationally; while the last stage is
    empty the pipeline moves on. Area: ``benchmarks/hardwired_area.py``; docs/hardwired.md has its figures.

    A frame is one beat, with ``last``. One without is too long: its coefficients are those of this beat, flagged
    ``long``, and what follows, up to and including ``last``, is dropped. None can be ``short``.

    Parameters
    ----------
    projection : Projection
        Of at most 1024 pixels and 1024 components. Time to find the graph grows fast: seconds for 64 x 8, half a minute
        for 256 x 16.
    adders_per_stage : int, optional
        Levels of adders between two registers, 1 or more; saturation is one level. By default all: one register, at
        the output.
    extra_depth : int, optional
        Levels beyond the fewest that a sum may take to share more, 0 or more; by default as many as make the
        fewest adders.

    Members
    -------
    i : In(stream of values_beat)
    o : Out(stream of coefficients_beat)

    Raises
    ------
    ValueError
        For a parameter out of range, or if da4ml is not installed.
    """

    def __init__(
        self, projection: Projection, *, adders_per_stage: int | None = None, extra_depth: int | None = None
    ) -> None:
        for name, value, low in (("adders_per_stage", adders_per_stage, 1), ("extra_depth", extra_depth, 0)):
            if value is not None and (type(value) is not int or value < low):
                raise ValueError(f"{name} must be a whole number, {low} or more, or None, got {value!r}")
        self.projection = projection
        self.format = size = projection.format
        check_lanes(size.pixels, "pixels")
        check_lanes(size.components, "components")
        self.lanes, self.columns = size.pixels, size.components
        self.beats = self.phases = self.frame_clocks = 1
        self.adders_per_stage = adders_per_stage
        self.extra_depth = extra_depth
        self.graph = AdderGraph(projection, extra_depth=extra_depth)
        super().__init__(
            {
                "i": In(stream.Signature(values_beat(size.input_bits, self.lanes))),
                "o": Out(stream.Signature(coefficients_beat(size.output_bits, self.columns))),
            }
        )

    @cached_property
    def levels(self) -> int:
        """Adders one behind the other on the longest way, and 1 if there a component saturates."""
        return max(self._level(component) for component in range(self.columns))

    @property
    def latency(self) -> int:
        """Clocks from a frame taken to its coefficients offered."""
        return self._stage(self.levels) + 1

    def _level(self, component: int) -> int:
        """Levels of a component's coefficient."""
        term = self.graph.outputs[component]
        node, shift = self.graph.nodes[term.node], int(self.projection.shift[component])
        extremes = [(value << term.shift) >> shift for value in node.range(self.format.input_format.maximum)]
        return node.depth + (not self.format.output_format.holds(extremes))

    def _stage(self, level: int) -> int:
        """Stage that computes what is at a level."""
        return (level - 1) // self.adders_per_stage if self.adders_per_stage and level else 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        # Frames that came to their end; the rest of one that is too long comes to nothing.
        excess, frames = Signal(), stream.Signature(0).create()
        m.d.comb += [frames.valid.eq(self.i.valid & ~excess), self.i.ready.eq(frames.ready)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += excess.eq(~self.i.p.last)
        advance = handshake(m, frames, self.o, self.latency)

        largest = self.format.input_format.maximum
        # Each node's value in its own stage, and in each later one where it was asked for.
        staged: list[list[Value]] = []

        def at(index: int, stage: int) -> Value:
            node, values = self.graph.nodes[index], staged[index]
            if not node.row[:-1].any():
                return values[0]
            late = stage - self._stage(node.depth)
            values += delay(m, advance, values[-1], late + 1 - len(values))
            return values[late]

        for index, node in enumerate(self.graph.nodes):
            low, high = node.range(largest)
            if index < self.lanes:
                value = self.i.p.values[index]
            elif low == high:
                value = Const(low)
            else:
                value = Signal(Shape.cast(range(low, high + 1)), name=f"sum_{index}")
                stage = self._stage(node.depth)
                (first, _, _), (second, shift, negative) = node.terms
                whole = _fit(at(first, stage), len(value))
                rest = whole[shift:]
                part = _fit(at(second, stage), len(rest))
                m.d.comb += value.eq(Cat(whole[:shift], (rest - part if negative else rest + part)[: len(rest)]))
            staged.append([value])

        for component, term in enumerate(self.graph.outputs):
            stage = self._stage(self._level(component))
            total = at(term.node, stage).shift_left(term.shift)
            # Half a step is in the constant already.
            floor = round_shift(total, int(self.projection.shift[component]), "truncate")
            coefficient, saturated = saturate(floor, self.format.output_format)
            later = self.latency - stage
            m.d.comb += [
                self.o.p.coefficients[component].eq(delay(m, advance, coefficient, later)[-1]),
                self.o.p.flags.saturated[component].eq(delay(m, advance, saturated, later)[-1]),
            ]
        m.d.comb += [
            self.o.p.flags.long.eq(delay(m, advance, ~self.i.p.last, self.latency)[-1]),
            self.o.p.flags.clipped.eq(delay(m, advance, self.i.p.clipped, self.latency)[-1]),
            self.o.p.last.eq(1),
        ]
        return m


def _fit(value: Value, bits: int) -> Value:
    """Lowest bits of a value, filled up with its sign."""
    filling = value[-1] if value.shape().signed else Const(0, 1)
    return Cat(value, filling.replicate(max(0, bits - len(value))))[:bits]
