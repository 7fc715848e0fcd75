# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Encoders: a count in, its code out, one pixel a lane a clock.

Three architectures behind one stream interface. `ShiftEncoder` is the smallest and has its codebook wired
in, `ThresholdEncoder` takes any codebook and changes it at run time, `TableEncoder` is the read-only memory
to compare them with.
"""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..model.codebook import Codebook
from ..model.schemes import sqrt_shift
from ..model.secded import Secded
from .beat import check_lanes, codes_beat, counts_beat, table_beat
from .pipeline import delay, handshake
from .secded import correct, encode, syndrome


class ShiftCore(wiring.Component):
    """Combinational encoder without an adder: leading one, shift, concatenation.

    Counts below 2**linear_bits pass as they are. Above, two octaves share a shift: counts whose leading one is at bit
    top - 1 or top keep the window ``count[shift:top]``. A leading one at top - 1 becomes the window's own highest
    bit, one at top lies just above it; what is missing of the code is one marker bit, which two octaves share in turn.

    Latency 0. Area: ``benchmarks/encoder_area.py`` measures it beside other structures, ``ptychopress bench silicon``
    beside peers.

    Parameters
    ----------
    codebook : Codebook
        One of the family `ptychopress.model.schemes.sqrt_shift`, to which sqrt-a, b and c belong. The variants that
        count zero as a level do not: their codes are one less, which would take a subtractor.

    Members
    -------
    count : In(count_bits)
    code : Out(code_bits)

    Raises
    ------
    ValueError
        For a codebook outside the family.
    """

    def __init__(self, codebook: Codebook) -> None:
        self.codebook = codebook
        self.linear_bits = _linear_bits(codebook)
        super().__init__({"count": In(codebook.count_bits), "code": Out(codebook.code_bits)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        count, low, width = self.count, self.linear_bits, self.codebook.count_bits

        # seen[k]: there is a one at bit k or above.
        seen = [Signal(name=f"seen_{k}") for k in range(width + 2)]
        m.d.comb += [seen[k].eq(seen[k + 1] | count[k]) for k in range(width)]

        def leading(first: int, stop: int) -> Value:
            """Whether the leading one is at one of the bits first to stop - 1."""
            return seen[first] & ~seen[stop]

        linear = Mux(seen[low], 0, count[:low])
        windows = [
            Mux(leading(max(low, top - 1), min(top + 1, width)), count[shift:top], 0)
            for shift, top in enumerate(range(low, width + 1, 2), start=1)
        ]
        markers = [leading(k, min(k + 2, width)) for k in range(low, width, 2)]
        m.d.comb += self.code.eq(reduce(or_, [*windows, Cat(linear, markers)]))
        return m


def allows_shifts(codebook: Codebook) -> bool:
    """Whether `ShiftEncoder` takes this codebook."""
    try:
        _linear_bits(codebook)
    except ValueError:
        return False
    return True


def _linear_bits(codebook: Codebook) -> int:
    """Return the linear bits of a codebook of the family `sqrt_shift`."""
    stop = codebook.edges[-1]
    for bits in range(1, codebook.count_bits + 1):
        if codebook.edges == (*sqrt_shift(stop, bits), stop):
            return bits
    raise ValueError(
        f"codebook {codebook.name} cannot be encoded by shifts: its steps are not 1 below a power of two and, above,"
        " doubled every second octave; use the threshold encoder"
    )


class _Encoder(wiring.Component):
    """Stream interface of all encoders: lanes, saturation, end of frame.

    Parameters
    ----------
    codebook : Codebook
    lanes : int
        Pixels a beat, 1 to 1024.
    input_bits : int, optional
        Width of an incoming count, by default that of the codebook. With more, counts above the codebook's
        range get its last code and are flagged, never wrapped.

    Members
    -------
    i : In(stream of counts_beat)
    o : Out(stream of codes_beat)
    """

    def __init__(
        self, codebook: Codebook, *, lanes: int = 1, input_bits: int | None = None, **members: wiring.Member
    ) -> None:
        check_lanes(lanes)
        if input_bits is None:
            input_bits = codebook.count_bits
        if not isinstance(input_bits, int) or not codebook.count_bits <= input_bits <= 32:
            raise ValueError(
                f"input_bits must lie between the codebook's {codebook.count_bits} and 32, got {input_bits!r}"
            )
        self.codebook = codebook
        self.lanes = lanes
        self.input_bits = input_bits
        super().__init__(
            {
                "i": In(stream.Signature(counts_beat(input_bits, lanes))),
                "o": Out(stream.Signature(codes_beat(codebook.code_bits, lanes))),
                **members,
            }
        )

    def _clamp(self, lane: int) -> tuple[Value, Value]:
        """Return the count of a lane within the codebook's range, and whether it was above."""
        count = self.i.p.counts[lane]
        above = count[self.codebook.count_bits :].any()
        return count[: self.codebook.count_bits] | above.replicate(self.codebook.count_bits), above


class ShiftEncoder(_Encoder):
    """`ShiftCore` in every lane, and a register behind it.

    Latency 1 clock, throughput one beat a clock. A stalled output stalls the input in the same clock
    (``i.ready`` is combinational from ``o.ready``); an empty register takes a beat while the output waits.
    """

    latency = 1

    def __init__(self, codebook: Codebook, *, lanes: int = 1, input_bits: int | None = None) -> None:
        _linear_bits(codebook)
        super().__init__(codebook, lanes=lanes, input_bits=input_bits)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        advance = handshake(m, self.i, self.o, self.latency)
        for lane in range(self.lanes):
            m.submodules[f"core_{lane}"] = core = ShiftCore(self.codebook)
            count, above = self._clamp(lane)
            m.d.comb += [
                core.count.eq(count),
                self.o.p.codes[lane].eq(delay(m, advance, core.code)[-1]),
                self.o.p.saturated[lane].eq(delay(m, advance, above)[-1]),
            ]
        m.d.comb += self.o.p.last.eq(delay(m, advance, self.i.p.last)[-1])
        return m


class TableEncoder(_Encoder):
    """A read-only memory of 2**count_bits codes for every lane: the reference to compare area with.

    Latency 1 clock, throughput one beat a clock, stalls as `ShiftEncoder`. Takes any codebook.
    """

    latency = 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        advance = handshake(m, self.i, self.o, self.latency)
        for lane in range(self.lanes):
            rom = Memory(
                shape=self.codebook.code_bits, depth=len(self.codebook.table), init=self.codebook.table.tolist()
            )
            m.submodules[f"rom_{lane}"] = rom
            port = rom.read_port()
            count, above = self._clamp(lane)
            m.d.comb += [
                port.addr.eq(count),
                port.en.eq(advance),
                self.o.p.codes[lane].eq(port.data),
                self.o.p.saturated[lane].eq(delay(m, advance, above)[-1]),
            ]
        m.d.comb += self.o.p.last.eq(delay(m, advance, self.i.p.last)[-1])
        return m


class ThresholdEncoder(_Encoder):
    """Any codebook, changed at run time: a binary search through the thresholds, one bit of the code a clock.

    Stage t compares the count with one of 2**t thresholds, chosen by the t bits of the code found so far, in a
    memory of its own. Latency code_bits clocks, throughput one beat a clock; a stalled output stops the
    whole pipeline and, in the same clock, the input.

    A table comes in over ``table`` as `Codebook.thresholds` lists it, 2**code_bits - 1 words, ``last`` on the
    final one. It goes into a second bank while the first keeps working, and serves every beat accepted after
    its last word. A table that ends early or late is dropped whole, and ``table_error`` is high for one clock.
    ``table.ready`` is low while a pixel that needs the bank to be overwritten is still on its way.

    With `protect` every threshold is stored with SECDED check bits: one wrong bit is corrected, two are flagged. That
    takes a clock more in a stage, so latency is 2 * code_bits clocks. What is stored stays as it is, and is reported
    with every beat that is encoded by it.

    Memory: 2 * (2**code_bits - 1) * count_bits bits a lane; protected, `Secded(count_bits).word_bits` for count_bits.

    Parameters
    ----------
    codebook : Codebook
        Sets the widths and, with `preload`, the first table.
    preload : bool
        True: the codebook is in the memories' initial values, as FPGAs allow; a reset leaves the last complete
        table in force. False, for ASICs: ``i.ready`` stays low from a reset to the end of the next table.
    protect : bool
        Protect the memories.
    lanes, input_bits
        As for every encoder.

    Members
    -------
    i : In(stream of counts_beat)
    o : Out(stream of codes_beat)
    table : In(stream of table_beat)
    table_error : Out(1)
    upset : Out(1), if protected
        Beside the beat in ``o``: a threshold needed for it was uncorrectable.
    corrected, uncorrectable : Out(1), if protected
        High for one clock, that after the transfer, for each beat that needed a threshold that was corrected or could
        not be.
    """

    def __init__(
        self,
        codebook: Codebook,
        *,
        lanes: int = 1,
        input_bits: int | None = None,
        preload: bool = True,
        protect: bool = False,
    ) -> None:
        self.preload = preload
        self.protect = protect
        self.secded = Secded(codebook.count_bits)
        self.latency = codebook.code_bits * (1 + protect)
        super().__init__(
            codebook,
            lanes=lanes,
            input_bits=input_bits,
            table=In(stream.Signature(table_beat(codebook.count_bits))),
            table_error=Out(1),
            **({name: Out(1) for name in ("upset", "corrected", "uncorrectable")} if protect else {}),
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        code_bits, count_bits = self.codebook.code_bits, self.codebook.count_bits

        # Which bank serves new beats, and whether it holds a table. Where memories have initial values the
        # bank outlives a reset, as its table does; elsewhere both banks are void after one.
        bank = Signal(reset_less=self.preload)
        loaded = Signal(init=self.preload)

        advance = handshake(m, self.i, self.o, self.latency, enable=loaded)
        # The bank of each beat on its way; a bubble may carry either. Those that a power-up left would hold up a table.
        banks = delay(m, advance, bank, self.latency, reset=not self.preload)
        shadow_busy = Cat(stage != bank for stage in banks).any()

        word = Signal(code_bits, init=1)
        final = word.all()
        write = Signal()
        m.d.comb += [self.table.ready.eq(~shadow_busy), write.eq(self.table.valid & self.table.ready)]
        overrun = Signal()
        with m.If(write):
            m.d.sync += word.eq(word + 1)
            with m.If(final & ~self.table.p.last):
                m.d.sync += overrun.eq(1)
            with m.If(self.table.p.last):
                m.d.sync += [word.eq(1), overrun.eq(0)]
                with m.If(final & ~overrun):
                    m.d.sync += [bank.eq(~bank), loaded.eq(1)]
        m.d.sync += self.table_error.eq(write & self.table.p.last & ~(final & ~overrun))

        stored: Value = self.table.p.threshold
        if self.protect:
            stored = encode(self.secded, stored)
        clocks = 1 + self.protect  # of a stage
        # Of each stage: what its memories say of the words they gave.
        corrected: list[list[Value]] = [[] for _ in range(code_bits)]
        uncorrectable: list[list[Value]] = [[] for _ in range(code_bits)]
        for lane in range(self.lanes):
            count, above = self._clamp(lane)
            counts = [count, *delay(m, advance, count, self.latency)]
            code: Value = Const(0, 0)
            for stage in range(code_bits):
                memory = Memory(shape=len(stored), depth=2 << stage, init=self._stage_init(stage))
                m.submodules[f"thresholds_{lane}_{stage}"] = memory
                # Word k belongs to the stage of its lowest 1; what stands above that bit is its place there.
                height = code_bits - 1 - stage
                port = memory.write_port()
                m.d.comb += [
                    port.addr.eq(Cat(word[height + 1 :], ~bank)),
                    port.data.eq(stored),
                    port.en.eq(write & (word[: height + 1] == 1 << height)),
                ]
                read = memory.read_port()
                m.d.comb += [read.addr.eq(Cat(code, [bank, *banks][stage * clocks])), read.en.eq(advance)]
                threshold: Value = read.data
                if self.protect:
                    fault = Signal(self.secded.check_bits, name=f"syndrome_{lane}_{stage}")
                    m.d.comb += fault.eq(syndrome(self.secded, read.data))
                    right, *report = correct(self.secded, read.data[:count_bits], fault)
                    threshold = delay(m, advance, right)[-1]
                    corrected[stage].append(report[0])
                    uncorrectable[stage].append(report[1])
                above_threshold = counts[(stage + 1) * clocks] > threshold
                code = Cat(above_threshold, delay(m, advance, code, clocks)[-1] if stage else Const(0, 0))
            m.d.comb += [
                self.o.p.codes[lane].eq(code),
                self.o.p.saturated[lane].eq(delay(m, advance, above, self.latency)[-1]),
            ]
        m.d.comb += self.o.p.last.eq(delay(m, advance, self.i.p.last, self.latency)[-1])

        if self.protect:
            # Carried along with the beat: a bubble reads words too, which need not have been written.
            seen: Value = Const(0, 2)
            for stage, words in enumerate(zip(corrected, uncorrectable, strict=True)):
                before = delay(m, advance, seen, clocks)[-1] if stage else seen
                seen = Cat(Cat(bits).any() for bits in words) | before
            seen = delay(m, advance, seen)[-1]
            m.d.comb += self.upset.eq(seen[1])
            m.d.sync += Cat(self.corrected, self.uncorrectable).eq(seen & (self.o.valid & self.o.ready).replicate(2))
        return m

    def _stage_init(self, stage: int) -> list[int]:
        """Thresholds of the codebook in bank 0 of a stage's memory."""
        if not self.preload:
            return []
        half = 1 << (self.codebook.code_bits - 1 - stage)
        thresholds = self.codebook.thresholds()[half - 1 :: 2 * half].tolist()
        return [self.secded.word(threshold) for threshold in thresholds] if self.protect else thresholds
