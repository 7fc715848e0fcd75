# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Upsets: bits of a memory flipped in a compiled model, one after the other, and what came out in spite of it.

The design is not touched: Verilator leaves its memories open, and the bits are flipped in place between two runs, and
back after the second.
"""

import ctypes
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from ..hdl.axi import AxiStreamTop
from ..hdl.encoder import ThresholdEncoder
from ..hdl.projector import Projector
from ..hdl.verilog import verilog_text
from ..model.codebook import Codebook
from ..model.projection import Projection
from .bulk import MODULE, Model, compiled
from .verilated import from_bytes

Outcome = Literal["unused", "corrected", "flagged", "silent"]

TABLES = r"\.(weights|preload|shift)_\d+\.memory\.memory\.words$|\.thresholds_\d+_\d+$"
"""Regular expression for the names of the memories that `WeightMemory` and `ThresholdEncoder` protect."""


class _Found(ctypes.Structure):
    """As `memories.cpp` has it."""

    _fields_ = (
        *((name, ctypes.c_char_p) for name in ("scope", "name")),
        ("data", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("words", "word_bytes", "bits")),
    )


@dataclass(frozen=True, eq=False)
class Memory:
    """A memory of a compiled model.

    Attributes
    ----------
    name : str
        Its path in the design.
    words, bits : int
        How many words, and bits of each.
    octets : numpy.ndarray
        What it holds, uint8 (words, bytes), little-endian, to read and to change; as long as the model lives.
    """

    name: str
    words: int
    bits: int
    octets: NDArray[np.uint8]

    def flip(self, word: int, bit: int) -> None:
        """Flip a bit."""
        self.octets[word, bit // 8] ^= np.uint8(1 << bit % 8)


def memories(model: Any, pattern: str = TABLES) -> list[Memory]:
    """Memories of a compiled model whose name matches a regular expression, in the same order always.

    Parameters
    ----------
    model : Model
        Any object with `library` and `handle`: a driver compiled together with ``memories.cpp``.
    pattern : str
    """
    room = model.library.memories(model.handle, None, 0)
    found = (_Found * room)()
    model.library.memories(model.handle, found, room)
    chosen = []
    for one in found:
        name = f"{one.scope.decode()}.{one.name.decode()}"
        if re.search(pattern, name):
            octets = (ctypes.c_uint8 * (one.words * one.word_bytes)).from_address(one.data)
            chosen.append(Memory(name, one.words, one.bits, np.frombuffer(octets, np.uint8).reshape(one.words, -1)))
    return chosen


@dataclass(frozen=True)
class Upset:
    """Bits of a word that are flipped together.

    Attributes
    ----------
    memory : int
        Place in the list of memories.
    word : int
    bits : tuple of int
    """

    memory: int
    word: int
    bits: tuple[int, ...]

    @contextmanager
    def applied(self, found: Sequence[Memory]) -> Iterator[None]:
        """Context in which the bits are flipped."""
        memory = found[self.memory]
        for bit in self.bits:
            memory.flip(self.word, bit)
        try:
            yield
        finally:
            for bit in self.bits:
                memory.flip(self.word, bit)


def every(found: Sequence[Memory], bits: int = 1) -> Iterator[Upset]:
    """Every bit of the memories, or every choice of so many bits of a word."""
    for number, memory in enumerate(found):
        for word in range(memory.words):
            for chosen in combinations(range(memory.bits), bits):
                yield Upset(number, word, chosen)


def drawn(found: Sequence[Memory], count: int, rng: np.random.Generator, bits: int = 1) -> Iterator[Upset]:
    """Upsets drawn at random, each bit of the memories as likely as any other."""
    sizes = np.array([memory.words * memory.bits for memory in found])
    for number in rng.choice(len(found), count, p=sizes / sizes.sum()).tolist():
        memory = found[number]
        chosen = rng.choice(memory.bits, bits, replace=False).tolist()
        yield Upset(number, int(rng.integers(memory.words)), tuple(chosen))


@dataclass(frozen=True)
class Seen:
    """What came out of a run.

    Attributes
    ----------
    wrong, flagged : numpy.ndarray
        bool, for each frame, or whatever carries a flag of its own: it differs from the golden model; it is flagged.
    corrected, uncorrectable : int
        Reports of either kind.
    """

    wrong: NDArray[np.bool_]
    flagged: NDArray[np.bool_]
    corrected: int
    uncorrectable: int

    @property
    def outcome(self) -> Outcome:
        """The worst that can be said of it; "unused" if the upset made no difference."""
        if (self.wrong & ~self.flagged).any():
            return "silent"
        if self.flagged.any():
            return "flagged"
        return "corrected" if self.corrected else "unused"


@dataclass
class Tally:
    """Outcome of a campaign.

    Attributes
    ----------
    outcomes : collections.Counter
        Upsets by `Seen.outcome`.
    examples : dict
        The first upset of each outcome, and what came out.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    examples: dict[Outcome, tuple[Upset, Seen]] = field(default_factory=dict)


def campaign(
    found: Sequence[Memory],
    upsets: Iterable[Upset],
    run: Callable[[], Seen],
    judge: Callable[[Upset, Seen], None] = lambda upset, seen: None,
) -> Tally:
    """Run with each of the upsets in turn, and once without any at the end.

    Parameters
    ----------
    found : sequence of Memory
    upsets : iterable of Upset
    run : callable
        Sends frames and compares what comes out with the golden model.
    judge : callable
        Told of every upset and what came out.

    Raises
    ------
    RuntimeError
        If a run without an upset is not as if there had been none.
    """
    tally = Tally()
    for upset in upsets:
        with upset.applied(found):
            seen = run()
        tally.outcomes[seen.outcome] += 1
        tally.examples.setdefault(seen.outcome, (upset, seen))
        judge(upset, seen)
    seen = run()
    if seen.outcome != "unused" or seen.wrong.any():
        raise RuntimeError(f"a run without an upset: expected no report and no difference, got {seen}")
    return tally


class UpsetBench:
    """A block with protected memories, compiled, and what is sent through it: a context manager.

    Parameters
    ----------
    block : Amaranth component
    input_bits : int
        Of a value at its input.

    Attributes
    ----------
    model : Model
    memories : list of Memory
        Within the context.
    """

    def __init__(self, block: Any, input_bits: int) -> None:
        self.block = block
        library = compiled(verilog_text(AxiStreamTop(block), MODULE), memories=True)
        self.model = Model(library, block, input_bits)

    def __enter__(self) -> Self:
        self.model.__enter__()
        self.memories = memories(self.model)
        return self

    def __exit__(self, *details: object) -> None:
        self.model.__exit__(*details)


class EncoderUpsets(UpsetBench):
    """A protected encoder. Every beat has a flag of its own.

    Parameters
    ----------
    encoder : ThresholdEncoder
        At first its own codebook is in force.
    counts : numpy.ndarray
        What is sent in every run, (beats, lanes).
    """

    def __init__(self, encoder: ThresholdEncoder, counts: NDArray[Any]) -> None:
        super().__init__(encoder, encoder.input_bits)
        self.counts = counts
        self.expected = encoder.codebook.encode(counts)

    def load(self, book: Codebook) -> None:
        """Load a codebook."""
        own = self.block.codebook
        self.model.load(book.thresholds(own.code_bits), own.count_bits)
        self.expected = book.encode(self.counts)

    def run(self) -> Seen:
        """Send the counts."""
        beats, lanes = self.counts.shape
        octets, user, _ = self.model.run(self.counts.reshape(1, -1), beats, lanes, self.block.codebook.code_bits)
        flags = np.unpackbits(user[0], axis=-1, bitorder="little")
        codes = from_bytes(octets[0], signed=False)
        return Seen((codes != self.expected).any(axis=-1), flags[:, lanes] != 0, *self.model.reports())


class ProjectorUpsets(UpsetBench):
    """A protected projector. Every frame has a flag, in its last beat.

    Parameters
    ----------
    projector : Projector
    frames : numpy.ndarray
        What is sent in every run, (frames, N).
    """

    def __init__(self, projector: Projector, frames: NDArray[Any]) -> None:
        super().__init__(projector, projector.format.input_bits)
        self.frames = frames

    def load(self, projection: Projection) -> None:
        """Load a projection: there is none at first."""
        self.model.load(projection.words(self.block.lanes), projection.format.bias_format.bits)
        coefficients, saturated = projection.project(self.frames)
        # Columns without a component are 0.
        unused = self.block.phases * self.block.columns - projection.format.components
        self.expected = [np.pad(values, ((0, 0), (0, unused))) for values in (coefficients, saturated)]

    def run(self) -> Seen:
        """Send the frames."""
        block = self.block
        octets, user, _ = self.model.run(
            self.frames, block.beats, block.columns, block.format.output_bits, block.phases
        )
        count = len(self.frames)
        coefficients = from_bytes(octets, signed=True).reshape(count, -1)
        flags = np.unpackbits(user, axis=-1, bitorder="little")
        saturated = flags[..., : block.columns].reshape(count, -1)
        wrong = (coefficients != self.expected[0]) | (saturated != self.expected[1])
        # No frame is short, long or clipped.
        others = flags[..., block.columns : block.columns + 3].any(axis=(-2, -1))
        return Seen(wrong.any(axis=-1) | others, flags[:, -1, block.columns + 3] != 0, *self.model.reports())
