# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Layouts of a beat: what crosses a stream in one clock."""

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


def check_lanes(lanes: int) -> None:
    """Raise ValueError unless `lanes` is a number of pixels a beat: 1 to 1024, as a bus of Verilog has its limits."""
    if type(lanes) is not int or not 1 <= lanes <= 1024:
        raise ValueError(f"lanes must be a whole number from 1 to 1024, got {lanes!r}")
