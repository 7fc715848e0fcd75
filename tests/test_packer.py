# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from ptychopress.hdl.packer import BitPacker, Packer
from ptychopress.model.packer import pack, packed_octets, unpack
from ptychopress.sim.payload_faults import PAYLOAD_FAULTS
from ptychopress.sim.run import REGRESSIONS, Simulator

BENCHES = [name for name, regression in REGRESSIONS.items() if regression.bench == "packer"]
QUICK = ("packer-octet", "packer-wide-chunks", "packer-coefficients")
PACKER_FAULTS = [name for name, fault in PAYLOAD_FAULTS.items() if fault.bench == "packer"]
QUICK_FAULTS = ("noise kept", "pushed early", "reset forgets", "piece too many", "one clock more, packer")


@st.composite
def rows_of_values(draw: st.DrawFn) -> tuple[NDArray[np.int64], int, bool]:
    bits, signed = draw(st.integers(1, 32)), draw(st.booleans())
    low = -(1 << (bits - 1)) if signed else 0
    count = draw(st.integers(0, 40))
    rows = draw(st.lists(st.lists(st.integers(low, low + (1 << bits) - 1), min_size=count, max_size=count), max_size=3))
    return np.array(rows, np.int64).reshape(len(rows), count), bits, signed


@given(rows_of_values())
def test_bits_stand_one_behind_another(case: tuple[NDArray[np.int64], int, bool]) -> None:
    values, bits, signed = case
    octets = pack(values, bits, signed=signed)
    assert octets.shape == (len(values), packed_octets(values.shape[1], bits))
    for row, packed in zip(values.tolist(), octets, strict=True):
        number = sum((value % (1 << bits)) << (bits * k) for k, value in enumerate(row))
        assert packed.tobytes() == number.to_bytes(len(packed), "little")
    back = unpack(octets, bits, values.shape[1], signed=signed)
    np.testing.assert_array_equal(back, values)
    assert back.dtype.kind == ("i" if signed else "u")
    assert back.itemsize == (1 if bits <= 8 else 2 if bits <= 16 else 4)


def test_known_octets() -> None:
    # Three values of 3 bits: 101, 011, 110; the third begins in octet 0 and ends in octet 1.
    assert pack(np.array([0b101, 0b011, 0b110]), 3).tolist() == [0b10_011_101, 0b1]
    assert pack(np.array([0x1234, -2]), 16, signed=True).tolist() == [0x34, 0x12, 0xFE, 0xFF]


def test_more_rows_than_fit_a_block() -> None:
    values = np.random.default_rng(1).integers(0, 1 << 9, (50, 3000))
    octets = pack(values, 9)
    np.testing.assert_array_equal(octets[37], pack(values[37], 9))
    np.testing.assert_array_equal(unpack(octets, 9, 3000), values)


@pytest.mark.parametrize(("value", "signed"), [(8, False), (-1, False), (4, True), (-5, True)])
def test_values_that_do_not_fit_are_refused(value: int, signed: bool) -> None:
    with pytest.raises(ValueError, match="do not fit 3 bits, "):
        pack(np.array([0, value]), 3, signed=signed)


def test_bad_arguments_of_the_model_are_refused() -> None:
    with pytest.raises(TypeError, match="values must be integers, got float64"):
        pack(np.zeros(3), 8)
    for bits in (0, 33):
        with pytest.raises(ValueError, match=f"bits must lie between 1 and 32, got {bits}"):
            pack(np.zeros(3, np.uint8), bits)
    for size in (3, 5):
        with pytest.raises(ValueError, match=f"{size} octets, expected 4: 3 values of 9 bits"):
            unpack(np.zeros(size, np.uint8), 9, 3)


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
def test_packer_equals_model_under_any_pauses(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    result = REGRESSIONS[name].run(simulator, seed, tmp_path)
    assert result.passed, str(result)
    benches = {test.partition("/")[0] for test in result.tests}
    assert benches - {"coverage"} <= {PAYLOAD_FAULTS[fault].test.partition("/")[0] for fault in PACKER_FAULTS}


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        pytest.param(name, "icarus", marks=() if name in QUICK_FAULTS else pytest.mark.slow, id=name)
        for name in PACKER_FAULTS
    ],
    indirect=["simulator"],
)
def test_planted_fault_is_caught(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    assert (missed := PAYLOAD_FAULTS[name].missed(simulator, seed, tmp_path)) is None, missed


@pytest.mark.usefixtures("refused")
def test_bad_arguments_of_the_blocks_are_refused() -> None:
    for octets in (0, 3, 256, 4.0):
        with pytest.raises(ValueError, match=rf"octets must be a power of two from 1 to 128, got {octets!r}"):
            BitPacker(8, octets)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="chunk_bits must be a whole number from 1 on, got 0"):
        BitPacker(0, 4)
    for bits in (0, 33):
        with pytest.raises(ValueError, match=f"value_bits must be a whole number from 1 to 32, got {bits}"):
            Packer(bits, 4, 4)
    for values in (0, 5):
        with pytest.raises(ValueError, match=f"last_values must be a whole number from 1 to the 4 lanes, got {values}"):
            Packer(8, 4, 4, last_values=values)
    with pytest.raises(ValueError, match="lanes must be a whole number from 1"):
        Packer(8, 0, 4)
