# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Soak: very many frames through the compiled core, good ones and bad, in any mode, and every octet compared."""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from ..model.config import CoreConfig, Mode
from ..model.core import Core
from ..model.driver import Driver
from ..model.packet import Decoder, Flag, Header, Packet, identifier
from .core_model import BulkCore, Frame
from .draw import draw_codebook, draw_counts, draw_projection

ENDS = ("whole", "short", "one beat", "long", "no last", "cut off")
"""How a frame ends: as it should; early; at once; late; on time, but without tlast; early, by the start of the next."""

SMALL = CoreConfig.from_dict(
    {
        "name": "soak",
        "frame": {"height": 5, "width": 8, "count_bits": 8, "lanes": 1},
        "encoder": {"reloadable": True},
        "projector": {"components": 5, "columns": 3, "weight_bits": 5, "output_bits": 11},
        "output": {"modes": [mode.label for mode in Mode]},
    }
)
"""A core with everything that there is, small enough to be compiled and run in no time."""

_BATCH = 32
_BAD = 0.1
_PACES = ((0.0, 1), (0.0, 1), (0.1, 3), (0.5, 4), (0.01, 200))


@dataclass(frozen=True)
class Mismatch:
    """A packet that is not what the golden model says.

    Attributes
    ----------
    frame : int
        Number of the frame.
    mode, end : str
    octet : int
        The first that differs.
    got, expected : int
        Octets of the packets.
    """

    frame: int
    mode: str
    end: str
    octet: int
    got: int
    expected: int

    def __str__(self) -> str:
        return (
            f"frame {self.frame}, {self.end}, in mode {self.mode}: octet {self.octet} is wrong,"
            f" of {self.got} instead of {self.expected}"
        )


@dataclass
class SoakResult:
    """Outcome of a soak.

    Attributes
    ----------
    frames : int
        Whose packets were compared.
    modes, ends : collections.Counter
        How many frames of each.
    changes : int
        Frames in another mode than the one before.
    tables : collections.Counter
        How often each table was loaded.
    octets, clocks : int
        Of all packets; of the whole run.
    seconds : float
    mismatches : list of Mismatch
    complaints : list of str
        What registers or decoder say that does not fit.
    """

    frames: int = 0
    modes: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    changes: int = 0
    tables: Counter[str] = field(default_factory=Counter)
    octets: int = 0
    clocks: int = 0
    seconds: float = 0.0
    mismatches: list[Mismatch] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether there was a frame, and nothing wrong."""
        return self.frames > 0 and not self.mismatches and not self.complaints


@dataclass(frozen=True, eq=False)
class _Sent:
    """A frame under way, the model with the tables of its beginning, and the place of its weights in the list."""

    frame: Frame
    end: str
    model: Core
    weights: int


class Soak:
    """Frames of every kind through a core. A new mode with each; paces of both sides change, and tables.

    Weights are loaded while frames are under way: which of them have the old ones is the projector's to say, in the
    header of the packet, and it may not go back.

    Parameters
    ----------
    core : BulkCore
        Fresh from its reset.
    seed : int
    """

    def __init__(self, core: BulkCore, seed: int = 1) -> None:
        self.core = core
        self.config = config = core.config
        self.rng = np.random.default_rng(seed)
        self.model = Core(config)
        self.result = SoakResult()
        self._weights: list[tuple[int, Core]] = [(0, self.model)]
        self._oldest = 0
        self._under_way: deque[_Sent] = deque()
        self._end, self._mode = "whole", config.modes[0]
        self._seen: Counter[Flag] = Counter()
        self._saturated = 0
        self._decoder = Decoder(config)
        self._every = {"thresholds": 2 * _BATCH if config.encoder.reloadable else 0}
        # As many clocks for tables as for a tenth of the frames.
        words = config.projection.components * (config.frame.pixels + 2) if config.projects else 0
        clocks = np.mean([config.frame.beats * (core.phases if mode.projects else 1) for mode in config.modes])
        self._every["weights"] = _BATCH * int(np.ceil(10 * words / clocks / _BATCH))

    def run(self, frames: int, progress: Callable[[int], None] = lambda frames: None) -> SoakResult:
        """Send so many frames; `progress` is told of each batch whose packets were compared."""
        begin, result = time.monotonic(), self.result
        try:
            self._send(frames, progress)
            progress(self._compare(self.core.drain(len(self._under_way))))
            self._ask_registers()
        except RuntimeError as error:
            result.complaints.append(f"{error}, with {len(self._under_way)} packets to come")
        self._ask_decoder(frames)
        result.clocks = self.core.clocks
        result.seconds = time.monotonic() - begin
        return result

    def _send(self, frames: int, progress: Callable[[int], None]) -> None:
        if self.config.projects:
            self._load("weights")
        if self.config.encoder.reloadable and not self.config.encoder.preload:
            self._load("thresholds")
        for sent in range(0, frames, _BATCH):
            for name, every in self._every.items():
                if sent and every and sent % every == 0:
                    self._load(name)
            for side in ("pixels", "packets"):
                chance, longest = _PACES[self.rng.integers(len(_PACES))]
                self.core.pauses(side, seed=int(self.rng.integers(1 << 48)), chance=chance, longest=longest)
            size = min(_BATCH, frames - sent)
            batch = [self._draw(k + 1 == size) for k in range(size)]
            self._under_way += batch
            self.core.send([one.frame for one in batch])
            progress(self._compare(self.core.received()))

    def _load(self, name: str) -> None:
        config = self.config
        if name == "weights":
            projection = draw_projection(self.rng, config.projection)
            words = projection.words(config.frame.lanes)
            self.model = Core(config, self.model.codebook, projection)
            self._weights.append((identifier(words), self.model))
        else:
            book = draw_codebook(self.rng, config.codebook)
            words = book.thresholds(config.codebook.code_bits)
            self.model = Core(config, book, self.model.projection)
        self.core.load(name, words)
        self.result.tables[name] += 1

    def _draw(self, last: bool) -> _Sent:
        """A frame; the last of a batch does not need another one to end it."""
        frame, rng, result = self.config.frame, self.rng, self.result
        ends = ENDS[1:4] if last else ENDS[1:]
        end = str(rng.choice(ends)) if rng.random() < _BAD else "whole"
        beats = {
            "short": int(rng.integers(1, max(frame.beats, 2))),
            "cut off": int(rng.integers(1, max(frame.beats, 2))),
            "one beat": 1,
            "long": frame.beats + int(rng.integers(1, 2 * frame.beats + 1)),
        }.get(end, frame.beats)
        mode = self.config.modes[rng.integers(len(self.config.modes))]
        # What has no last beat ends where the next frame's start is marked.
        start = self._end in ("no last", "cut off") or bool(rng.integers(2))
        counts = draw_counts(rng, beats * frame.lanes, frame.count_bits)
        self._end = end
        result.modes[mode.label] += 1
        result.ends[end] += 1
        result.changes += mode != self._mode
        self._mode = mode
        one = Frame(counts, mode, start=start, last=end not in ("no last", "cut off"))
        return _Sent(one, end, self.model, len(self._weights) - 1)

    def _compare(self, packets: list[bytes]) -> int:
        """Compare packets with the frames that are under way; return how many."""
        for got in packets:
            number, result = self.result.frames, self.result
            result.frames += 1
            result.octets += len(got)
            sent = self._under_way.popleft()
            expected = self._expected(sent, got, number)
            flags = expected.header.flags
            self._seen.update(flag for flag in (Flag.SHORT, Flag.LONG) if flag in flags)
            self._saturated += bool(flags & (Flag.CLIPPED | Flag.SATURATED))
            octets = expected.pack()
            if got != octets:
                pairs = enumerate(zip(got, octets, strict=False))
                place = next((k for k, (a, b) in pairs if a != b), min(len(got), len(octets)))
                label = sent.frame.mode.label
                result.mismatches.append(Mismatch(number, label, sent.end, place, len(got), len(octets)))
            self._decode(got, expected)
        return len(packets)

    def _expected(self, sent: _Sent, got: bytes, number: int) -> Packet:
        frame, model = sent.frame, sent.model
        if frame.mode.projects:
            # Loaded since, or already before: the core says which.
            first = max(self._oldest, sent.weights)
            named = Header.unpack(got[:64]).weights if len(got) >= 64 else 0
            found = [k for k in range(first, len(self._weights)) if self._weights[k][0] == named]
            self._oldest = found[0] if found else first
            model = Core(self.config, model.codebook, self._weights[self._oldest][1].projection)
        flags = Flag.FIRST if number == 0 else Flag.NONE
        whole = sent.end != "no last"
        return model.packet(frame.counts, frame.mode, number=number, flags=flags, whole=whole)

    def _decode(self, got: bytes, expected: Packet) -> None:
        """The packet, as software reads it."""
        results = self._decoder.feed(got)
        if len(results) != 1 or not isinstance(results[0], Packet) or results[0] != expected:
            self.result.complaints.append(f"frame {expected.header.frame}: the decoder found {_brief(results)}")

    def _ask_decoder(self, frames: int) -> None:
        self._decoder.finish()
        found = self._decoder.statistics
        if (found.packets, found.octets, found.skipped, found.missing) != (frames, self.result.octets, 0, 0):
            self.result.complaints.append(f"decoder of {frames} frames: {found}")

    def _ask_registers(self) -> None:
        """Counters and errors are to tell of the frames that came."""
        driver, frames = Driver(self.core), self.result.frames
        seen, errors = driver.counters(), driver.errors()
        wanted = {
            "frames": frames,
            "packets": frames,
            "short_frames": self._seen[Flag.SHORT],
            "long_frames": self._seen[Flag.LONG],
            "saturated_frames": self._saturated,
            "dropped_frames": 0,
            "corrected_upsets": 0,
            "uncorrectable_upsets": 0,
        }
        for name, count in wanted.items():
            if seen[name] != count:
                self.result.complaints.append(f"register {name}: {seen[name]} instead of {count}")
        if unknown := errors - {"short_frame", "long_frame", "saturated_frame"}:
            self.result.complaints.append(f"errors: {', '.join(sorted(unknown))}")


def _brief(results: list[Any]) -> str:
    return ", ".join(type(one).__name__ for one in results) or "nothing"


def full_rate(core: BulkCore, seed: int = 1, frames: int = 8) -> dict[Mode, list[int]]:
    """Clocks from frame to frame in each mode, one behind the other, with no pauses on either side.

    From the first beat of a frame taken to that of the next. A few frames go before, that fill what stands empty; the
    core has its tables.

    Returns
    -------
    dict
        By mode: clocks of each of `frames` frames.
    """
    rng, config, rates = np.random.default_rng(seed), core.config, {}
    for side in ("pixels", "packets"):
        core.pauses(side)
    for mode in config.modes:
        counts = [draw_counts(rng, config.frame.pixels, config.frame.count_bits) for _ in range(frames + 3)]
        begun = core.send([Frame(one, mode) for one in counts])
        core.drain(len(counts))
        rates[mode] = [after - before for before, after in pairwise(begun[2:-1].tolist())]
    return rates
