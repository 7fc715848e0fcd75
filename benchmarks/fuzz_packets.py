# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Damaged packet streams: whatever is whole in them comes out, nothing else, and nothing crashes, hangs or piles up.

Usage: python benchmarks/fuzz_packets.py [--streams 100000] [--seed 1]

Each stream is some packets of a random core: repeated, lost, put out of order, cut short, spliced, overwritten, with
bits flipped, octets inserted or removed, and garbage between. It is fed in pieces of any size, or as datagrams. Prints
how many of each mutation and of each outcome there were; ends with the first stream that fails.
"""

import argparse
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ptychopress.model import packer, zeromask
from ptychopress.model.config import Mode
from ptychopress.model.packet import MAGIC, Damage, Decoder, Duplicate, Flag, Header, Missing, Packet, Sizes
from ptychopress.model.rice import RiceFormat

PACKETS = 64
"""Of a core, numbered one after the other, from which streams are cut."""

SECONDS = 5.0
"""Of the processor for one stream of some kilobytes: more is a hang."""

# Octets of a word; bits of a count, a code, a coefficient; width, height, coefficients, block of the Rice coder.
CORES = tuple(
    Sizes(
        word_octets=word,
        count_bits=count_bits,
        code_bits=code_bits,
        coefficient_bits=coefficient_bits,
        width=width,
        height=height,
        components=components,
        rice_block=rice_block,
    )
    for word, count_bits, code_bits, coefficient_bits, width, height, components, rice_block in (
        (4, 9, 5, 0, 8, 1, 0, 8),
        (8, 14, 8, 16, 16, 5, 7, 16),
        (16, 16, 9, 21, 32, 9, 30, 32),
        (64, 1, 1, 2, 5, 3, 1, 0),
    )
)


@dataclass(frozen=True)
class Original:
    """A packet as it was sent.

    Attributes
    ----------
    packet : Packet
    octets : bytes
    values : numpy.ndarray
    """

    packet: Packet
    octets: bytes
    values: NDArray[Any]


def originals(sizes: Sizes, rng: np.random.Generator) -> list[Original]:
    """Packets of a core in all its modes, with small and large values."""
    modes = [mode for mode in Mode if sizes.lengths[mode]]
    first = (0, 1000, (1 << 64) - PACKETS)[rng.integers(3)]
    made = []
    for number in range(first, first + PACKETS):
        mode = modes[rng.integers(len(modes))]
        shape = (sizes.components,) if mode.projects else (sizes.height, sizes.width)
        bits = {Mode.RAW: sizes.count_bits}.get(mode, sizes.coefficient_bits if mode.projects else sizes.code_bits)
        values = rng.integers(0, 1 << rng.integers(0, bits + 1), shape) * (rng.random(shape) < rng.random())
        if mode.projects:
            values -= 1 << bits - 1
        match mode:
            case Mode.ZEROMASK:
                payload = zeromask.encode(values, bits)
            case Mode.RICE:
                (payload,) = RiceFormat(width=sizes.width, code_bits=bits, block=sizes.rice_block).encode(values[None])
            case _:
                payload = packer.pack(values.ravel(), bits, signed=mode.projects).tobytes()
        flags = Flag.FIRST if number == 0 else Flag(rng.integers(Flag.FIRST))
        packet = Packet.build(Header(sizes=sizes, mode=mode, flags=flags, frame=number, codebook=7), payload)
        made.append(Original(packet, packet.pack(), values))
    return made


def flip(rng: random.Random, octets: bytes) -> bytes:
    """Some bits are wrong."""
    spoilt = bytearray(octets)
    for _ in range(rng.choice((1, 1, 2, 20))):
        spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def truncate(rng: random.Random, octets: bytes) -> bytes:
    """The end is missing, or the beginning."""
    place = rng.randrange(len(octets))
    return octets[:place] if rng.random() < 0.7 else octets[place:]


def remove(rng: random.Random, octets: bytes) -> bytes:
    """Some octets are missing."""
    place = rng.randrange(len(octets))
    return octets[:place] + octets[place + rng.choice((1, 4, 64)) :]


def insert(rng: random.Random, octets: bytes) -> bytes:
    """Some octets are too many: anything, zeros, what looks like the beginning of a packet."""
    place = rng.randrange(len(octets) + 1)
    size = rng.choice((1, 4, 100))
    more = rng.choice((rng.randbytes(size), bytes(size), MAGIC * rng.randint(1, 5), octets[: rng.randint(1, 80)]))
    return octets[:place] + more + octets[place:]


def overwrite(rng: random.Random, octets: bytes) -> bytes:
    """Some octets are others."""
    place, size = rng.randrange(len(octets)), rng.choice((1, 2, 8, 60))
    more = rng.choice((rng.randbytes(size), bytes(size), b"\xff" * size))
    return (octets[:place] + more + octets[place + size :])[: len(octets)]


MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (flip, truncate, remove, insert, overwrite)


def mutated(rng: random.Random, sent: list[Original], counts: Counter[str]) -> list[bytes]:
    """What arrives of some packets, piece by piece."""
    pieces = [original.octets for original in sent]
    for _ in range(rng.randint(0, 4)):
        kind = rng.randrange(len(MUTATIONS) + 5)
        place = rng.randrange(len(pieces)) if pieces else 0
        if not pieces or kind == len(MUTATIONS):
            pieces.insert(place, rng.choice((rng.randbytes(rng.randint(1, 300)), bytes(70), MAGIC * 20)))
            counts["garbage"] += 1
        elif kind == len(MUTATIONS) + 1:
            pieces.insert(rng.randrange(len(pieces) + 1), pieces[place])
            counts["repeat"] += 1
        elif kind == len(MUTATIONS) + 2:
            del pieces[place]
            counts["lose"] += 1
        elif kind == len(MUTATIONS) + 3:
            pieces.insert(rng.randrange(len(pieces)), pieces.pop(place))
            counts["reorder"] += 1
        elif kind == len(MUTATIONS) + 4:
            other = rng.choice(pieces)
            pieces[place] = (
                pieces[place][: rng.randrange(len(pieces[place]) + 1)] + other[rng.randrange(len(other) + 1) :]
            )
            counts["splice"] += 1
        elif pieces[place]:
            pieces[place] = MUTATIONS[kind](rng, pieces[place])
            counts[MUTATIONS[kind].__name__] += 1
    return pieces


def check(sizes: Sizes, sent: list[Original], pieces: list[bytes], rng: random.Random, counts: Counter[str]) -> None:
    """Decode a stream; AssertionError if anything is not as it must be."""
    largest = max(lengths.stop - 1 for lengths in sizes.lengths.values())
    decoder = Decoder(largest=largest)
    stream = b"".join(pieces)
    results = []
    datagrams = rng.random() < 0.2
    if datagrams:
        counts["as datagrams"] += 1
        for piece in pieces:
            results += decoder.decode(piece)
    else:
        place = 0
        while place < len(stream):
            size = rng.choice((1, 7, 64, 500, 5000))
            results += decoder.feed(stream[place : place + size])
            place += size
            assert decoder.held < 64 + largest + 64 + 4, f"memory: {decoder.held} octets are held"
    results += decoder.finish()
    assert decoder.held == 0, "memory: octets are held at the end"

    known = {original.octets: original for original in sent}
    delivered: set[int] = set()
    missing: set[int] = set()
    used = 0
    for result in results:
        counts[type(result).__name__.lower()] += 1
        match result:
            case Packet():
                octets = result.pack()
                assert octets in known, f"wrong frame {result.header.frame} passed as good"
                assert result.header.frame not in delivered, f"frame {result.header.frame} passed twice"
                np.testing.assert_array_equal(result.values(), known[octets].values)
                delivered.add(result.header.frame)
                used += len(octets)
            case Duplicate(number):
                assert number in delivered, f"frame {number} is called a duplicate"
                used += next(len(original.octets) for original in sent if original.packet.header.frame == number)
            case Missing(numbers):
                missing |= set(numbers)
            case Damage():
                pass
    whole = pieces if datagrams else [original.octets for original in sent if original.octets in stream]
    for octets in whole:
        if octets in known:
            number = known[octets].packet.header.frame
            assert number in delivered, f"frame {number} is whole and did not come out"
    assert not missing & delivered, f"frames {missing & delivered} are called missing"
    if delivered:
        first = next(result.header.frame for result in results if isinstance(result, Packet))
        absent = set(range(first, max(delivered))) - delivered
        assert missing == absent, f"missing are {absent}, reported are {missing}"
    statistics = decoder.statistics
    assert statistics.octets == len(stream) == statistics.skipped + used, "octets are not accounted for"


def _hang(*_: object) -> None:
    raise AssertionError(f"hang: more than {SECONDS} s")


def fuzz(streams: int, seed: int) -> Counter[str]:
    """Check so many streams; return how many there were of what. In the main thread: a signal ends what hangs."""
    before = signal.signal(signal.SIGVTALRM, _hang)
    numbers = np.random.default_rng(seed)
    pools = [(sizes, originals(sizes, numbers)) for sizes in CORES]
    counts: Counter[str] = Counter()
    for index in range(streams):
        rng = random.Random(f"{seed} {index}")
        sizes, pool = rng.choice(pools)
        count = rng.randint(1, 6)
        begin = rng.randrange(PACKETS - count + 1)
        sent = pool[begin : begin + count]
        pieces = mutated(rng, sent, counts)
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        try:
            check(sizes, sent, pieces, rng, counts)
        except Exception as error:
            error.add_note(f"stream {index} of seed {seed}")
            raise
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts = fuzz(arguments.streams, arguments.seed)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{arguments.streams} streams, seed {arguments.seed}: no failure in {time.monotonic() - begin:.0f} s")
    print(f"memory grew by {grown:.0f} MB")
    for name, count in counts.most_common():
        print(f"{count:9d} {name}")
