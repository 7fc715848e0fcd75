# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from ptychopress.hdl.zeromask import ZeromaskEncoder
from ptychopress.model.zeromask import decode, encode, zeromask_bits
from ptychopress.sim.payload_faults import PAYLOAD_FAULTS
from ptychopress.sim.run import REGRESSIONS, Simulator

BENCHES = [name for name, regression in REGRESSIONS.items() if regression.bench == "zeromask"]
QUICK = ("zeromask-9x4", "zeromask-3x16")
ZEROMASK_FAULTS = [name for name, fault in PAYLOAD_FAULTS.items() if fault.bench == "zeromask"]
QUICK_FAULTS = ("full neighbour", "group not cleared", "half rate, zeromask")


@st.composite
def frames(draw: st.DrawFn) -> tuple[list[int], int]:
    code_bits = draw(st.integers(1, 16))
    codes = st.one_of(st.just(0), st.integers(0, (1 << code_bits) - 1))
    return draw(st.lists(codes, max_size=40)), code_bits


def from_the_page(codes: list[int], code_bits: int) -> bytes:
    """Payload, bit by bit as docs/zeromask.md has it."""
    bits = ""
    for first in range(0, len(codes), 8):
        group = codes[first : first + 8]
        bits += "".join("1" if code else "0" for code in group).ljust(8, "0")
        bits += "".join(f"{code:0{code_bits}b}"[::-1] for code in group if code)
    bits = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return bytes(int(bits[k : k + 8][::-1], 2) for k in range(0, len(bits), 8))


def decoded(payload: bytes, code_bits: int, pixels: int) -> NDArray[np.uint16] | None:
    """Codes, or None if the payload is refused."""
    try:
        return decode(payload, code_bits, pixels)
    except ValueError as error:
        if str(error).startswith("zeromask payload"):
            return None
        raise


@given(frames())
def test_payload_is_as_documented_and_comes_back(case: tuple[list[int], int]) -> None:
    codes, code_bits = case
    payload = encode(np.array(codes, np.uint16), code_bits)
    assert payload == from_the_page(codes, code_bits)
    assert 8 * len(payload) < zeromask_bits(len(codes), code_bits) + 8
    np.testing.assert_array_equal(decode(payload, code_bits, len(codes)), codes)


def test_known_octets() -> None:
    # Pixels 0, 3 and 9 are not 0; 4 bits a code: mask 0b1001, codes 5 and 15, mask 0b10, code 7, four bits to fill up.
    codes = np.array([[5, 0, 0, 15, 0, 0, 0, 0], [0, 7, 0, 0, 0, 0, 0, 0]])
    assert encode(codes, 4) == bytes([0b1001, 0xF5, 0b10, 0x07])


def test_the_largest_payload_is_one_without_a_zero() -> None:
    assert 8 * len(encode(np.full(64, 511), 9)) == zeromask_bits(64, 9) == 64 * 10


@given(frames(), st.data())
def test_another_payload_is_another_frame_or_refused(case: tuple[list[int], int], data: st.DataObject) -> None:
    codes, code_bits = case
    payload = bytearray(encode(np.array(codes, np.uint16), code_bits))
    for _ in range(data.draw(st.integers(1, 3))):
        if data.draw(st.booleans()) and payload:
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
        else:
            del payload[data.draw(st.integers(0, len(payload))) :]
            payload += data.draw(st.binary(max_size=3))
    found = decoded(bytes(payload), code_bits, len(codes))
    assert found is None or encode(found, code_bits) == payload


@given(st.binary(max_size=60), st.integers(1, 16), st.integers(0, 100))
def test_any_bytes_are_a_payload_or_refused(payload: bytes, code_bits: int, pixels: int) -> None:
    found = decoded(payload, code_bits, pixels)
    assert found is None or encode(found, code_bits) == payload


@pytest.mark.parametrize(
    ("octets", "pixels", "message"),
    [
        ([], 8, "of 0 octets, expected 1 to 5 for 8 pixels"),
        ([0] * 6, 8, "of 6 octets, expected 1 to 5"),
        ([0, 0], 8, "of 2 octets, expected 1 by its masks"),
        ([0b11], 8, "of 1 octets, expected 2 by its masks"),
        ([0xFF, 0xFF], 16, "ends before its 2 groups"),
        ([0b1, 0x15], 8, "a bit is set behind its last code"),
        ([0b10000, 0x5], 4, "a mask bit is set behind its last pixel, 3"),
        ([0b1, 0x0], 8, "a code is 0 where the mask says that it is not"),
    ],
)
def test_a_damaged_payload_says_how(octets: list[int], pixels: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"zeromask payload.*{message}"):
        decode(bytes(octets), 4, pixels)


def test_memory_is_bounded_by_payload_and_pixels() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="expected"):
            decode(b"\xff" * 8, 16, 1 << 40)
        with pytest.raises(ValueError, match="expected"):
            decode(bytes(1 << 20), 16, 8)
        codes = np.ones(1 << 16, np.uint16)
        payload = encode(codes, 16)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        decode(payload, 16, 1 << 16)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 64 * (1 << 16)


def test_bad_arguments_of_the_model_are_refused() -> None:
    for code in (-1, 16):
        with pytest.raises(ValueError, match="do not fit 4 bits"):
            encode(np.array([0, code]), 4)
    with pytest.raises(TypeError, match="codes must be integers, got float64"):
        encode(np.zeros(8), 4)
    for bits in (0, 17):
        with pytest.raises(ValueError, match=f"code_bits must lie between 1 and 16, got {bits}"):
            encode(np.zeros(8, np.uint8), bits)


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        *((name, "icarus") for name in QUICK),
        *(pytest.param(name, "icarus", marks=pytest.mark.slow) for name in BENCHES if name not in QUICK),
        *(pytest.param(name, "verilator", marks=pytest.mark.slow) for name in BENCHES),
    ],
    indirect=["simulator"],
)
def test_encoder_equals_model_under_any_pauses(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    result = REGRESSIONS[name].run(simulator, seed, tmp_path)
    assert result.passed, str(result)
    benches = {test.partition("/")[0] for test in result.tests}
    assert benches - {"coverage"} <= {PAYLOAD_FAULTS[fault].test.partition("/")[0] for fault in ZEROMASK_FAULTS}


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        pytest.param(name, "icarus", marks=() if name in QUICK_FAULTS else pytest.mark.slow, id=name)
        for name in ZEROMASK_FAULTS
    ],
    indirect=["simulator"],
)
def test_planted_fault_is_caught(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    assert (missed := PAYLOAD_FAULTS[name].missed(simulator, seed, tmp_path)) is None, missed


@pytest.mark.usefixtures("refused")
def test_bad_arguments_of_the_block_are_refused() -> None:
    for lanes in (0, 3, 128):
        with pytest.raises(ValueError, match=f"lanes must be a power of two from 1 to 64, got {lanes}"):
            ZeromaskEncoder(8, lanes, 8)
    for bits in (0, 17):
        with pytest.raises(ValueError, match=f"code_bits must be a whole number from 1 to 16, got {bits}"):
            ZeromaskEncoder(bits, 8, 8)
    with pytest.raises(ValueError, match="octets must be a power of two from 1 to 128, got 12"):
        ZeromaskEncoder(8, 8, 12)
