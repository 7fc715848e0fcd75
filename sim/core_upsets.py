# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Upsets in the whole core: a frame for each, its packet beside the golden model's, and what the registers counted."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Self

import numpy as np

from ..model.config import CoreConfig, Mode
from ..model.core import Core
from ..model.driver import Driver
from ..model.packet import Flag, Packet
from .core_model import BulkCore, Frame
from .draw import draw_codebook, draw_projection
from .upsets import Memory, Seen, Tally, Upset, campaign, memories

_PATTERN = r"\.(?:(weights|preload|shift)_\d+(?:(?:\.memory)*\.words)?|(thresholds)_\d+_\d+)$"


class CoreUpsets:
    """A compiled core whose memories are open, with tables in force: a context manager.

    The frame that is sent has every code that its pixels suffice for, so that every threshold is needed.

    Parameters
    ----------
    config : CoreConfig
        With modes `CODES` or `COUNT_COEFFICIENTS`; an encoder of thresholds, reloadable or wired in.
    verilog : str, optional
        Its text, if it is there already.
    seed : int
        Of tables and counts.
    optimise : int
        As for `BulkCore`.

    Attributes
    ----------
    memories : dict of str to list of Memory
        By what they hold: "thresholds"; "weights", "preload", "shift" of the projector.
    core : BulkCore
    """

    def __init__(self, config: CoreConfig, verilog: str | None = None, *, seed: int = 1, optimise: int = 1) -> None:
        self.config = config
        self.core = BulkCore(config, verilog, optimise=optimise, memories=True)
        self._rng = np.random.default_rng(seed)
        self._model = Core(config)

    def __enter__(self) -> Self:
        self.core.__enter__()
        self._driver = Driver(self.core)
        self._number = 0
        self.memories: dict[str, list[Memory]] = {}
        for memory in memories(self.core, _PATTERN):
            name = re.search(_PATTERN, memory.name)
            assert name is not None
            self.memories.setdefault(name[1] or name[2], []).append(memory)
        self.load()
        return self

    def __exit__(self, *details: object) -> None:
        self.core.__exit__(*details)

    def load(self) -> None:
        """Load other tables, as far as they can be, into the banks that were not in force."""
        config, rng, bits = self.config, self._rng, self.config.codebook.code_bits
        projection, book = None, config.codebook
        if config.projects:
            projection = draw_projection(rng, config.projection)
            self.core.load("weights", projection.words(config.frame.lanes))
        if config.encoder.reloadable:
            book = draw_codebook(rng, book)
            self.core.load("thresholds", book.thresholds(bits))
        self._model = Core(config, book, projection)
        top = 1 << config.frame.count_bits
        counts = np.resize([*book.edges[:-1], *rng.integers(0, top, config.frame.pixels)], config.frame.pixels)
        # Each lane gets every code.
        lanes = config.frame.lanes
        for lane in range(lanes):
            own = counts[lane::lanes]
            own[: len(book.edges) - 1] = book.edges[:-1][: len(own)]
        self._frames = {mode: Frame(counts.astype(np.uint16), mode) for mode in config.modes}
        self._expected = {mode: self._model.packet(frame.counts, mode) for mode, frame in self._frames.items()}
        self.run(config.modes[0])

    def run(self, mode: Mode) -> Seen:
        """Send the frame."""
        self.core.send([self._frames[mode]])
        (got,) = self.core.drain(1, silent=0)
        expected = self._expected[mode]
        flags = Flag.NONE if self._number else Flag.FIRST
        header = replace(expected.header, frame=self._number, flags=expected.header.flags | flags)
        self._number += 1
        wrong = got != Packet(header, expected.payload).pack()
        try:
            flagged = Flag.UNCORRECTABLE in Packet.unpack(got).header.flags
        except ValueError:
            flagged = False
        counters = self._driver.counters(clear=True)
        reports = (counters[f"{name}_upsets"] for name in ("corrected", "uncorrectable"))
        return Seen(np.array([wrong]), np.array([flagged]), *reports)

    def campaign(
        self,
        part: str,
        upsets: Callable[[list[Memory]], Iterable[Upset]],
        mode: Mode | None = None,
        judge: Callable[[Upset, Seen], Any] = lambda upset, seen: None,
    ) -> Tally:
        """Run with each of the upsets of the memories of a part, in a mode that needs it; see `upsets.campaign`."""
        found = self.memories[part]
        chosen = mode if mode is not None else Mode.CODES if part == "thresholds" else Mode.COUNT_COEFFICIENTS

        def told(upset: Upset, seen: Seen) -> None:
            # Nobody may learn of it from one of them alone.
            if self.config.protect and seen.flagged.any() != (seen.uncorrectable > 0):
                raise RuntimeError(f"{upset} in {found[upset.memory].name}: packet and registers disagree: {seen}")
            judge(upset, seen)

        return campaign(found, upsets(found), lambda: self.run(chosen), told)
