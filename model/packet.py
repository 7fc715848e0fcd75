# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Packets: what the core sends for a frame, built, read, and found again in whatever arrives of them.

A packet is a header of 64 octets, the payload, zeros up to a whole word, and the CRC-32 of all of that, everything
little-endian. `FIELDS` is the one definition of the header: RTL, model, decoder and ``docs/packet.md`` follow it.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntFlag
from functools import cached_property, lru_cache
from math import prod
from threading import Lock
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from . import packer, zeromask
from .config import CoreConfig, Mode, payload_bits

MAGIC = b"\x89PTY"
"""First octets of a packet: no text, and no octet of it twice, so that two cannot overlap."""

VERSION = 1
"""Of the format."""

HEADER_OCTETS = 64
CRC_OCTETS = 4


class Flag(IntFlag):
    """What is to be said of a frame."""

    NONE = 0
    """Nothing."""
    CLIPPED = 1
    """A count was above the codebook's range."""
    SATURATED = 2
    """A coefficient was beyond its range and became its limit."""
    SHORT = 4
    """The frame ended early; what was missing counts as 0."""
    LONG = 8
    """The frame did not end with its last pixel; what followed was dropped."""
    UNCORRECTABLE = 16
    """A table or weights were upset beyond correction: values of this frame may be wrong."""
    DROPPED = 32
    """Frames between the packet before and this one found no room and were dropped."""
    FIRST = 64
    """The first packet since a reset: numbers begin anew."""


class Field(NamedTuple):
    """A field of the header.

    Attributes
    ----------
    name : str
        Attribute of `Header`, but for "magic" and "version".
    format : str
        As `struct` has it, little-endian.
    meaning : str
    """

    name: str
    format: str
    meaning: str

    @property
    def octets(self) -> int:
        """Size."""
        return struct.calcsize(f"<{self.format}")


FIELDS = (
    Field("magic", "4s", "89 50 54 59, `\\x89PTY`"),
    Field("version", "B", "of the format, 1"),
    Field("mode", "B", "what the payload is: 0 raw, 1 codes, 2 zeromask, 3 rice, 4 count-, 5 code-coefficients"),
    Field("flags", "H", "see below"),
    Field("frame", "Q", "number of the frame since the reset; a gap tells of frames that are missing"),
    Field("codebook", "I", "identifier of the encoder's table, `identifier` of its thresholds"),
    Field("weights", "I", "identifier of the projector's table, `identifier` of its words"),
    Field("length", "I", "octets of the payload, without what fills its last word"),
    Field("word_octets", "B", "octets of a word, a power of two from 4 to 64"),
    Field("count_bits", "B", "of a count"),
    Field("code_bits", "B", "of a code"),
    Field("coefficient_bits", "B", "of a coefficient, 0 without a projector"),
    Field("width", "H", "pixels of a row"),
    Field("height", "H", "rows"),
    Field("components", "I", "coefficients of a frame, 0 without a projector"),
    Field("rice_block", "B", "codes of a block of the Rice coder, 0 without one"),
)
"""Fields of the header in their order, without gaps; the rest of it is 0."""

OFFSETS = {item.name: sum(before.octets for before in FIELDS[:k]) for k, item in enumerate(FIELDS)}
"""First octet of each field."""

CONSTANT_FIELDS = FIELDS[list(OFFSETS).index("word_octets") :]
"""Those at the end, which are the same in all packets of a core."""

_VARIABLE_FIELDS = FIELDS[2 : -len(CONSTANT_FIELDS)]
_CONSTANTS = OFFSETS[CONSTANT_FIELDS[0].name]
_VARIABLE_LAYOUT = struct.Struct("<" + "".join(item.format for item in FIELDS[: -len(CONSTANT_FIELDS)]))
_CONSTANT_LAYOUT = struct.Struct("<" + "".join(item.format for item in CONSTANT_FIELDS))
_REST = bytes(HEADER_OCTETS - _VARIABLE_LAYOUT.size - _CONSTANT_LAYOUT.size)
_CRC = struct.Struct("<I")
_WRONG_CRC = "packet: the CRC-32 is wrong"
# Looked up: making an enumeration's member of a number takes a good part of the time of reading a header.
_MODES = tuple(Mode)
_FLAGS = tuple(Flag(value) for value in range(sum(Flag) + 1))
_LIMITS = {item.name: (0, (1 << 8 * item.octets) - 1) for item in FIELDS[2:]} | {
    "mode": (0, len(_MODES) - 1),
    "flags": (0, len(_FLAGS) - 1),
    "word_octets": (4, 64),
    "count_bits": (1, 16),
    "code_bits": (1, 16),
    "coefficient_bits": (0, 32),
    "width": (1, 0xFFFF),
    "height": (1, 0xFFFF),
}


def _check(header: Any, items: tuple[Field, ...]) -> None:
    """Raise ValueError if a field is out of its limits."""
    for name, *_ in items:
        value = getattr(header, name)
        low, high = _LIMITS[name]
        if not (isinstance(value, int) and low <= value <= high):
            raise ValueError(f"packet header: {name} {value!r}, expected a whole number from {low} to {high}")


def identifier(words: Iterable[int] | NDArray[Any]) -> int:
    """CRC-32 that names a table: over its words in the order in which they are loaded, 8 octets each, signed."""
    return zlib.crc32(np.asarray(list(words), "<i8").tobytes())


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What the headers of all packets of a core have in common; `FIELDS` says what the fields mean.

    Raises
    ------
    ValueError
        One line that names the field, the value and what would be accepted.
    """

    word_octets: int
    count_bits: int
    code_bits: int
    coefficient_bits: int = 0
    width: int
    height: int
    components: int = 0
    rice_block: int = 0

    def __post_init__(self) -> None:
        _check(self, CONSTANT_FIELDS)
        if self.word_octets & (self.word_octets - 1):
            raise ValueError(f"packet header: word_octets {self.word_octets}, expected a power of two from 4 to 64")
        if self.rice_block not in (0, 8, 16, 32):
            raise ValueError(f"packet header: rice_block {self.rice_block}, expected 0, 8, 16 or 32")

    @classmethod
    def of(cls, config: CoreConfig) -> Self:
        """Those of a core."""
        projects = config.projects
        return cls(
            word_octets=config.word_octets,
            count_bits=config.frame.count_bits,
            code_bits=config.codebook.code_bits,
            coefficient_bits=config.projector.output_bits if projects else 0,
            width=config.frame.width,
            height=config.frame.height,
            components=config.projector.components if projects else 0,
            rice_block=config.output.rice_block if Mode.RICE in config.modes else 0,
        )

    def pack(self) -> bytes:
        """The end of the header."""
        return _CONSTANT_LAYOUT.pack(*(getattr(self, item.name) for item in CONSTANT_FIELDS)) + _REST

    @cached_property
    def lengths(self) -> dict[Mode, range]:
        """How many octets a payload may have, by mode; none in modes that the core has not."""
        pixels = self.width * self.height
        lengths = {}
        for mode in Mode:
            if mode == Mode.RICE and not self.rice_block:
                lengths[mode] = range(0)
                continue
            bits = payload_bits(
                mode,
                pixels=pixels,
                count_bits=self.count_bits,
                code_bits=self.code_bits,
                rice_block=self.rice_block,
                coefficients=self.components,
                coefficient_bits=self.coefficient_bits,
            )
            largest = -(-bits // 8)
            least = {Mode.ZEROMASK: -(-pixels // 8), Mode.RICE: 1}.get(mode, largest)
            lengths[mode] = range(max(least, 1), largest + 1)
        return lengths


@lru_cache(maxsize=16)
def _unpack_sizes(octets: bytes) -> Sizes:
    """Sizes of the end of a header; always the same ones, as a rule."""
    if octets[_CONSTANT_LAYOUT.size :] != _REST:
        raise ValueError(f"packet header: its last {len(_REST)} octets are not 0")
    values = _CONSTANT_LAYOUT.unpack_from(octets)
    return Sizes(**{item.name: value for item, value in zip(CONSTANT_FIELDS, values, strict=True)})


@dataclass(frozen=True, kw_only=True)
class Header:
    """Header of a packet; `FIELDS` says what the fields mean.

    Raises
    ------
    ValueError
        One line that names the field, the value and what would be accepted.
    """

    sizes: Sizes
    mode: Mode
    flags: Flag = Flag.NONE
    frame: int = 0
    codebook: int = 0
    weights: int = 0
    length: int = 0

    def __post_init__(self) -> None:
        _check(self, _VARIABLE_FIELDS)

    def pack(self) -> bytes:
        """The 64 octets."""
        values = (getattr(self, item.name) for item in _VARIABLE_FIELDS)
        return _VARIABLE_LAYOUT.pack(MAGIC, VERSION, *values) + self.sizes.pack()

    @classmethod
    def unpack(cls, octets: bytes) -> Self:
        """Header of 64 octets.

        Raises
        ------
        ValueError
            If they are none.
        """
        if len(octets) != HEADER_OCTETS:
            raise ValueError(f"packet header: {len(octets)} octets, expected {HEADER_OCTETS}")
        magic, version, mode, flags, frame, codebook, weights, length = _VARIABLE_LAYOUT.unpack_from(octets)
        if magic != MAGIC:
            raise ValueError(f"packet header: magic {magic.hex(' ')}, expected {MAGIC.hex(' ')}")
        if version != VERSION:
            raise ValueError(f"packet header: version {version}, expected {VERSION}")
        if mode >= len(_MODES):
            raise ValueError(f"packet header: mode {mode}, expected 0 to {len(_MODES) - 1}")
        if flags >= len(_FLAGS):
            raise ValueError(f"packet header: flags {flags:#x}, expected {len(_FLAGS) - 1:#x} at most")
        return cls(
            sizes=_unpack_sizes(octets[_CONSTANTS:]),
            mode=_MODES[mode],
            flags=_FLAGS[flags],
            frame=frame,
            codebook=codebook,
            weights=weights,
            length=length,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the values: (height, width), or (components,)."""
        return (self.sizes.components,) if self.mode.projects else (self.sizes.height, self.sizes.width)

    @property
    def packet_octets(self) -> int:
        """Size of the whole packet: header, payload, what fills its last word, CRC."""
        word = self.sizes.word_octets
        return HEADER_OCTETS + -(-self.length // word) * word + CRC_OCTETS

    def decode_payload(self, payload: bytes) -> NDArray[Any]:
        """Counts or codes, uint16 (height, width), or coefficients, int32 (components,).

        Raises
        ------
        ValueError
            If the payload is none of this header.
        """
        sizes, lengths = self.sizes, self.sizes.lengths[self.mode]
        if len(payload) not in lengths:
            expected = f"{lengths.start} to {lengths.stop - 1}" if lengths else "none"
            raise ValueError(f"payload of {len(payload)} octets in mode {self.mode.label}, expected {expected}")
        octets, count = np.frombuffer(payload, np.uint8), prod(self.shape)
        match self.mode:
            case Mode.RAW:
                values = packer.unpack(octets, sizes.count_bits, count)
            case Mode.CODES:
                values = packer.unpack(octets, sizes.code_bits, count)
            case Mode.ZEROMASK:
                values = zeromask.decode(payload, sizes.code_bits, count)
            case Mode.RICE:
                values = _decode_rice(payload, sizes)
            case _:
                values = packer.unpack(octets, sizes.coefficient_bits, count, signed=True)
        return values.reshape(self.shape).astype(np.int32 if self.mode.projects else np.uint16, copy=False)


_SZIP_LOCK = Lock()


@lru_cache(maxsize=4)
def _szip_dataset(height: int, width: int, octets: int, block: int) -> Any:
    """Data set of one chunk behind HDF5's SZIP filter, in a file that is nowhere but in memory."""
    import h5py

    name = f"ptychopress-{height}-{width}-{octets}-{block}"
    file = h5py.File(name, "w", driver="core", backing_store=False)
    return file.create_dataset(
        "codes",
        (height, width),
        f"<u{octets}",
        chunks=(height, width),
        compression="szip",
        compression_opts=("ec", block),
    )


def _decode_rice(payload: bytes, sizes: Sizes) -> NDArray[Any]:
    """Codes of a Rice stream: to HDF5 it is a chunk of the SZIP filter, with the size of its data in front."""
    octets = 1 if sizes.code_bits <= 8 else 2
    codes = np.empty((sizes.height, sizes.width), f"<u{octets}")
    with _SZIP_LOCK:
        dataset = _szip_dataset(sizes.height, sizes.width, octets, sizes.rice_block)
        dataset.id.write_direct_chunk((0, 0), _CRC.pack(codes.nbytes) + payload)
        try:
            dataset.read_direct(codes)
        except OSError as error:
            raise ValueError(f"payload is no Rice stream of {sizes.height} x {sizes.width} codes: {error}") from None
    return codes


@dataclass(frozen=True)
class Packet:
    """A frame's packet.

    Parameters
    ----------
    header : Header
    payload : bytes
        As long as the header says.
    late : bool
        From a `Decoder`: a packet with a higher number came before.

    Raises
    ------
    ValueError
        If the header says another length.
    """

    header: Header
    payload: bytes
    late: bool = False

    def __post_init__(self) -> None:
        if len(self.payload) != self.header.length:
            raise ValueError(f"payload of {len(self.payload)} octets, expected the header's {self.header.length}")

    @classmethod
    def build(cls, header: Header, payload: bytes) -> Self:
        """Packet of a payload and a header whose length does not matter."""
        return cls(replace(header, length=len(payload)), payload)

    def pack(self) -> bytes:
        """All octets of the packet."""
        covered = self.header.pack() + self.payload
        covered += bytes(self.header.packet_octets - CRC_OCTETS - len(covered))
        return covered + _CRC.pack(zlib.crc32(covered))

    @classmethod
    def unpack(cls, octets: bytes) -> Self:
        """Packet of all its octets and no more.

        Raises
        ------
        ValueError
            If they are no packet, or a damaged one.
        """
        header = Header.unpack(octets[:HEADER_OCTETS])
        if len(octets) != header.packet_octets:
            raise ValueError(f"packet of {len(octets)} octets, expected {header.packet_octets}")
        if not _is_whole(memoryview(octets)):
            raise ValueError(_WRONG_CRC)
        return cls(header, bytes(octets[HEADER_OCTETS : HEADER_OCTETS + header.length]))

    def values(self) -> NDArray[Any]:
        """Counts, codes or coefficients, see `Header.decode_payload`."""
        return self.header.decode_payload(self.payload)


def _is_whole(packet: memoryview) -> bool:
    """Whether the CRC at the end of a packet is that of what stands in front of it."""
    return zlib.crc32(packet[:-CRC_OCTETS]) == _CRC.unpack(packet[-CRC_OCTETS:])[0]


@dataclass(frozen=True)
class Damage:
    """Something that began like a packet and is none.

    Attributes
    ----------
    reason : str
    frame : int or None
        Number of the frame as the header has it, if that can be read; nothing vouches for it.
    """

    reason: str
    frame: int | None = None


@dataclass(frozen=True)
class Duplicate:
    """A packet that came before.

    Attributes
    ----------
    frame : int
    """

    frame: int


@dataclass(frozen=True)
class Missing:
    """Frames whose packets did not come, or came damaged.

    Attributes
    ----------
    frames : range
        Their numbers.
    """

    frames: range


Result = Packet | Damage | Duplicate | Missing
"""What a decoder has to say."""


@dataclass
class Statistics:
    """Counts of a decoder since it was made.

    Attributes
    ----------
    octets : int
        That were fed.
    skipped : int
        Of them, those that belong to no whole packet.
    packets, late, duplicates, damaged : int
        Packets handed out; of them, late ones; `Duplicate` and `Damage` reports.
    missing : int
        Frames reported as missing.
    """

    octets: int = 0
    skipped: int = 0
    packets: int = 0
    late: int = 0
    duplicates: int = 0
    damaged: int = 0
    missing: int = 0


@dataclass
class _Sequence:
    """Numbers of the frames that came, for as long as another may come late.

    Numbers below `low` are settled. Of those from there to below `next`, `seen` holds the CRC of what came.
    """

    window: int
    seen: dict[int, int] = field(default_factory=dict)
    base: int = 0
    low: int = 0
    next: int = -1

    def _begin(self, number: int) -> None:
        self.seen.clear()
        self.base = self.next = number
        self.low = max(number - self.window, 0)

    def take(self, number: int, crc: int, first: bool) -> list[Missing] | None:
        """Note a packet; return what is missing for good now, or None if the packet came before."""
        known = self.seen.get(number)
        if known == crc:
            return None
        missing: list[Missing] = []
        if self.next < 0:
            self._begin(number)
        elif known is not None or (first and number < self.low):
            # The same number with other content: counting has begun anew.
            missing = self.settle(self.next)
            self._begin(number)
        if number >= self.low:
            self.seen[number] = crc
        if number >= self.next:
            self.next = number + 1
            missing += self.settle(self.next - self.window)
        return missing

    def settle(self, stop: int) -> list[Missing]:
        """Give up waiting for numbers below `stop`."""
        missing = []
        while self.low < stop:
            if self.low in self.seen:
                del self.seen[self.low]
                self.low += 1
                continue
            end = min(min(self.seen, default=stop), stop)
            if end > self.base:
                missing.append(Missing(range(max(self.low, self.base), end)))
            self.low = end
        return missing


class Decoder:
    """Finds packets in a stream of octets, or in datagrams, whatever happened to them on the way.

    A packet is handed out only if its CRC-32 is right, its header makes sense and its length is one that its mode can
    have. After damage the search goes on right behind the magic, so what follows a truncated packet is found.

    Packets are never held back to sort them: one that comes after a higher number is `Packet.late`. A number is given
    up, and reported as `Missing`, once one higher by `window` has come. The same packet once more is a `Duplicate`
    within the window; beyond it, it is late. Numbers begin anew with `Flag.FIRST`, or if one comes again with other
    content.

    Takes time proportional to what is fed; at worst, where headers stand closer together than the packets that they
    announce, the CRC of a largest packet for every 64 octets. Holds what is fed and, from call to call, less than one
    packet.

    Parameters
    ----------
    config : CoreConfig, optional
        Of the core; a header with other sizes is damage.
    largest : int, optional
        Octets of the largest payload that the sizes in a header may allow, whatever its own length, so that its values
        are bounded too. By default that of `config`, without one 2**26.
    window : int
        Frames for which a packet may be late, 1 or more.

    Attributes
    ----------
    statistics : Statistics
    """

    def __init__(self, config: CoreConfig | None = None, *, largest: int | None = None, window: int = 64) -> None:
        if largest is None:
            largest = max(-(-config.payload_bits(mode) // 8) for mode in config.modes) if config else 1 << 26
        if largest < 1 or window < 1:
            raise ValueError(f"largest {largest} and window {window}, expected whole numbers above 0")
        self.largest = largest
        self.window = window
        self.statistics = Statistics()
        self._sizes = Sizes.of(config) if config else None
        self._sequence = _Sequence(window)
        self._buffer = bytearray()
        self._needed = 0

    @property
    def held(self) -> int:
        """Octets that wait for what follows them."""
        return len(self._buffer)

    def feed(self, octets: bytes | bytearray | memoryview) -> list[Result]:
        """Take the next octets of a stream, any number of them; return what they complete."""
        self._buffer += octets
        self.statistics.octets += len(octets)
        return [] if len(self._buffer) < self._needed else self._scan(last=False)

    def finish(self) -> list[Result]:
        """End of the stream: nothing more comes, nothing more is late."""
        return [*self._scan(last=True), *self._count(self._sequence.settle(self._sequence.next))]

    def decode(self, datagram: bytes | bytearray | memoryview) -> list[Result]:
        """Take a datagram, or a file, that should be one packet and nothing else. Not to be mixed with `feed`."""
        self.statistics.octets += len(datagram)
        header = None
        try:
            header = Header.unpack(bytes(datagram[:HEADER_OCTETS]))
            self._expect(header)
            if len(datagram) != header.packet_octets:
                raise ValueError(f"packet of {len(datagram)} octets, expected {header.packet_octets}")
            return self._packet(header, memoryview(datagram))
        except ValueError as error:
            self.statistics.skipped += len(datagram)
            return [self._damage(error, header)]

    def _scan(self, *, last: bool) -> list[Result]:
        """Read what is in the buffer; forget it up to where the next packet may begin."""
        results: list[Result] = []
        self._needed = place = 0
        with memoryview(self._buffer) as view:
            while True:
                found = self._buffer.find(MAGIC, place)
                if found < 0:
                    # The first octets of a magic may stand at the end.
                    found = len(view) if last else max(place, len(view) - len(MAGIC) + 1)
                self.statistics.skipped += found - place
                place = found
                used = self._read(view[place:], results, last=last)
                if not used:
                    break
                place += used
        del self._buffer[:place]
        return results

    def _read(self, view: memoryview, results: list[Result], *, last: bool) -> int:
        """Read what begins with a magic; return the octets that are done with, 0 if more must come first."""
        header, needed = None, HEADER_OCTETS
        try:
            if len(view) >= needed:
                header = Header.unpack(bytes(view[:HEADER_OCTETS]))
                self._expect(header)
                needed = header.packet_octets
                if len(view) >= needed:
                    results += self._packet(header, view[:needed])
                    return needed
            if not last or len(view) < len(MAGIC):
                self._needed = needed
                return 0
            raise ValueError("packet: the stream ends in it")
        except ValueError as error:
            results.append(self._damage(error, header))
            self.statistics.skipped += len(MAGIC)
            return len(MAGIC)

    def _expect(self, header: Header) -> None:
        """Raise ValueError for a header that no packet of this core has."""
        if self._sizes is not None and header.sizes != self._sizes:
            raise ValueError("packet header: sizes of another core")
        lengths = header.sizes.lengths[header.mode]
        if header.length not in lengths or lengths[-1] > self.largest:
            raise ValueError(f"packet header: length {header.length} in mode {header.mode.label}")

    def _packet(self, header: Header, view: memoryview) -> list[Result]:
        """Results of a packet; ValueError if its CRC is wrong."""
        if not _is_whole(view):
            raise ValueError(_WRONG_CRC)
        (crc,) = _CRC.unpack(view[-CRC_OCTETS:])
        missing = self._sequence.take(header.frame, crc, Flag.FIRST in header.flags)
        if missing is None:
            self.statistics.duplicates += 1
            return [Duplicate(header.frame)]
        late = header.frame + 1 < self._sequence.next
        self.statistics.packets += 1
        self.statistics.late += late
        payload = bytes(view[HEADER_OCTETS : HEADER_OCTETS + header.length])
        return [*self._count(missing), Packet(header, payload, late)]

    def _count(self, missing: list[Missing]) -> list[Missing]:
        self.statistics.missing += sum(part.frames.stop - part.frames.start for part in missing)
        return missing

    def _damage(self, error: ValueError, header: Header | None) -> Damage:
        self.statistics.damaged += 1
        return Damage(str(error), header.frame if header else None)
