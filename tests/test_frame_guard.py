# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import inspect
import random
from typing import Any

import pytest
from amaranth.sim import Simulator
from ptychopress.hdl import frame_guard
from ptychopress.hdl.frame_guard import FrameGuard

BEATS = 3


class Expected:
    """What a frame guard does with a beat, told by what it must do with frames."""

    def __init__(self) -> None:
        self.place = 0  # beats of the frame under way that have left
        self.broken = False  # it has ended early: zeros follow
        self.behind = False  # what comes belongs to a frame that was cut or refused

    def clock(self, beat: tuple[int, int, int] | None, admit: bool, ready: bool) -> dict[str, int]:
        """Outputs in a clock; what does not count is left out."""
        counts, start, last = beat or (0, 0, 0)
        begins = self.place == 0
        breaks = beat is not None and bool(start) and not begins
        seen: dict[str, int] = {}
        if self.broken or breaks:
            seen = {"valid": 1, "counts": 0, "i_ready": 0}
            taken = False
        elif beat is None:
            return {"valid": 0, "refused": 0, "between": int(begins)}
        elif (self.behind and not start) or (begins and not admit):
            # What nobody is to see waits for nobody.
            refused = not (self.behind and not start)
            self.behind = not last
            return {"valid": 0, "i_ready": 1, "refused": int(refused), "between": int(begins)}
        else:
            seen = {"valid": 1, "counts": counts, "i_ready": int(ready)}
            taken = ready
        final = self.place == BEATS - 1
        seen |= {"first": int(begins), "last": int(final), "refused": 0}
        if final:
            filled = self.broken or breaks
            seen |= {"short": int(filled), "long": int(not filled and not last)}
        if ready:
            self.place = (self.place + 1) % BEATS
            self.broken = (self.broken or breaks or bool(last)) and not final
        if taken:
            self.behind = final and not last
        return seen | {"between": int(self.place == 0)}


def differences(guard: Any, seed: int, clocks: int = 3000) -> list[str]:
    """What a guard does otherwise than expected, of the first clock in which it does."""
    rng = random.Random(seed)
    found: list[str] = []

    async def drive(ctx: Any) -> None:
        expected, beat = Expected(), None
        for clock in range(clocks):
            if beat is None and rng.random() < 0.7:
                beat = (rng.randrange(1, 16), int(rng.random() < 0.25), int(rng.random() < 0.3))
            # Weighted so that long times without room, and without admission, come about.
            admit, ready = rng.random() < (0.8, 0.2)[clock // 50 % 2], rng.random() < (0.7, 0.1)[clock // 30 % 2]
            counts, start, last = beat or (rng.randrange(16), rng.randrange(2), rng.randrange(2))
            ctx.set(guard.i.valid, int(beat is not None))
            ctx.set(guard.i.p.counts[0], counts)
            ctx.set(guard.i.p.start, start)
            ctx.set(guard.i.p.last, last)
            ctx.set(guard.admit, int(admit))
            ctx.set(guard.o.ready, int(ready))
            p = guard.o.p
            outputs = {
                **{"valid": guard.o.valid, "i_ready": guard.i.ready, "refused": guard.refused},
                **{"between": guard.between, "counts": p.counts[0]},
                **{name: p[name] for name in ("first", "last", "short", "long")},
            }
            for name, value in expected.clock(beat, admit, ready).items():
                if ctx.get(outputs[name]) != value:
                    found.append(f"clock {clock}: {name} is not {value}")
            if found:
                return
            if beat is not None and ctx.get(guard.i.ready):
                beat = None
            await ctx.tick()

    simulator = Simulator(guard)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    return found


def test_every_beat_goes_where_it_must(seed: int) -> None:
    assert differences(FrameGuard(4, 1, BEATS), seed) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # A beat with `start` that is refused behind a frame that was cut waits for an output that it does not go to.
        ("~passed | o.ready)", "skipped | (fresh & ~discarding & ~self.admit) | o.ready)"),
        ("(filling | early | i.p.last)", "(filling | early)"),
        ("skipped | refused | end", "skipped | refused"),
        ("early = i.p.start & ~fresh", "early = 0 & ~fresh"),
        ("Mux(left, end, fresh)", "fresh"),
    ],
)
def test_a_fault_is_seen(old: str, new: str, seed: int) -> None:
    source = inspect.getsource(frame_guard)
    assert source.count(old) == 1
    changed: dict[str, Any] = {"__name__": frame_guard.__name__, "__package__": frame_guard.__package__}
    exec(compile(source.replace(old, new), "spoilt", "exec"), changed)
    assert differences(changed["FrameGuard"](4, 1, BEATS), seed)
