# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What the RTL must do, as assertions over free inputs, written from the codebook and the stream's contract.

Nothing here looks inside a block: a code is judged by bin edges as constants, a stream by a scoreboard that
follows one beat, which the solver chooses.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from amaranth.hdl import (
    Assert,
    Assume,
    Cat,
    Cover,
    Module,
    Mux,
    ResetSignal,
    Signal,
    Value,
    ValueLike,
    signed,
)
from amaranth.lib import wiring
from amaranth.lib.data import View
from amaranth.lib.wiring import In

from ..model.codebook import Codebook


class Property(wiring.Component):
    """Top module of a proof. Its ports are inputs that the solver chooses, the reset among them.

    Attributes
    ----------
    rules : list of str
        What is asserted, in words; filled by `elaborate`.
    situations : list of str
        What must be reachable, for else the rules say nothing; filled by `elaborate`.
    commands : tuple of str
        Yosys commands on the module as it was read.
    """

    commands: tuple[str, ...] = ()

    def __init__(self, members: dict[str, Any]) -> None:
        self.rules: list[str] = []
        self.situations: list[str] = []
        super().__init__(members)

    def rule(self, m: Module, text: str, condition: ValueLike) -> None:
        """Assert a condition."""
        self.rules.append(text)
        m.d.comb += Assert(condition, text)

    def reachable(self, m: Module, text: str, condition: ValueLike) -> None:
        """Ask for a run of the circuit that meets a condition."""
        self.situations.append(text)
        m.d.comb += Cover(condition, text)


def _constant(m: Module, index: Value, values: Sequence[int], beyond: int) -> Signal:
    """Constant number `index` of a list, or `beyond` where the list has ended."""
    chosen = Signal(range(max(*values, beyond) + 1))
    m.d.comb += chosen.eq(beyond)
    with m.Switch(index):
        for k, value in enumerate(values):
            with m.Case(k):
                m.d.comb += chosen.eq(value)
    return chosen


def in_bin(m: Module, codebook: Codebook, count: Value, code: Value) -> Value:
    """Whether edges[code] <= count < edges[code + 1]; never so for a code that the codebook does not have."""
    low = _constant(m, code, codebook.edges[:-1], codebook.edges[-1])
    high = _constant(m, code, codebook.edges[1:], 0)
    return (low <= count) & (count < high)


class CoreRules(Property):
    """Base of the rules for a combinational encoder with ports ``count`` and ``code``.

    Parameters
    ----------
    make : callable
        Builds the encoder.
    codebook : Codebook
        What it must implement.
    """

    inputs: tuple[str, ...] = ("count",)

    def __init__(self, make: Callable[[], Any], codebook: Codebook) -> None:
        self.make = make
        self.codebook = codebook
        super().__init__({name: In(codebook.count_bits) for name in self.inputs})

    def code(self, m: Module, count: ValueLike) -> Value:
        """Code of a count, from an encoder of its own."""
        core = self.make()
        m.submodules += core
        m.d.comb += core.count.eq(count)
        return core.code


class Encodes(CoreRules):
    """The code of every count is that of the bin it lies in."""

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        code = self.code(m, self.count)
        self.rule(m, "edges[code] <= N < edges[code + 1]", in_bin(m, self.codebook, self.count, code))
        return m


class WithinSigma(CoreRules):
    """The middle N' of the bin is within sqrt(N) / `parts` of N, as integers: parts^2 (2N' - 2N)^2 <= 4N."""

    def __init__(self, make: Callable[[], Any], codebook: Codebook, parts: int = 1) -> None:
        self.parts = parts
        super().__init__(make, codebook)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        edges = self.codebook.edges
        # Twice the middle of a bin is its first count plus its last.
        twice_middles = [first + end - 1 for first, end in pairwise(edges)]
        decoded = _constant(m, self.code(m, self.count), twice_middles, 4 * edges[-1])
        error = Signal(signed(self.codebook.count_bits + 4))
        m.d.comb += error.eq(decoded - 2 * self.count)
        factor = f"{self.parts**2} " if self.parts > 1 else ""
        self.rule(m, f"{factor}(2N' - 2N)^2 <= 4N", self.parts**2 * error * error <= 4 * self.count)
        return m


class Monotone(CoreRules):
    """A larger count never gets a smaller code."""

    inputs = ("smaller", "larger")

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        low, high = self.code(m, self.smaller), self.code(m, self.larger)
        self.rule(m, "code(M) <= code(N) for M <= N", (self.smaller > self.larger) | (low <= high))
        return m


class Contiguous(CoreRules):
    """Codes start at 0, leave none out and end at the codebook's largest."""

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        largest = (1 << self.codebook.count_bits) - 1
        code, following = self.code(m, self.count), self.code(m, self.count + 1)
        self.rule(m, "code(N + 1) <= code(N) + 1", (self.count == largest) | (following <= code + 1))
        self.rule(m, "code(0) = 0", (self.count != 0) | (code == 0))
        self.rule(
            m,
            "the largest count has the largest code",
            (self.count != largest) | (code == self.codebook.levels - 1),
        )
        return m


class StreamRules(Property):
    """Base of the rules for a block with streams ``i`` and ``o`` and a fixed ``latency``.

    One accepted beat after another, any that the solver marks, is followed to the output: it comes out after
    exactly `latency` clocks in which the pipeline could move, behind the beats that went in before it and
    before all others, and what it carries is right. As any beat can be the marked one, none is lost,
    duplicated or overtaken.

    Nothing is assumed of the source: it may drop ``valid`` or change the payload at any time. A reset may come
    in any clock.

    Parameters
    ----------
    make : callable
        Builds the block.
    any_state : bool
        True: the block's registers power up with any value, as in an ASIC, and the first clock is a reset.
        False: they power up with their initial values, as in an FPGA.
    """

    def __init__(self, make: Callable[[], Any], *, any_state: bool = True) -> None:
        self.block = make()
        self.any_state = any_state
        if any_state:
            self.commands = ("setattr -unset init top.dut*/w:*",)
        fields = {f"i_{name}": In(field.width) for name, field in self.block.i.p.shape()}
        self.started = Signal(init=not any_state, reset_less=True)
        super().__init__({**fields, "i_valid": In(1), "o_ready": In(1), "mark": In(1), **self.further_inputs()})

    def rule(self, m: Module, text: str, condition: ValueLike) -> None:
        """Assert a condition for all clocks but the reset that ends an unknown state."""
        super().rule(m, text, ~self.started | condition)

    def further_inputs(self) -> dict[str, Any]:
        """Ports besides those of the two streams."""
        return {}

    def accepts(self, m: Module) -> ValueLike:
        """Whether the block takes beats at all."""
        return 1

    def remember(self, m: Module) -> Value:
        """What must be known of a beat, when it goes in, to judge what comes out."""
        return Value.cast(self.block.i.p)

    def right(self, m: Module, remembered: Value) -> Value:
        """Whether the payload at the output is that of the beat remembered."""
        raise NotImplementedError

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.dut = block = self.block
        i, o, latency = block.i, block.o, block.latency
        for name, _ in i.p.shape():
            m.d.comb += Value.cast(i.p[name]).eq(getattr(self, f"i_{name}"))
        m.d.comb += [i.valid.eq(self.i_valid), o.ready.eq(self.o_ready)]

        m.d.sync += self.started.eq(1)
        m.d.comb += Assume(self.started | ResetSignal())

        taken, given = i.valid & i.ready, o.valid & o.ready
        moving = ~o.valid | o.ready
        waited = Signal()
        held = Signal(len(Value.cast(o.p)), reset_less=True)
        was_reset = Signal(reset_less=True)
        inside = Signal(range(latency + 2))
        m.d.sync += [
            waited.eq(o.valid & ~o.ready),
            held.eq(o.p),
            was_reset.eq(ResetSignal()),
            inside.eq(inside + taken - given),
        ]

        followed = Signal()
        before = Signal.like(inside)
        age = Signal(range(latency + 1))
        memory = self.remember(m)
        remembered = Signal(len(memory), reset_less=True)
        turn = followed & o.valid & (before == 0)
        with m.If(taken & self.mark & ~followed):
            m.d.sync += [followed.eq(1), age.eq(1), before.eq(inside - given), remembered.eq(memory)]
        with m.If(followed):
            with m.If(moving & (age != latency)):
                m.d.sync += age.eq(age + 1)
            with m.If(given):
                with m.If(before == 0):
                    m.d.sync += followed.eq(0)
                with m.Else():
                    m.d.sync += before.eq(before - 1)

        self.rule(m, "valid stays until the transfer", ~waited | o.valid)
        self.rule(m, "the payload stays until the transfer", ~waited | (held == Value.cast(o.p)))
        self.rule(
            m,
            "a beat is taken in every clock in which the output does not wait",
            i.ready == (moving & self.accepts(m)),
        )
        self.rule(m, "no beat comes out that did not go in", ~o.valid | (inside != 0))
        self.rule(m, "a beat comes out after `latency` moving clocks", ~(followed & (age == latency)) | turn)
        self.rule(m, "a beat comes out no earlier and only once", ~(followed & (age != latency)) | ~turn)
        self.rule(m, "a beat comes out with its own code and last", ~turn | self.right(m, remembered))
        self.rule(m, "a reset empties the pipeline", ~was_reset | ~o.valid)
        self.reachable(m, "the last beat of a frame comes out after a wait", turn & waited & given & o.p.last)
        return m


class EncoderStream(StreamRules):
    """Stream rules of an encoder whose table is fixed: each lane's code is that of the bin its count lies in.

    Counts above the codebook's range get its last code and the flag ``saturated``.
    """

    def right(self, m: Module, remembered: Value) -> Value:
        beat, codebook, o = View(self.block.i.p.shape(), remembered), self.block.codebook, self.block.o
        conditions = [o.p.last == beat.last]
        for lane in range(self.block.lanes):
            count, largest = beat.counts[lane], codebook.edges[-1] - 1
            above = count > largest
            conditions += [
                in_bin(m, codebook, Mux(above, largest, count), o.p.codes[lane]),
                o.p.saturated[lane] == above,
            ]
        return Cat(conditions).all()


class DecoderStream(StreamRules):
    """Stream rules of a decoder with one fraction bit: each level is its bin's first count plus its last.

    Codes that the codebook does not have get the last level and the flag ``unknown``.
    """

    def right(self, m: Module, remembered: Value) -> Value:
        beat, codebook, o = View(self.block.i.p.shape(), remembered), self.block.codebook, self.block.o
        levels = [first + end - 1 for first, end in pairwise(codebook.edges)]
        conditions = [o.p.last == beat.last]
        for lane in range(self.block.lanes):
            code = beat.codes[lane]
            conditions += [
                o.p.levels[lane] == _constant(m, code, levels, levels[-1]),
                o.p.unknown[lane] == (code >= len(levels)),
            ]
        return Cat(conditions).all()


class TableStream(StreamRules):
    """Stream rules of the threshold encoder while tables come in.

    The rules keep a table of their own. One of the right length takes its place after its last word, any other
    changes nothing and raises ``table_error``. A beat's code is the number of thresholds below its count in the
    table in force when it was accepted, whatever comes in while it is on its way. A word taken in the clock of
    a reset counts as taken.

    Assumed: the thresholds of a table that takes effect do not fall.
    """

    def __init__(self, make: Callable[[], Any], *, any_state: bool = True) -> None:
        super().__init__(make, any_state=any_state)
        if any_state:
            self.commands += ("delete top.dut*/t:$meminit*",)

    def further_inputs(self) -> dict[str, Any]:
        return {
            "table_threshold": In(self.block.codebook.count_bits),
            "table_last": In(1),
            "table_valid": In(1),
        }

    def accepts(self, m: Module) -> ValueLike:
        return self.loaded

    def remember(self, m: Module) -> Value:
        beat, largest = self.block.i.p, self.block.codebook.edges[-1] - 1
        codes, above = [], []
        for lane in range(self.block.lanes):
            count = Mux(beat.counts[lane] > largest, largest, beat.counts[lane])
            code = Signal(self.block.codebook.code_bits)
            m.d.comb += code.eq(sum((count > threshold for threshold in self.in_force), start=0))
            codes.append(code)
            above.append(beat.counts[lane] > largest)
        return Cat(codes, above, beat.last)

    def right(self, m: Module, remembered: Value) -> Value:
        return remembered == Value.cast(self.block.o.p)

    def elaborate(self, platform: Any) -> Module:
        block = self.block
        words, count_bits = (1 << block.codebook.code_bits) - 1, block.codebook.count_bits
        preset = block.codebook.thresholds().tolist() if block.preload else [0] * words
        self.in_force = [Signal(count_bits, init=word, reset_less=True) for word in preset]
        self.loaded = Signal(init=block.preload)

        m = super().elaborate(platform)
        table = block.table
        m.d.comb += [
            table.p.threshold.eq(self.table_threshold),
            table.p.last.eq(self.table_last),
            table.valid.eq(self.table_valid),
        ]

        arrived = [Signal(count_bits, reset_less=True) for _ in range(words - 1)]
        # Counts the words of the table that is coming in, up to one too many.
        number = Signal(range(words + 1))
        taken = table.valid & table.ready
        complete = taken & table.p.last & (number == words - 1)
        with m.If(taken):
            m.d.sync += number.eq(Mux(table.p.last, 0, Mux(number == words, words, number + 1)))
            with m.Switch(number):
                for k, word in enumerate(arrived):
                    with m.Case(k):
                        m.d.sync += word.eq(table.p.threshold)
        with m.If(complete):
            m.d.sync += [
                self.loaded.eq(1),
                *(a.eq(b) for a, b in zip(self.in_force, [*arrived, table.p.threshold], strict=True)),
            ]
        for low, high in pairwise(self.in_force):
            m.d.comb += Assume(~self.loaded | (low <= high))

        refused = Signal()
        m.d.sync += refused.eq(taken & table.p.last & ~complete)
        # Clocks in which the pipeline could move since the table changed.
        moves = Signal(range(block.latency + 1))
        with m.If(complete | ResetSignal()):
            m.d.sync += moves.eq(0)
        with m.Elif((~block.o.valid | block.o.ready) & (moves != block.latency)):
            m.d.sync += moves.eq(moves + 1)

        self.rule(
            m,
            "table_error is high after a table of the wrong length, and only then",
            block.table_error == refused,
        )
        self.rule(m, "a table waits for `latency` moving clocks at most", (moves != block.latency) | table.ready)
        self.reachable(m, "a table is refused", block.table_error)
        self.reachable(m, "a table takes effect while a beat is inside", complete & block.o.valid & ~block.o.ready)
        return m
