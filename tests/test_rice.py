# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import imagecodecs
import numpy as np
import pytest
from amaranth.sim import Simulator as AmaranthSimulator
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychopress.hdl.rice import RiceEncoder
from ptychopress.model.config import CoreConfig, Mode
from ptychopress.model.rice import RiceFormat
from ptychopress.sim.rice_faults import FAULTS
from ptychopress.sim.run import REGRESSIONS, Simulator

SEED = 20261126
QUICK = ("rice-cell", "rice-block-a-beat")
QUICK_FAULTS = ("lowest split", "next unseen", "half rate")


def kinds(shape: tuple[int, int], bits: int) -> Iterator[np.ndarray]:
    """Frames of codes that take every option: runs of zeros, ties between splits, noise, single spikes."""
    rng, top = np.random.default_rng(SEED), (1 << bits) - 1
    blocks = (shape[0], shape[1] // 8)
    yield np.zeros(shape, int)
    yield np.full(shape, top)
    yield rng.integers(0, top + 1, shape)
    for mean in (0.01, 0.2, 1, 5, 60):
        yield np.minimum(rng.poisson(mean, shape), top)
    yield np.minimum(rng.poisson(2.0 ** rng.uniform(-6, bits, blocks)).repeat(8, 1), top)
    yield np.minimum(rng.poisson((2.0 ** rng.uniform(-6, bits, blocks)).repeat(8, 1)), top)
    yield np.minimum(1 << rng.integers(0, bits, blocks).repeat(8, 1), top)
    yield np.where(rng.random(shape) < 0.002, top, 0)


def libaec(rice: RiceFormat) -> dict[str, Any]:
    return {"bitspersample": rice.sample_bits, "flags": 0, "blocksize": rice.block, "rsi": rice.interval}


def decoded(stream: bytes, rice: RiceFormat, shape: tuple[int, int]) -> np.ndarray:
    size = int(np.prod(shape)) * rice.dtype.itemsize
    data = imagecodecs.aec_decode(stream, out=size, **libaec(rice))
    return np.frombuffer(data, rice.dtype).reshape(shape)


def opened(path: Path, streams: list[bytes], rice: RiceFormat, shape: tuple[int, int]) -> np.ndarray:
    """Write streams as chunks of a data set with the SZIP filter; read it as anybody would."""
    size = int(np.prod(shape)) * rice.dtype.itemsize
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "codes",
            (len(streams), *shape),
            rice.dtype,
            chunks=(1, *shape),
            compression="szip",
            compression_opts=("ec", rice.block),
        )
        for frame, stream in enumerate(streams):
            data.id.write_direct_chunk((frame, 0, 0), size.to_bytes(4, "little") + stream)
    with h5py.File(path) as file:
        return file["codes"][:]


def in_bytes(*fields: str) -> bytes:
    bits = "".join(fields).replace(" ", "")
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.mark.parametrize(
    ("codes", "stream"),
    [
        pytest.param([0] * 8, in_bytes("000 0", "1"), id="a zero block"),
        pytest.param([0] * 32, in_bytes("000 0", "0001"), id="4 zero blocks"),
        pytest.param([0] * 40, in_bytes("000 0", "00001"), id="5 zero blocks to the end"),
        pytest.param([0] * 40 + [255] * 8, in_bytes("000 0", "000001", "111", "1" * 64), id="5 zero blocks, another"),
        pytest.param([1] + [0] * 7, in_bytes("000 1", "01 1 1 1"), id="second extension, first"),
        pytest.param([0] * 7 + [1], in_bytes("000 1", "1 1 1 001"), id="second extension, second"),
        pytest.param([1] * 8, in_bytes("001", "01" * 8), id="fundamental sequences"),
        pytest.param(
            [5, 4, 7, 6, 5, 4, 7, 6],
            in_bytes("011", "01" * 8, "01 00 11 10 01 00 11 10"),
            id="split by 2, as long as by 3",
        ),
        pytest.param(
            [12] * 8 + [5, 4, 7, 6, 5, 4, 7, 6],
            in_bytes("100", "01" * 8, "100" * 8, "100", "1" * 8, "101 100 111 110 101 100 111 110"),
            id="split by 3, as before",
        ),
        pytest.param(
            [12] * 8 + [0] * 8 + [4] * 8,
            in_bytes("100", "01" * 8, "100" * 8, "000 0", "1", "100", "1" * 8, "100" * 8),
            id="zero blocks keep the split",
        ),
        pytest.param([255, 0] * 4, in_bytes("111", ("1" * 8 + "0" * 8) * 4), id="uncompressed"),
    ],
)
def test_streams_by_hand(codes: list[int], stream: bytes) -> None:
    rice = RiceFormat(width=len(codes))
    assert rice.encode(np.array(codes)[None, None]) == [stream]


@pytest.mark.parametrize("block", [8, 16, 32])
@pytest.mark.parametrize("bits", [1, 4, 7, 8, 9, 14, 16])
@pytest.mark.parametrize("shape", [(3, 96), (1, 32), (2, 2048)])
def test_streams_are_those_of_libaec(shape: tuple[int, int], bits: int, block: int) -> None:
    rice = RiceFormat(width=shape[1], code_bits=bits, block=block)
    frames = np.stack(list(kinds(shape, bits))).astype(rice.dtype)
    for frame, stream in zip(frames, rice.encode(frames), strict=True):
        data = frame.tobytes() if rice.sample_bits == 8 else frame
        assert stream == bytes(imagecodecs.aec_encode(data, **libaec(rice)))
        np.testing.assert_array_equal(decoded(stream, rice, shape), frame)
        assert 8 * len(stream) < frame.size // block * rice.block_bits + 8


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_frame_is_coded_as_by_libaec(data: st.DataObject) -> None:
    block, bits = data.draw(st.sampled_from([8, 16, 32])), data.draw(st.integers(1, 16))
    rice = RiceFormat(width=block * data.draw(st.integers(1, 80)), code_bits=bits, block=block)
    rows, seed = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 1 << 32))
    rng = np.random.default_rng(seed)
    widths = rng.integers(0, bits + 1, (rows, rice.width // block)) * (rng.random((rows, 1)) < 0.8)
    frame = rng.integers(0, 1 << widths.repeat(block, 1)).astype(rice.dtype)
    values = frame.tobytes() if rice.sample_bits == 8 else frame
    assert rice.encode(frame[None]) == [bytes(imagecodecs.aec_encode(values, **libaec(rice)))]


@pytest.mark.parametrize(
    ("shape", "bits", "block"),
    [
        ((72, 72), 8, 8),
        ((256, 256), 8, 8),
        ((256, 256), 9, 16),
        ((256, 256), 8, 32),
        # More blocks in a row than an interval has; with 1320 pixels the last interval is not full.
        ((3, 1320), 8, 8),
        ((2, 4096), 14, 8),
        ((2, 4096), 8, 32),
    ],
)
def test_plain_h5py_reads_streams(shape: tuple[int, int], bits: int, block: int, tmp_path: Path) -> None:
    rice = RiceFormat(width=shape[1], code_bits=bits, block=block)
    frames = np.stack(list(kinds(shape, bits)))
    np.testing.assert_array_equal(opened(tmp_path / "x.h5", rice.encode(frames), rice, shape), frames)


def test_batches_do_not_show() -> None:
    rice = RiceFormat(width=512)
    frames = np.random.default_rng(SEED).poisson(0.5, (5, 256, 512)) % 256
    assert rice.encode(frames) == [rice.encode(frame[None])[0] for frame in frames]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 20}, "width: 20, expected a multiple of the block 8"),
        ({"width": 0}, "width: 0, expected a multiple"),
        ({"width": 64, "block": 12}, "block: 12, expected 8, 16 or 32"),
        ({"width": 64, "code_bits": 17}, "code_bits: 17, expected a whole number from 1 to 16"),
    ],
)
def test_bad_formats_are_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        RiceFormat(**fields)


def test_bad_frames_are_refused() -> None:
    rice = RiceFormat(width=16, code_bits=4)
    with pytest.raises(TypeError, match="frames: float64, expected integers"):
        rice.encode(np.zeros((1, 1, 16)))
    for shape in ((16,), (1, 1, 8), (0, 1, 16)):
        with pytest.raises(ValueError, match=re.escape(f"frames: shape {shape}, expected (frames, height, 16)")):
            rice.encode(np.zeros(shape, int))
    with pytest.raises(ValueError, match="frames: codes 0 to 16, expected 0 to 15"):
        rice.encode(np.full((1, 1, 16), [0, 16] * 8))
    with pytest.raises(ValueError, match="frames: codes -1 to -1, expected 0 to 15"):
        rice.encode(np.full((1, 1, 16), -1))


def core(lanes: int, block: int, **frame: int) -> CoreConfig:
    return CoreConfig.from_dict(
        {
            "frame": {"height": 64, "lanes": lanes, **frame},
            "output": {"modes": ["rice"], "rice_block": block},
        }
    )


def test_configuration_makes_words_wide_enough() -> None:
    for config in (core(8, 8, width=512, count_bits=8), core(1, 8, width=1024), core(4, 16, width=72 * 4)):
        rice, words = config.rice, 8 * config.word_octets * config.output.rice_block // config.frame.lanes
        assert max(rice.block_bits, rice.run_bits) <= words
        blocks = config.frame.pixels // rice.block
        assert config.payload_bits(Mode.RICE) == blocks * rice.block_bits
    with pytest.raises(ValueError, match=re.escape("frame.lanes: 16, expected at most output.rice_block, 8")):
        core(16, 8, width=64)


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("lanes", [0, 3, 16, 2.0])
def test_bad_lanes_are_refused(lanes: int) -> None:
    with pytest.raises(ValueError, match=f"lanes must be a power of two from 1 to the block 8, got {lanes}"):
        RiceEncoder(RiceFormat(width=64), lanes=lanes)


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        pytest.param(name, simulator, marks=() if name in QUICK and simulator == "icarus" else pytest.mark.slow)
        for name, regression in REGRESSIONS.items()
        if regression.bench == "rice"
        for simulator in ("icarus", "verilator")
    ],
    indirect=["simulator"],
)
def test_encoder_equals_model_under_any_pauses(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    result = REGRESSIONS[name].run(simulator, seed, tmp_path)
    assert result.passed, str(result)
    benches = {test.partition("/")[0] for test in result.tests}
    assert benches - {"coverage"} <= {fault.test.partition("/")[0] for fault in FAULTS.values()}


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("name", "simulator"),
    [pytest.param(name, "icarus", marks=() if name in QUICK_FAULTS else pytest.mark.slow) for name in FAULTS],
    indirect=["simulator"],
)
def test_planted_fault_is_caught(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    assert (missed := FAULTS[name].missed(simulator, seed, tmp_path)) is None, missed


def simulated(block: RiceEncoder, frame: np.ndarray) -> bytes:
    """What an encoder makes of a frame, in Amaranth's own simulator."""
    simulator, stream = AmaranthSimulator(block), bytearray()
    simulator.add_clock(1e-6)
    beats = frame.reshape(-1, block.lanes).tolist()

    async def source(ctx: Any) -> None:
        for index, values in enumerate(beats):
            ctx.set(block.i.payload, {"values": values, "last": index == len(beats) - 1})
            ctx.set(block.i.valid, 1)
            await ctx.tick().until(block.i.ready)
        ctx.set(block.i.valid, 0)

    async def sink(ctx: Any) -> None:
        ctx.set(block.o.ready, 1)
        last = False
        while not last:
            (word,) = await ctx.tick().sample(block.o.payload).until(block.o.valid)
            stream.extend(bytes(word.octets)[: word.size])
            last = bool(word.last)

    simulator.add_testbench(source, background=True)
    simulator.add_testbench(sink)
    simulator.run()
    return bytes(stream)


def test_what_the_encoder_sends_opens_in_libaec_and_h5py(tmp_path: Path) -> None:
    rice, shape = RiceFormat(width=72), (24, 72)
    frame = np.minimum(np.random.default_rng(SEED).poisson(np.linspace(0, 6, 72) ** 3 * np.ones(shape) / 4), 255)
    frame[:4] = 0
    stream = simulated(RiceEncoder(rice, lanes=4, octets=8), frame)
    np.testing.assert_array_equal(decoded(stream, rice, shape), frame)
    np.testing.assert_array_equal(opened(tmp_path / "x.h5", [stream], rice, shape), frame[None])
