# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Memory of a projector's weights: two banks, one read in order while a stream fills the other."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..model.projection import ProjectionFormat
from .beat import below, word_beat
from .block_memory import BlockMemory
from .protected_memory import ProtectedMemory


class WeightMemory(wiring.Component):
    """Weights, first values of the accumulators and shifts, read in the order in which a projector needs them.

    The projector steps through a frame beat by beat, and in each beat through `phases` rows of `columns`
    components. Step k of a frame reads word k of the weights, so nothing is addressed: the memory counts.

    A table comes in over ``table``, a word a clock, as `Projection.words` lists it: component by component its
    weights, in whole beats, the first value of its accumulator, its shift; ``last`` on the final word. It goes into the
    bank that is not read. It serves from the first clock with ``between`` that follows its last word; until then, and
    for `settle` clocks after, ``table.ready`` is low. A table that ends early or late is dropped whole, and
    ``table_error`` is high for one clock. Nothing is loaded after a reset.

    Parameters
    ----------
    format : ProjectionFormat
    lanes, columns : int
        Pixels a beat, components at a time.
    settle : int
        Clocks for which a row may still be read after its bank was left.
    memory : type
        Class of the memories of weights, with the constructor, ports and `latency` of `BlockMemory`.
    protect : bool
        Every memory is a `ProtectedMemory`, that of the weights with `memory` inside.

    Members
    -------
    table : In(stream of word_beat)
    table_error : Out(1)
    loaded : Out(1)
        There is a table to read, from the clock before the first ``between`` that may begin a frame.
    between : In(1)
        No frame is being read: the next step, in a later clock, is the first of a frame.
    step : In(1)
        Read the next word of weights.
    phase : In(below(phases))
        Row of components that belongs to the step.
    row : Out
        What to give back as ``constants_row`` for the step in the clock before.
    weights : Out
        Of the step `latency` clocks before, a weight for each column and lane.
    constants_row : In
    preload, shift : Out
        Of the row `constants_latency` clocks before, one for each column.
    corrected, uncorrectable : Out, if protected
        What `ProtectedMemory` says of the words in ``weights``, ``preload`` and ``shift``, a bit for each column; also
        of words that no table has written, in columns without a component or in clocks without a step.
    """

    def __init__(
        self,
        format: ProjectionFormat,
        *,
        lanes: int,
        columns: int,
        settle: int,
        memory: type[Any] = BlockMemory,
        protect: bool = False,
    ) -> None:
        self.format = format
        self.lanes = lanes
        self.columns = columns
        self.settle = settle
        self.memory = memory
        self.protect = protect
        self.beats = -(-format.pixels // lanes)
        self.phases = -(-format.components // columns)
        self.preload_bits = format.bias_format.bits
        self.shift_bits = format.largest_shift.bit_length()
        reports = StructLayout({"weights": columns, "preload": columns, "shift": columns})
        super().__init__(
            {
                "table": In(stream.Signature(word_beat(self.preload_bits))),
                "table_error": Out(1),
                "loaded": Out(1),
                "between": In(1),
                "step": In(1),
                "phase": In(below(self.phases)),
                "row": Out(range(2 * self.phases)),
                "weights": Out(ArrayLayout(ArrayLayout(signed(format.weight_bits), lanes), columns)),
                "constants_row": In(range(2 * self.phases)),
                "preload": Out(ArrayLayout(signed(self.preload_bits), columns)),
                "shift": Out(ArrayLayout(self.shift_bits, columns)),
                **({"corrected": Out(reports), "uncorrectable": Out(reports)} if protect else {}),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from a step to its weights."""
        return 1 + self.memory.latency + self.protect

    @property
    def constants_latency(self) -> int:
        """Clocks from a row to its first values and shifts."""
        return BlockMemory.latency + 1 if self.protect else 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        depth, phases = self.beats * self.phases, self.phases
        bank, complete, in_force = Signal(), Signal(), Signal()

        # The banks change places before the first step of the frame that is to get the table.
        swap = Signal()
        m.d.comb += [swap.eq(complete & self.between), self.loaded.eq(in_force | complete)]
        with m.If(swap):
            m.d.sync += [bank.eq(~bank), complete.eq(0), in_force.eq(1)]

        # Reading, a clock behind the steps: a step is known late in its clock, and an address goes a long way.
        place = Signal(range(2 * depth))
        stepped, rewind = Signal(), Signal()
        m.d.sync += [stepped.eq(self.step), rewind.eq(self.between)]
        with m.If(rewind):
            m.d.sync += place.eq(Mux(bank, depth, 0))
        with m.Elif(stepped):
            m.d.sync += place.eq(place + 1)
        m.d.sync += self.row.eq(self.phase + Mux(bank, phases, 0))

        # Filling the other bank, component by component. Writes come one clock after their word.
        settled = Signal()
        trail = bank
        for _ in range(self.settle):
            trail, before = Signal(), trail
            m.d.sync += trail.eq(before)
        m.d.comb += [settled.eq(trail == bank), self.table.ready.eq(~complete & settled)]
        taken = Signal()
        m.d.comb += taken.eq(self.table.valid & self.table.ready)

        lane, beat = Signal(below(self.lanes)), Signal(below(self.beats))
        column, phase = Signal(below(self.columns)), Signal(below(phases))
        component = Signal(below(self.format.components))
        offset = Signal(below(depth))
        part = Signal(range(3))
        weights, preload, shift = range(3)
        final, overrun = Signal(), Signal()
        m.d.comb += final.eq((component == self.format.components - 1) & (part == shift))

        group = Signal(ArrayLayout(signed(self.format.weight_bits), self.lanes), reset_less=True)
        constant = Signal(signed(self.preload_bits), reset_less=True)
        weights_at, row_at = Signal(range(2 * depth), reset_less=True), Signal(range(2 * phases), reset_less=True)
        into = Signal(below(self.columns), reset_less=True)
        write = [Signal(name=f"write_{name}") for name in ("weights", "preload", "shift")]
        m.d.sync += [
            weights_at.eq(offset + Mux(bank, 0, depth)),
            row_at.eq(phase + Mux(bank, 0, phases)),
            into.eq(column),
            # What follows a table's final word would run on into the bank that is read.
            write[weights].eq(taken & ~overrun & (part == weights) & (lane == self.lanes - 1)),
            write[preload].eq(taken & ~overrun & (part == preload)),
            write[shift].eq(taken & ~overrun & (part == shift)),
            self.table_error.eq(taken & self.table.p.last & ~(final & ~overrun)),
        ]
        with m.If(taken):
            m.d.sync += constant.eq(self.table.p.word)
            with m.Switch(part):
                with m.Case(weights):
                    # Lane 0 comes first and ends up lowest.
                    word = self.table.p.word[: self.format.weight_bits]
                    m.d.sync += group.as_value().eq(Cat(group.as_value(), word)[self.format.weight_bits :])
                    with m.If(lane != self.lanes - 1):
                        m.d.sync += lane.eq(lane + 1)
                    with m.Else():
                        m.d.sync += lane.eq(0)
                        with m.If(beat != self.beats - 1):
                            m.d.sync += [beat.eq(beat + 1), offset.eq(offset + phases)]
                        with m.Else():
                            m.d.sync += [beat.eq(0), part.eq(preload)]
                with m.Case(preload):
                    m.d.sync += part.eq(shift)
                with m.Case(shift):
                    m.d.sync += [part.eq(weights), component.eq(component + 1)]
                    with m.If(column != self.columns - 1):
                        m.d.sync += [column.eq(column + 1), offset.eq(phase)]
                    with m.Else():
                        m.d.sync += [column.eq(0), phase.eq(phase + 1), offset.eq(phase + 1)]
            with m.If(final & ~self.table.p.last):
                m.d.sync += overrun.eq(1)
            with m.If(self.table.p.last):
                counters = (lane, beat, column, phase, component, offset, part, overrun)
                m.d.sync += [counter.eq(0) for counter in counters]
                with m.If(final & ~overrun):
                    m.d.sync += complete.eq(1)

        for k in range(self.columns):
            here = into == k
            m.submodules[f"weights_{k}"] = memory = self._memory(len(group.as_value()), 2 * depth)
            m.d.comb += [
                memory.write_address.eq(weights_at),
                memory.write_data.eq(group),
                memory.write_enable.eq(write[weights] & here),
                memory.address.eq(place),
                self.weights[k].eq(memory.data),
            ]
            if self.protect:
                m.d.comb += [
                    self.corrected.weights[k].eq(memory.corrected),
                    self.uncorrectable.weights[k].eq(memory.uncorrectable),
                ]
            for name, what, out in (("preload", preload, self.preload[k]), ("shift", shift, self.shift[k])):
                if self.protect:
                    m.submodules[f"{name}_{k}"] = memory = ProtectedMemory(len(out), 2 * phases)
                    m.d.comb += [
                        memory.write_address.eq(row_at),
                        memory.write_data.eq(constant),
                        memory.write_enable.eq(write[what] & here),
                        memory.address.eq(self.constants_row),
                        out.eq(memory.data),
                        self.corrected[name][k].eq(memory.corrected),
                        self.uncorrectable[name][k].eq(memory.uncorrectable),
                    ]
                    continue
                m.submodules[f"{name}_{k}"] = memory = Memory(shape=out.shape(), depth=2 * phases, init=[])
                port, read = memory.write_port(), memory.read_port()
                m.d.comb += [
                    port.addr.eq(row_at),
                    port.data.eq(constant),
                    port.en.eq(write[what] & here),
                    read.addr.eq(self.constants_row),
                    out.eq(read.data),
                ]
        return m

    def _memory(self, bits: int, depth: int) -> Any:
        """Memory of the weights of a column."""
        return ProtectedMemory(bits, depth, memory=self.memory) if self.protect else self.memory(bits, depth)
