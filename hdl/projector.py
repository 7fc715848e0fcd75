# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Projector: a frame of pixels in, its coefficients out, by weights that are loaded at run time."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..model.projection import ProjectionFormat
from .beat import below, check_lanes, coefficients_beat, values_beat, word_beat
from .block_memory import BlockMemory
from .multiplier import Multiplier
from .weights import WeightMemory


class Projector(wiring.Component):
    """Matrix times vector for frames of any size, exactly as `ptychopress.model.projection.Projection`.

    A beat of P = `lanes` pixels stays for F = `phases` clocks; in each, P * C multipliers work on it for the next
    C = `columns` components. The sums of a frame go round in a ring of F rows, in step with the weights, which are read
    in order. After the last beat the rows leave the ring for shifter and saturation, and wait in a FIFO of
    more than F rows while the next frame comes in.

    Throughput: exactly `beats` * F clocks a frame, as long as the output keeps up; no clock is idle between
    frames. Latency: `latency` clocks from the last beat taken to the first coefficients offered.
    Stalls: nothing behind the input ever stalls. The last beat of a frame waits, and with it the input, while the FIFO
    has no room; ``i.ready`` depends on registers only.

    A frame that ends early gets the coefficients of what came, as if the rest were 0, and the flag ``short``. One that
    does not end with its last beat gets those of its first N pixels and the flag ``long``; what follows, up to and
    including ``last``, is dropped. Lanes of the last beat beyond pixel N are ignored; columns of the last row beyond
    component S' are 0.

    Weights come in over ``table``, as `WeightMemory` says: a frame is projected by the last table that was complete
    in an earlier clock than that of its first beat. Until there is one, ``i.ready`` is low.

    With `protect` every word of a table is stored with SECDED check bits: one wrong bit is corrected, two are flagged.
    That takes a clock of latency more. A wrong word is reported in each frame that is computed from it, and in no
    other. The sums on their way round and the FIFO are not protected.

    Memory: 2 * beats * P * F * C weights. Area: ``benchmarks/projector_area.py``.

    Parameters
    ----------
    format : ProjectionFormat
    lanes : int
        P, pixels a beat, 1 to 1024.
    columns : int
        C, components at a time and coefficients a beat, 1 to 1024.
    multiplier : type
        Class of the multipliers, with the constructor, ports and `latency` of `Multiplier`.
    memory : type
        Class of the memories of weights, with the constructor, ports and `latency` of `BlockMemory`.
    protect : bool
        Protect the memories of the table.

    Members
    -------
    i : In(stream of values_beat)
    o : Out(stream of coefficients_beat)
        `phases` beats a frame; component f * C + c is in beat f, column c. Protected, it has the flag ``upset``: a word
        that was needed for the frame was uncorrectable. In the frame's last beat it speaks for the whole frame, in the
        others of the words needed so far.
    table : In(stream of word_beat)
    table_error : Out(1)
    corrected, uncorrectable : Out(1), if protected
        High for a clock for each clock in which a word that a frame needs, one or more, was corrected or could not be.
        A step needs a word of weights for each component; a frame, once for each, first value and shift.
    """

    def __init__(
        self,
        format: ProjectionFormat,
        *,
        lanes: int = 8,
        columns: int = 4,
        multiplier: type[Any] = Multiplier,
        memory: type[Any] = BlockMemory,
        protect: bool = False,
    ) -> None:
        check_lanes(lanes)
        check_lanes(columns, "columns")
        self.format = format
        self.lanes = lanes
        self.columns = columns
        self.multiplier = multiplier
        self.memory = memory
        self.protect = protect
        self.beats = -(-format.pixels // lanes)
        self.phases = -(-format.components // columns)
        super().__init__(
            {
                "i": In(stream.Signature(values_beat(format.input_bits, lanes))),
                "o": Out(stream.Signature(coefficients_beat(format.output_bits, columns, upset=protect))),
                "table": In(stream.Signature(word_beat(format.bias_format.bits))),
                "table_error": Out(1),
                **({"corrected": Out(1), "uncorrectable": Out(1)} if protect else {}),
            }
        )

    @property
    def frame_clocks(self) -> int:
        """Clocks that a frame takes."""
        return self.beats * self.phases

    @property
    def latency(self) -> int:
        """Clocks from the last beat of a frame taken to the first coefficients offered."""
        # Hold, read, multiply, add up, accumulate; shift and saturate; through the FIFO.
        return 1 + self._sum_clocks + 1 + self._round_clocks + 2

    @property
    def _read_clocks(self) -> int:
        """Clocks from a step to its weights."""
        return 1 + self.memory.latency + self.protect

    @property
    def _sum_clocks(self) -> int:
        """Clocks from a step to the sum of its products."""
        return self._read_clocks + self.multiplier.latency + (self.lanes - 1).bit_length()

    @property
    def _round_clocks(self) -> int:
        """Clocks from an accumulator to its coefficient."""
        return -(-self.format.largest_shift.bit_length() // 2) + 2

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        size, lanes, columns = self.format, self.lanes, self.columns

        m.submodules.memory = memory = WeightMemory(
            size, lanes=lanes, columns=columns, settle=self._sum_clocks, memory=self.memory, protect=self.protect
        )
        wiring.connect(m, wiring.flipped(self.table), memory.table)
        m.d.comb += self.table_error.eq(memory.table_error)

        # A beat in hand, and what is to be known of it.
        held, first, terminal = Signal(), Signal(), Signal()
        values = Signal(ArrayLayout(size.input_bits, lanes), reset_less=True)
        short, long, clipped = Signal(), Signal(), Signal()
        # The next beat's place in its frame; whether it belongs to the rest of one that is too long.
        beat, excess = Signal(below(self.beats)), Signal()
        beat_start, beat_end = Signal(init=1), Signal(init=self.beats == 1)

        # One step a clock: the beat in hand with the next row of components.
        phase, room = Signal(below(self.phases)), Signal()
        row_end = Signal(init=self.phases == 1)
        step, done, free = Signal(), Signal(), Signal()
        m.d.comb += [
            step.eq(held & (~terminal | room)),
            done.eq(step & row_end),
            free.eq(~held | done),
            self.i.ready.eq(memory.loaded & free),
            memory.step.eq(step),
            memory.phase.eq(phase),
            memory.between.eq(free & beat_start),
        ]
        with m.If(step):
            m.d.sync += _count(phase, self.phases, row_end)
        with m.If(done):
            m.d.sync += held.eq(0)
        with m.If(self.i.valid & self.i.ready):
            last = self.i.p.last
            with m.If(excess):
                m.d.sync += excess.eq(~last)
            with m.Else():
                m.d.sync += [
                    held.eq(1),
                    first.eq(beat_start),
                    terminal.eq(last | beat_end),
                    short.eq(last & ~beat_end),
                    long.eq(~last & beat_end),
                    excess.eq(~last & beat_end),
                    clipped.eq(self.i.p.clipped | (clipped & ~beat_start)),
                    beat_start.eq(last | beat_end),
                    *_count(beat, self.beats, beat_end, last),
                ]
        # Without a beat, or in what is dropped, what they hold is not used.
        with m.If(free):
            for lane in range(lanes):
                beyond = beat_end if (self.beats - 1) * lanes + lane >= size.pixels else Const(0)
                m.d.sync += values[lane].eq(Mux(beyond, 0, self.i.p.values[lane]))

        # Products of a step, added up, one sum a column. Nothing of it can stall.
        sums = []
        aligned = _delay(m, values, self._read_clocks)
        for column in range(columns):
            products = []
            for lane in range(lanes):
                m.submodules[f"multiplier_{column}_{lane}"] = multiplier = self.multiplier(
                    size.input_bits, size.weight_bits
                )
                m.d.comb += [
                    multiplier.value.eq(aligned[lane]),
                    multiplier.weight.eq(memory.weights[column][lane]),
                ]
                products.append(multiplier.product)
            sums.append(_adder_tree(m, products))

        clocks = self._sum_clocks
        valid, opening, closing, end = (
            _delay(m, bit, clocks, reset=True) for bit in (step, first, step & terminal, row_end)
        )
        flags = _delay(m, Cat(short, long, clipped), clocks)
        m.d.comb += memory.constants_row.eq(_delay(m, memory.row, clocks - 1 - memory.constants_latency))

        # Accumulate, and shift what a frame leaves behind.
        rounded = []
        for column in range(columns):
            total = Signal(signed(size.accumulator_format.bits), name=f"total_{column}", reset_less=True)
            so_far = _ring(m, f"ring_{column}", valid, total, self.phases - 1)
            with m.If(valid):
                m.d.sync += total.eq(Mux(opening, memory.preload[column], so_far) + sums[column])
            shift = _delay(m, memory.shift[column], 1)
            rounded.append(_saturate(m, _shift_right(m, total, shift), size.output_bits))

        # The row that ends a frame has columns without a component.
        unused = self.phases * columns - size.components
        upset = None
        if self.protect:
            opens = _delay(m, first & (phase == 0), clocks)
            component = Const((1 << columns - unused) - 1, columns) | ~end.replicate(columns)

            def needed(reports: Any) -> Value:
                weights = _delay(m, reports.weights, clocks - self._read_clocks)
                used = [
                    weights & valid.replicate(columns),
                    reports.preload & (valid & opening).replicate(columns),
                    reports.shift & closing.replicate(columns),
                ]
                return (reduce(or_, used) & component).any()

            upset, wrong = Signal(reset_less=True), needed(memory.uncorrectable)
            with m.If(valid):
                m.d.sync += upset.eq(wrong | (upset & ~opens))
            m.d.sync += [self.corrected.eq(needed(memory.corrected)), self.uncorrectable.eq(wrong)]
        clocks = 1 + self._round_clocks
        write, end = _delay(m, closing, clocks, reset=True), _delay(m, end, clocks)
        beat_out = Signal(self.o.p.shape())
        for column, (coefficient, saturated) in enumerate(rounded):
            used = ~end if column >= columns - unused else Const(1)
            m.d.comb += [
                beat_out.coefficients[column].eq(Mux(used, coefficient, 0)),
                beat_out.flags.saturated[column].eq(used & saturated),
            ]
        m.d.comb += [
            Cat(beat_out.flags.short, beat_out.flags.long, beat_out.flags.clipped).eq(_delay(m, flags, clocks)),
            beat_out.last.eq(end),
        ]
        if upset is not None:
            m.d.comb += beat_out.flags.upset.eq(_delay(m, upset, self._round_clocks))

        # A step that will write takes a place in the FIFO beforehand; it is free again when the sink has the row.
        # Places are counted a clock behind, and compared another: two more may be taken by then.
        depth = self.phases + self.latency + 6
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=len(beat_out.as_value()), depth=depth)
        m.d.comb += [
            fifo.w_data.eq(beat_out),
            fifo.w_en.eq(write),
            self.o.payload.eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
        ]
        places = Signal(range(depth + 1), init=depth)
        taken, freed = Signal(), Signal()
        m.d.sync += [taken.eq(step & terminal), freed.eq(self.o.valid & self.o.ready), room.eq(places > 2)]
        with m.If(taken & ~freed):
            m.d.sync += places.eq(places - 1)
        with m.If(~taken & freed):
            m.d.sync += places.eq(places + 1)
        return m


def _count(counter: Signal, limit: int, at_end: Signal, stop: Any = 0) -> list[Any]:
    """Statements that count up, and start again at the end or by `stop`; `at_end` is kept with the counter."""
    restart = Value.cast(stop) | at_end
    return [
        counter.eq(Mux(restart, 0, counter + 1)),
        at_end.eq(Mux(restart, limit == 1, counter == limit - 2)),
    ]


def _delay(m: Module, value: Any, clocks: int, *, reset: bool = False) -> Any:
    """The value of so many clocks before; data has no reset, control has."""
    for _ in range(clocks):
        register = Signal.like(value, reset_less=not reset)
        m.d.sync += register.eq(value)
        value = register
    return value


def _adder_tree(m: Module, values: Sequence[Value]) -> Value:
    """Sum of values, two by two, with a register behind each of ceil(log2(len(values))) additions."""
    while len(values) > 1:
        pairs = [sum(values[k : k + 2], start=Const(0, 0)) for k in range(0, len(values), 2)]
        values = []
        for pair in pairs:
            register = Signal(pair.shape(), reset_less=True)
            m.d.sync += register.eq(pair)
            values.append(register)
    return values[0]


def _ring(m: Module, name: str, move: Value, value: Signal, places: int) -> Value:
    """Value `places` moves ago: registers for a few places, a memory for more."""
    if places < 3:
        for _ in range(places):
            register = Signal.like(value, reset_less=True)
            with m.If(move):
                m.d.sync += register.eq(value)
            value = register
        return value
    # The read register is one place; the word read is the oldest, the next to be overwritten.
    m.submodules[name] = memory = Memory(shape=value.shape(), depth=places, init=[])
    write, read = memory.write_port(), memory.read_port()
    place, oldest = Signal(range(places)), Signal(range(places), init=1)
    with m.If(move):
        m.d.sync += [place.eq(oldest), oldest.eq(Mux(oldest == places - 1, 0, oldest + 1))]
    m.d.comb += [
        write.addr.eq(place),
        write.data.eq(value),
        write.en.eq(move),
        read.addr.eq(oldest),
        read.en.eq(move),
    ]
    return read.data


def _shift_right(m: Module, value: Value, shift: Value) -> Value:
    """Value shifted right, rounding down, two bits of the shift a clock."""
    for low in range(0, len(shift), 2):
        digit = shift[low : low + 2]
        register, rest = Signal.like(value, reset_less=True), Signal(len(shift), reset_less=True)
        with m.Switch(digit):
            for k in range(1 << len(digit)):
                with m.Case(k):
                    m.d.sync += register.eq(value >> (k << low))
        m.d.sync += rest.eq(shift)
        value, shift = register, rest
    return value


def _saturate(m: Module, value: Value, bits: int) -> tuple[Value, Value]:
    """Value in so many bits, the nearest if it needs more, and whether it did; two clocks."""
    above = value[bits - 1 :]
    outside, negative = Signal(reset_less=True), Signal(reset_less=True)
    low = Signal(signed(bits), reset_less=True)
    m.d.sync += [outside.eq(above.any() & ~above.all()), negative.eq(value[-1]), low.eq(value)]
    result, saturated = Signal(signed(bits), reset_less=True), Signal(reset_less=True)
    limit = Mux(negative, Const(-(1 << (bits - 1)), signed(bits)), Const((1 << (bits - 1)) - 1, signed(bits)))
    m.d.sync += [result.eq(Mux(outside, limit, low)), saturated.eq(outside)]
    return result, saturated
