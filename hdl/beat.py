# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Layouts of a beat: what crosses a stream in one clock."""

from amaranth.hdl import signed
from amaranth.lib.data import ArrayLayout, StructLayout


def counts_beat(count_bits: int, lanes: int) -> StructLayout:
    """One count a lane; `last` marks the final beat of a frame."""
    return StructLayout({"counts": ArrayLayout(count_bits, lanes), "last": 1})


def codes_beat(code_bits: int, lanes: int) -> StructLayout:
    """One code a lane, a bit a lane that says that its count was above the range, and `last`."""
    return StructLayout({"codes": ArrayLayout(code_bits, lanes), "saturated": lanes, "last": 1})


def levels_beat(level_bits: int, lanes: int) -> StructLayout:
    """One decoded count a lane, a bit a lane that says that the codebook has no such code, and `last`."""
    return StructLayout({"levels": ArrayLayout(level_bits, lanes), "unknown": lanes, "last": 1})


def table_beat(count_bits: int) -> StructLayout:
    """One word of a threshold table; `last` marks the word that completes it."""
    return StructLayout({"threshold": count_bits, "last": 1})


def values_beat(value_bits: int, lanes: int) -> StructLayout:
    """One count or code a lane, whether a count of the beat was above the range, and `last`."""
    return StructLayout({"values": ArrayLayout(value_bits, lanes), "clipped": 1, "last": 1})


def coefficients_beat(coefficient_bits: int, columns: int, *, upset: bool = False) -> StructLayout:
    """One coefficient a column, what is to be said of them and of their frame, and `last`.

    `saturated` has a bit a coefficient; `short` and `long`: the frame ended early or late; `clipped`: one of its
    counts was above the range. With `upset` one more: so far in its frame a word read from a memory was wrong beyond
    correction; the frame's last beat says it of the whole.
    """
    flags = {"saturated": columns, "short": 1, "long": 1, "clipped": 1} | ({"upset": 1} if upset else {})
    coefficients = ArrayLayout(signed(coefficient_bits), columns)
    return StructLayout({"coefficients": coefficients, "flags": StructLayout(flags), "last": 1})


def word_beat(word_bits: int) -> StructLayout:
    """One signed word of a table of weights; `last` marks the word that completes it."""
    return StructLayout({"word": signed(word_bits), "last": 1})


def below(limit: int) -> range:
    """Shape of a whole number below `limit`; at least one bit, as Verilog has no signals without."""
    return range(max(limit, 2))


def check_lanes(lanes: int, name: str = "lanes") -> None:
    """Raise ValueError unless `lanes` is a number of values a beat: 1 to 1024, as a bus of Verilog has its limits."""
    if type(lanes) is not int or not 1 <= lanes <= 1024:
        raise ValueError(f"{name} must be a whole number from 1 to 1024, got {lanes!r}")


def words_beat(octets: int) -> StructLayout:
    """Bytes of a payload: the low `size` of the `octets`, all of them but in the last beat, and `last`."""
    return StructLayout({"octets": ArrayLayout(8, octets), "size": range(octets + 1), "last": 1})


def chunk_beat(bits: int) -> StructLayout:
    """A piece of a bit stream: the low `size` of the `bits`, lowest first, and `last`."""
    return StructLayout({"bits": bits, "size": range(bits + 1), "last": 1})


def bare_beat(value_bits: int, lanes: int) -> StructLayout:
    """One value a lane and `last`, nothing else."""
    return StructLayout({"values": ArrayLayout(value_bits, lanes), "last": 1})
