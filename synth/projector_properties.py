# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What a projector must do, as assertions at its ports: its streams, its tables, its sums.

The sums are judged by the formula alone. The solver chooses one component, a table for it and a frame, as constants;
the rules watch for that table and that frame to come by, and for the coefficient that belongs to them.
"""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Assume, Cat, Const, Module, Mux, ResetSignal, Signal, Value, signed
from amaranth.lib.wiring import In

from ..hdl.fixed import shape_of
from ..hdl.projector import Projector
from .properties import Property


class WatchedProjector(Projector):
    """Projector whose coefficients are seen on their way into the FIFO at its end.

    Attributes
    ----------
    step : Signal
        A row of components is multiplied with the beat in hand.
    write, write_data : Signal
        A row of coefficients goes into the FIFO, `write_clocks` after its step.
    room : Signal
        Whether the FIFO takes a row.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.step, self.write, self.room = Signal(), Signal(), Signal()
        self.write_data = Signal(self.o.p.shape())

    @property
    def write_clocks(self) -> int:
        """Clocks from a step to its row's way into the FIFO."""
        # Of the latency, one clock takes the beat in hand and two pass in the FIFO.
        return self.latency - 3

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        fifo = m.submodules.fifo
        m.d.comb += [
            self.step.eq(m.submodules.memory.step),
            self.write.eq(fifo.w_en),
            self.write_data.eq(fifo.w_data),
            self.room.eq(fifo.w_rdy),
        ]
        return m


class ProjectorRules(Property):
    """Base of the rules for a projector: free streams at its ports, and an account of the frames that went in.

    Nothing is assumed of source, sink and table: frames may be short or long, tables too; ``valid`` may fall, payloads
    may change. Registers and memories power up with any value and the first clock is a reset; more may come in any
    clock.

    Parameters
    ----------
    make : callable
        Builds the projector.
    """

    commands = ("setattr -unset init top.dut*/w:*", "delete top.dut*/t:$meminit*")

    def __init__(self, make: Callable[[], Projector]) -> None:
        self.block = block = make()
        self.streams = {"i": block.i, "table": block.table}
        self.started = Signal(reset_less=True)
        fields = {
            f"{name}_{field}": In(part.width)
            for name, stream in self.streams.items()
            for field, part in stream.p.shape()
        }
        flow = {"i_valid": In(1), "o_ready": In(1), "table_valid": In(1), "mark": In(1)}
        super().__init__({**fields, **flow, **self.further_inputs()})

    def further_inputs(self) -> dict[str, Any]:
        """Ports besides those of the streams."""
        return {}

    def rule(self, m: Module, text: str, condition: Any) -> None:
        """Assert a condition for all clocks but the reset that ends an unknown state."""
        super().rule(m, text, ~self.started | condition)

    def judge(self, m: Module) -> None:
        """State the rules."""
        raise NotImplementedError

    def outlet(self) -> tuple[Any, Value, Value]:
        """Where rows of coefficients are looked at: what, whether there is one, whether it leaves."""
        o = self.block.o
        return o.p, o.valid, o.valid & o.ready

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.dut = block = self.block
        i, o, table = block.i, block.o, block.table
        for name, stream in self.streams.items():
            for field, _ in stream.p.shape():
                m.d.comb += Value.cast(stream.p[field]).eq(getattr(self, f"{name}_{field}"))
        m.d.comb += [i.valid.eq(self.i_valid), table.valid.eq(self.table_valid), o.ready.eq(self.o_ready)]
        m.d.sync += self.started.eq(1)
        m.d.comb += Assume(self.started | ResetSignal())

        # Words of the table that comes in, up to one too many.
        words = block.format.components * (block.beats * block.lanes + 2)
        self.word = Signal(range(words + 1))
        self.word_taken = table.valid & table.ready
        self.complete = self.word_taken & table.p.last & (self.word == words - 1)
        with m.If(self.word_taken):
            m.d.sync += self.word.eq(Mux(table.p.last, 0, Mux(self.word == words, words, self.word + 1)))
        self.loaded = Signal()
        with m.If(self.complete):
            m.d.sync += self.loaded.eq(1)

        # Where a beat that is taken belongs: its number, or the rest of a frame that is too long.
        self.beat, excess = Signal(range(block.beats)), Signal()
        last, end = i.p.last, self.beat == block.beats - 1
        taken = i.valid & i.ready
        self.taken = taken & ~excess
        self.opening = self.taken & (self.beat == 0)
        self.closing = self.taken & (last | end)
        self.kind = Cat(last & ~end, ~last & end)
        with m.If(taken):
            m.d.sync += excess.eq(~last & (excess | end))
        with m.If(self.taken):
            m.d.sync += self.beat.eq(Mux(last | end, 0, self.beat + 1))

        # Rows of coefficients that frames have a claim to, and the row that is next.
        phases = block.phases
        self.payload, self.offered, self.given = self.outlet()
        self.owed = Signal(range(2 * block.latency + 4 * phases))
        self.row = Signal(range(phases))
        self.row_end = self.row == phases - 1
        m.d.sync += self.owed.eq(self.owed + Mux(self.closing, phases, 0) - self.given)
        with m.If(self.given):
            m.d.sync += self.row.eq(Mux(self.row_end, 0, self.row + 1))
        self.judge(m)
        return m

    def follow(self, m: Module, begins: Value) -> Value:
        """Follow a frame from its closing beat: whether the row at the output is one of its own."""
        followed, before = Signal(), Signal.like(self.owed)
        with m.If(followed & self.given):
            with m.If(before != 0):
                m.d.sync += before.eq(before - 1)
            with m.Elif(self.row_end):
                m.d.sync += followed.eq(0)
        with m.If(begins & ~followed):
            m.d.sync += [followed.eq(1), before.eq(self.owed - self.given)]
        self.followed = followed
        return followed & self.offered & (before == 0)


class ProjectorStream(ProjectorRules):
    """The handshake: what is offered stays, and no beat is taken without a table."""

    def judge(self, m: Module) -> None:
        i, o = self.block.i, self.block.o
        waited, held = Signal(), Signal(len(Value.cast(o.p)), reset_less=True)
        offered = Signal()
        m.d.sync += [waited.eq(o.valid & ~o.ready), held.eq(o.p), offered.eq(i.ready & ~i.valid)]
        self.rule(m, "valid stays until the transfer", ~waited | o.valid)
        self.rule(m, "the payload stays until the transfer", ~waited | (held == Value.cast(o.p)))
        self.rule(m, "ready stays until a beat is taken", ~offered | i.ready)
        self.rule(m, "no beat is taken without a table", ~i.ready | self.loaded)


class ProjectorRows(ProjectorRules):
    """Every frame gets all its rows of coefficients, the last with `last`, and its flags."""

    def judge(self, m: Module) -> None:
        out = self.payload
        self.rule(m, "last is on the last row of a frame, and there only", ~self.offered | (out.last == self.row_end))
        clipped, flags = Signal(), Signal(3, reset_less=True)
        clips = self.block.i.p.clipped | (clipped & (self.beat != 0))
        with m.If(self.taken):
            m.d.sync += clipped.eq(clips)
        begins = self.closing & self.mark
        turn = self.follow(m, begins)
        with m.If(begins & ~self.followed):
            m.d.sync += flags.eq(Cat(self.kind, clips))
        shown = Cat(out.flags.short, out.flags.long, out.flags.clipped)
        self.rule(m, "short, long and clipped are those of the frame", ~turn | (shown == flags))
        self.reachable(m, "a row of a frame that is too long comes out", turn & out.flags.long & out.last)
        if self.block.beats > 1:
            self.reachable(m, "a row of a frame that is too short comes out", turn & out.flags.short & out.last)


class ProjectorDelay(ProjectorRows):
    """In addition: nothing waits for longer than it must."""

    def judge(self, m: Module) -> None:
        super().judge(m)
        block, o = self.block, self.block.o
        self.rule(m, "no row comes out that no frame has a claim to", ~o.valid | (self.owed != 0))
        quiet = Signal(range(block.latency + 1))
        m.d.sync += quiet.eq(Mux(o.valid | (self.owed == 0), 0, quiet + (quiet != block.latency)))
        # The clocks of the closing beat and of the first row are none of them.
        self.rule(m, "a row is waited for no longer than the latency", quiet < block.latency)
        busy, refused = Signal(range(block.phases + 1)), Signal()
        m.d.sync += busy.eq(Mux(self.taken, 1, busy + (busy != block.phases)))
        with m.If(o.valid & ~o.ready):
            m.d.sync += refused.eq(1)
        self.rule(
            m,
            "a beat is taken every F clocks if the sink never waits",
            refused | ~self.loaded | (busy != block.phases) | block.i.ready,
        )
        # Clocks since the last row of the last frame was given, with no frame and no table under way.
        limit = block.latency + block.phases
        idle = Signal(range(limit + 1))
        under_way = (self.beat != 0) | (self.owed != 0) | self.taken | self.complete
        m.d.sync += idle.eq(Mux(under_way, 0, idle + (idle != limit)))
        self.rule(m, "a table is taken between frames", (idle != limit) | block.table.ready)
        self.reachable(m, "a beat waits for the sink", self.loaded & (busy == block.phases) & ~block.i.ready)


class ProjectorTables(ProjectorRules):
    """Tables of the wrong length are reported, and no others."""

    def judge(self, m: Module) -> None:
        block = self.block
        refused = Signal()
        m.d.sync += refused.eq(self.word_taken & block.table.p.last & ~self.complete)
        error = block.table_error
        self.rule(m, "table_error is high after a table of the wrong length, and only then", error == refused)
        self.reachable(m, "a table is refused", error)
        busy = self.loaded & (self.owed != 0)
        self.reachable(m, "a second table is taken while a frame is on its way", self.complete & busy)


class ProjectorSums(ProjectorRules):
    """The coefficient of any component, any table and any frame is the one of the formula.

    Attributes
    ----------
    edge : int
        Twice the distance from a coefficient to where the next one begins; 1 as the nearest is meant.
    """

    edge = 1

    def further_inputs(self) -> dict[str, Any]:
        size = self.block.format
        # In force for all times.
        self.chosen = {
            "weights": size.pixels * size.weight_bits,
            "preload": size.bias_format.bits,
            "shift": size.largest_shift.bit_length(),
            "component": max(1, (size.components - 1).bit_length()),
            "pixels": size.pixels * size.input_bits,
        }
        return {f"choose_{name}": In(bits) for name, bits in self.chosen.items()}

    def judge(self, m: Module) -> None:
        block, size, i, out = self.block, self.block.format, self.block.i, self.payload
        constants = {name: Signal(bits, name=name, reset_less=True) for name, bits in self.chosen.items()}
        with m.If(~self.started):
            m.d.sync += [constant.eq(getattr(self, f"choose_{name}")) for name, constant in constants.items()]
        shift, component = constants["shift"], constants["component"]
        preload = constants["preload"].as_signed()
        m.d.comb += Assume(~self.started | ((shift <= size.largest_shift) & (component < size.components)))
        weights = [constants["weights"].word_select(n, size.weight_bits).as_signed() for n in range(size.pixels)]
        pixels = [constants["pixels"].word_select(n, size.input_bits) for n in range(size.pixels)]

        # Whether the table that comes in, that in force, and that of the frame under way is the chosen one.
        per_component = block.beats * block.lanes + 2
        agrees, alike, in_force = Signal(), Signal(), Signal()
        m.d.comb += agrees.eq(1)
        word = block.table.p.word
        with m.Switch(self.word):
            for s in range(size.components):
                for n, weight in enumerate(weights):
                    with m.Case(s * per_component + n):
                        m.d.comb += agrees.eq((component != s) | (word[: size.weight_bits] == weight.as_unsigned()))
                with m.Case((s + 1) * per_component - 2):
                    m.d.comb += agrees.eq((component != s) | (word == preload))
                with m.Case((s + 1) * per_component - 1):
                    m.d.comb += agrees.eq((component != s) | (word[: len(shift)] == shift))
        so_far = agrees & (alike | (self.word == 0))
        with m.If(self.word_taken):
            m.d.sync += alike.eq(so_far)
        with m.If(self.complete):
            m.d.sync += in_force.eq(so_far)

        # Whether the frame that comes in is the chosen one, as far as it goes.
        equal, watching = Signal(), Signal()
        m.d.comb += equal.eq(1)
        with m.Switch(self.beat):
            for b in range(block.beats):
                with m.Case(b):
                    part = pixels[b * block.lanes : (b + 1) * block.lanes]
                    m.d.comb += equal.eq(Cat(i.p.values[lane] == x for lane, x in enumerate(part)).all())
        watched = equal & Mux(self.opening, in_force & self.mark, watching)
        with m.If(self.taken):
            m.d.sync += watching.eq(watched)
        begins = self.closing & watched
        turn = self.follow(m, begins)
        came = Signal(range(block.beats))
        with m.If(begins & ~self.followed):
            m.d.sync += came.eq(self.beat)

        # y = sat(floor((b + sum w x) / 2^s + 1/2)), both sides times 2^(s + 1). Half a step is in the preload.
        bias = preload - ((Const(1) << shift) >> 1)
        products = [
            Mux(came >= n // block.lanes, weight * pixel, 0)
            for n, (weight, pixel) in enumerate(zip(weights, pixels, strict=True))
        ]
        twice = Signal(signed(size.accumulator_format.bits + 4))
        m.d.comb += twice.eq(2 * sum(products, start=bias))
        y, saturated = Signal(shape_of(size.output_format)), Signal()
        with m.Switch(Cat(component, self.row)):
            for s in range(size.components):
                row, column = divmod(s, block.columns)
                with m.Case(s | row << len(component)):
                    m.d.comb += [y.eq(out.coefficients[column]), saturated.eq(out.flags.saturated[column])]
        mine = turn & (self.row == component // block.columns)
        above, below = (2 * y + self.edge) << shift, (2 * y + self.edge - 2) << shift
        low, high = size.output_format.minimum, size.output_format.maximum
        nearest = (below <= twice) & (twice < above)
        beyond = ((y == high) & (twice >= above)) | ((y == low) & (twice < below))
        self.rule(m, "y = sat(floor((b + sum w x) / 2^s + 1/2))", ~mine | Mux(saturated, beyond, nearest))
        for text, condition in (
            ("a coefficient comes out that is rounded up", ~saturated & (y << shift + 1 > twice)),
            ("a coefficient comes out that saturates", saturated),
        ):
            self.reachable(m, text, mine & self.given & condition)


class BeforeFifo(ProjectorRules):
    """Mixin: rows of coefficients are looked at where they enter the FIFO, some clocks after their step."""

    def __init__(self, make: Callable[[], WatchedProjector]) -> None:
        super().__init__(make)

    def outlet(self) -> tuple[Any, Value, Value]:
        block = self.block
        return block.write_data, block.write, block.write

    def pipeline(self, m: Module, closing: Value) -> list[Signal]:
        """Rows on their way from their step to the FIFO, of frames whose closing beat meets a condition."""
        mine = Signal()
        with m.If(self.taken):
            m.d.sync += mine.eq(closing)
        bit, line = self.block.step & mine, []
        for _ in range(self.block.write_clocks):
            register = Signal()
            m.d.sync += register.eq(bit)
            bit = register
            line.append(register)
        return line

    def follow(self, m: Module, begins: Value) -> Value:
        self.followed = Signal()
        line = self.pipeline(m, begins & ~self.followed)
        with m.If(line[-1] & self.row_end):
            m.d.sync += self.followed.eq(0)
        with m.If(begins):
            m.d.sync += self.followed.eq(1)
        return line[-1]


class ProjectorRoom(BeforeFifo):
    """Every row of a frame finds room in the FIFO, and no frame has more rows or fewer."""

    def judge(self, m: Module) -> None:
        line = self.pipeline(m, self.closing)
        # Rows of the beat in hand that have not had their step.
        left, hand = Signal(range(self.block.phases + 1)), Signal()
        with m.If(self.taken):
            m.d.sync += hand.eq(self.closing)
        m.d.sync += left.eq(Mux(self.closing, self.block.phases, left - (self.block.step & hand)))
        write = self.block.write
        self.rule(m, "every row finds room in the FIFO", ~write | self.block.room)
        self.rule(m, "a row enters the FIFO `write_clocks` after its step, and no other", write == line[-1])
        self.rule(m, "frames have a claim to the rows left and on their way", self.owed == left + sum(line))
        waits = (left != 0) & ~self.block.step
        self.reachable(m, "a frame waits for room", waits)


class EarlySums(BeforeFifo, ProjectorSums):
    """The sums where they enter the FIFO."""


class EarlyRows(BeforeFifo, ProjectorRows):
    """The rows where they enter the FIFO."""
