# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from ptychopress.model import code_file
from ptychopress.model.attributes import put
from ptychopress.model.checksum import fletcher32
from ptychopress.model.code_file import CodeFile, CodeWriter, Lossless, default_block, szip_chunk
from ptychopress.model.codebook import Codebook

RNG = np.random.default_rng(11)
BOOKS = {name: Codebook.named(name) for name in ("sqrt-b", "sqrt-a")}  # their levels take a second, once


def random_codes(book: Codebook, shape: tuple[int, int, int], sparse: bool = True) -> np.ndarray:
    codes = RNG.integers(0, book.levels, shape)
    if sparse:
        codes = np.where(RNG.random(shape) < 0.7, 0, codes >> RNG.integers(0, 8, shape))
    return codes.astype(book.code_dtype)


def write(path: Path, book: Codebook, codes: np.ndarray, streams: list[bytes] | None = None, **options: object) -> Path:
    with h5py.File(path, "w") as file:
        options = {"mask": np.zeros(codes.shape[1:], np.bool_), "attributes": {"source": "s.h5"}} | options
        writer = CodeWriter(file, book, len(codes), codes.shape[1:], **options)
        step = 2 * writer.rows
        for start in range(0, len(codes), step):
            part = slice(start, start + step)
            told = np.arange(len(codes))[part]
            if streams is None:
                writer.write(codes[part], told)
            else:
                writer.write_streams(streams[part], codes[part], told)
        writer.close()
    return path


@pytest.mark.parametrize("lossless", list(Lossless))
@pytest.mark.parametrize("name", BOOKS)
@pytest.mark.parametrize("shape", [(7, 12, 16), (5, 9, 7), (4, 1, 40)])
def test_round_trip(name: str, shape: tuple[int, int, int], lossless: Lossless, tmp_path: Path) -> None:
    if lossless is Lossless.LZ4:
        pytest.importorskip("hdf5plugin")
    book = BOOKS[name]
    codes = random_codes(book, shape)
    mask = np.zeros(shape[1:], np.bool_)
    mask[0, 3] = True
    path = write(tmp_path / "c.h5", book, codes, lossless=lossless, mask=mask)
    with CodeFile.open(path) as opened:
        assert (opened.count, opened.shape) == (shape[0], shape[1:])
        np.testing.assert_array_equal(opened.mask, mask)
        pieces = list(opened.pieces(1))
        assert [part.start for part, _ in pieces] == list(range(0, shape[0], opened.data.chunks[0]))
        np.testing.assert_array_equal(np.concatenate([piece for _, piece in pieces]), codes)
        np.testing.assert_array_equal(opened.read(1, 3), codes[1:3])
        for method in ("midpoint", "posterior", "unbiased"):
            np.testing.assert_array_equal(opened.decode_levels(method), book.decode_levels(method))
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["codes"][()], codes)
        np.testing.assert_array_equal(file["codebook/edges"][()], book.edges)
        octets = [frame.astype(f"<u{codes.itemsize}").tobytes() for frame in codes]
        assert file["crc32"][()].tolist() == [zlib.crc32(frame) for frame in octets]
        assert file["saturated"][()].tolist() == list(range(shape[0]))
        assert file.attrs["saturated"] == sum(range(shape[0]))
        assert (file["codes"].compression == "szip") == (lossless is Lossless.SZIP)


def test_fletcher32_is_that_of_hdf5(tmp_path: Path) -> None:
    for k, octets in enumerate((b"", b"\0" * 6, b"\xff" * 8, b"a", RNG.bytes(1001), RNG.bytes(300_000))):
        with h5py.File(tmp_path / f"{k}.h5", "w") as file:
            size = len(octets) or 1
            data = file.create_dataset("x", data=np.frombuffer(octets or b"\0", "u1"), chunks=(size,), fletcher32=True)
            _, chunk = data.id.read_direct_chunk((0,))
            if octets:
                assert chunk == octets + fletcher32(octets).to_bytes(4, "little")
    assert fletcher32(b"") == 0


@pytest.mark.parametrize("name", BOOKS)
@pytest.mark.parametrize("block", [8, 16, 32])
@pytest.mark.parametrize("sparse", [True, False])
def test_streams_of_another_coder_make_the_same_file(name: str, block: int, sparse: bool, tmp_path: Path) -> None:
    book = BOOKS[name]
    codes = random_codes(book, (8, 16, 32), sparse)
    write(tmp_path / "own.h5", book, codes, block=block)
    streams = []
    with h5py.File(tmp_path / "own.h5") as file:
        for frame, octets in enumerate(codes):
            skipped, chunk = file["codes"].id.read_direct_chunk((frame, 0, 0))
            if skipped:
                streams.append(bytes(octets.nbytes + 1))
            else:
                assert int.from_bytes(chunk[:4], "little") == octets.nbytes
                streams.append(chunk[4:-4])
            assert szip_chunk(streams[-1], octets.tobytes()) == (chunk, skipped)
    write(tmp_path / "other.h5", book, codes, streams, block=block)
    assert (tmp_path / "own.h5").read_bytes() == (tmp_path / "other.h5").read_bytes()


def test_a_stream_is_that_of_libaec(tmp_path: Path) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    book = BOOKS["sqrt-b"]
    codes = random_codes(book, (2, 24, 64))
    write(tmp_path / "c.h5", book, codes, block=16)
    with h5py.File(tmp_path / "c.h5") as file:
        _, chunk = file["codes"].id.read_direct_chunk((1, 0, 0))
    octets = imagecodecs.aec_decode(chunk[4:-4], bitspersample=8, blocksize=16, rsi=4, flags=0, out=codes[1].nbytes)
    assert bytes(octets) == codes[1].tobytes()


def test_default_block() -> None:
    assert [default_block(columns) for columns in (72, 128, 7, 48)] == [8, 16, 8, 16]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    book = Codebook.from_edges([0, 1, 2, 4, 8, 16])
    codes = random_codes(book, (6, 8, 8))
    return write(tmp_path_factory.mktemp("whole") / "c.h5", book, codes), codes


def read_all(path: Path) -> np.ndarray:
    with CodeFile.open(path) as opened:
        return np.concatenate([piece for _, piece in opened.pieces(1 << 20)])


def test_every_flipped_octet_is_found_or_does_not_matter(whole: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, codes = tmp_path / "c.h5", whole[1]
    octets = whole[0].read_bytes()
    with h5py.File(whole[0]) as file:
        info = [file["codes"].id.get_chunk_info(k) for k in range(6)]
    inside = [k for chunk in info for k in range(chunk.byte_offset, chunk.byte_offset + chunk.size)]
    for position in inside[::7]:
        changed = bytearray(octets)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"damaged: frame"):
            read_all(path)
    for position in range(0, len(octets), len(octets) // 90):
        changed = bytearray(octets)
        changed[position] ^= 0x10
        path.write_bytes(changed)
        try:
            found = read_all(path)
        except ValueError:
            continue
        np.testing.assert_array_equal(found, codes)


def test_frames_in_each_others_place_are_found(whole: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "c.h5"
    path.write_bytes(whole[0].read_bytes())
    with h5py.File(path, "r+") as file:
        file["codes"][1], file["codes"][4] = file["codes"][4], file["codes"][1]
    with pytest.raises(ValueError, match=r"frame 1 does not have the CRC-32"):
        read_all(path)


def one_more_level(file: h5py.File) -> None:
    file["codebook/midpoint"][2] += 1


def other_mask(file: h5py.File) -> None:
    file["mask"] = np.full((8, 8), b"text")


def claim(file: h5py.File) -> None:
    del file["codes"]
    file.create_dataset("codes", (1 << 40, 8, 8), "u1", chunks=(1, 8, 8))


def replace(name: str, value: np.ndarray) -> Callable[[h5py.File], None]:
    def fault(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return fault


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda file: put(file, {"format": "other"}), "holds no codes"),
        (lambda file: put(file, {"version": 2}), "of version 2"),
        (lambda file: put(file, {"source": "other.h5"}), "SHA-256"),
        (lambda file: put(file["codebook"], {"name": "other"}), "SHA-256"),
        (lambda file: file.pop("crc32"), "SHA-256"),
        (lambda file: file.pop("codes"), "expected codes"),
        (one_more_level, "SHA-256"),
        (replace("crc32", np.zeros(6, "u4")), "SHA-256"),
        (replace("codes", np.zeros((6, 8, 8), "f4")), "expected codes"),
        (replace("codes", np.zeros((6, 64), "u1")), "expected codes"),
        (claim, "SHA-256"),
        (other_mask, r"damaged: mask is \|S4"),
    ],
)
def test_what_is_damaged_gets_one_line(
    fault: Callable[[h5py.File], object], message: str, whole: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "c.h5"
    path.write_bytes(whole[0].read_bytes())
    with h5py.File(path, "r+") as file:
        fault(file)
    with pytest.raises(ValueError, match=message) as caught:
        read_all(path)
    assert "\n" not in str(caught.value)


def reseal(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        put(file, {"sha256": code_file._digest(file)})


def test_a_sealed_file_that_claims_too_much_is_refused(whole: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    """A digest is no proof of good will: what it seals may claim any size."""
    for k, (shape, chunks, message) in enumerate(
        (
            ((6, 8, 8), (1, 8, 8), "chunks of codes are missing"),
            ((1 << 40, 8, 8), (1 << 24, 8, 8), "chunks"),
            ((6, 8, 8), (1, 4, 8), "chunks"),
            ((6, 1 << 20, 1 << 20), (1, 64, 64), "expected frames of 1 to"),
        )
    ):
        path = tmp_path / f"{k}.h5"
        path.write_bytes(whole[0].read_bytes())
        with h5py.File(path, "r+") as file:
            del file["codes"]
            file.create_dataset("codes", shape, "u1", chunks=chunks)
        reseal(path)
        with pytest.raises(ValueError, match=message):
            read_all(path)


def test_what_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = BOOKS["sqrt-b"]
    for shape, options, message in (
        ((3, 1, 3), {}, "do not fill a block of SZIP, 8"),
        ((3, 8, 8), {"block": 12}, "expected 8, 16, 32"),
        ((1, 1 << 14, 1 << 13), {}, "at most 67108864 pixels"),
    ):
        with h5py.File(tmp_path / "c.h5", "w") as file, pytest.raises(ValueError, match=message):
            CodeWriter(file, book, shape[0], shape[1:], mask=np.zeros(1, bool), attributes={}, **options)
    with h5py.File(tmp_path / "c.h5", "w") as file:
        writer = CodeWriter(file, book, 2, (8, 8), mask=np.zeros(1, bool), attributes={})
        with pytest.raises(ValueError, match="0 frames were written, expected 2"):
            writer.close()
    monkeypatch.setattr(h5py.h5z, "get_filter_info", lambda number: 2)
    with h5py.File(tmp_path / "c.h5", "w") as file, pytest.raises(ValueError, match="no encoder of SZIP"):
        CodeWriter(file, book, 2, (8, 8), mask=np.zeros(1, bool), attributes={})
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda number: False)
    with h5py.File(tmp_path / "c.h5", "w") as file, pytest.raises(ValueError, match="pip install hdf5plugin"):
        CodeWriter(file, book, 2, (8, 8), mask=np.zeros(1, bool), attributes={}, lossless=Lossless.LZ4)


def test_a_codebook_too_fine_for_unbiased_levels(tmp_path: Path) -> None:
    book = Codebook.from_edges(range(0, (1 << 13) + 1))
    path = write(tmp_path / "c.h5", book, random_codes(book, (2, 8, 8)))
    with CodeFile.open(path) as opened:
        assert len(opened.decode_levels("posterior")) == 1 << 13
        with pytest.raises(ValueError, match="has no unbiased levels: use midpoint or posterior"):
            opened.decode_levels("unbiased")
