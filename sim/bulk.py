# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Whole data sets through the generated Verilog, compiled by Verilator and called from NumPy."""

import ctypes
import shutil
import subprocess
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..hdl.axi import AxiStreamTop, lane_bytes
from ..hdl.verilog import WAIVERS, verilog_text, waivers_text
from .tools import ToolError, build_once, verilator_path_environment, verilator_version

_MODULE = "bulk_encoder"
_DRIVER = "bulk.cpp"
_LIBRARY = "libbulk.so"
_OPTIONS = (
    *("--cc", "--exe", "--build", "-O3", "--x-assign", "fast", "--x-initial", "fast"),
    *("--no-assert", "-Wno-fatal", "--top-module", _MODULE, "--prefix", "Bulk", "--Mdir", "obj", "-o", _LIBRARY),
    *("-CFLAGS", "-O3 -fPIC", "-LDFLAGS", "-shared"),
    # One unit: the wheel's precompiled header does not work in a build of several.
    *("-MAKEFLAGS", "VM_PARALLEL_BUILDS=0"),
)
_BEATS_A_CALL = 1 << 20  # a few MB in flight; Ctrl-C is heard in between


@dataclass(frozen=True)
class BulkResult:
    """What came out of the simulated hardware.

    Attributes
    ----------
    codes : numpy.ndarray
        Unsigned, the shape of the frames.
    saturated : int
        Pixels that the hardware flagged as above the codebook's range.
    clocks : int
        From the first beat offered to the last received.
    """

    codes: NDArray[Any]
    saturated: int
    clocks: int


class BulkEncoder:
    """An encoder's Verilog as a function on arrays, bit for bit the simulated hardware.

    Compiled at the first use and cached. Beats are offered and taken in every clock: protocol under stalls is
    the benches' matter.

    Parameters
    ----------
    encoder : ShiftEncoder, ThresholdEncoder or TableEncoder
        Must hold its codebook: a `ThresholdEncoder` with `preload`.

    Raises
    ------
    ToolError
        If Verilator, a compiler, make or perl is missing, or the build fails.
    """

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        self._run = _compiled(verilog_text(AxiStreamTop(encoder), _MODULE))

    def encode(self, frames: ArrayLike) -> NDArray[Any]:
        """Codes of the frames, as `run` gives them."""
        return self.run(frames).codes

    def run(self, frames: ArrayLike) -> BulkResult:
        """Send frames through the hardware.

        Parameters
        ----------
        frames : array_like of int
            Counts (..., height, width) or a single frame of any shape of one or two axes. A frame that does
            not fill its last beat is padded with zeros, which are not returned.

        Raises
        ------
        TypeError
            For counts that are not integers.
        ValueError
            For counts that the encoder's input is too narrow for.
        RuntimeError
            If the hardware lost or invented a beat or misplaced tlast.
        """
        if isinstance(frames, np.ma.MaskedArray):
            raise TypeError("the hardware has no mask: fill masked pixels with 0 first")
        frames = np.asarray(frames)
        if frames.dtype.kind not in "iu":
            raise TypeError(f"counts must be integers, got {frames.dtype}")
        limit = (1 << self.encoder.input_bits) - 1
        if frames.size and (frames.min() < 0 or frames.max() > limit):
            raise ValueError(f"counts from {frames.min()} to {frames.max()}: the encoder's input takes 0 to {limit}")
        pixels = int(np.prod(frames.shape[-2:]))
        flat = frames.reshape(-1, pixels) if frames.size else frames.reshape(0, max(pixels, 1))
        codes = np.empty(flat.shape, self.encoder.codebook.code_dtype)
        step = max(1, _BEATS_A_CALL * self.encoder.lanes // flat.shape[1])
        saturated = clocks = 0
        for start in range(0, len(flat), step):
            part = slice(start, start + step)
            flags, took = self._send(flat[part], codes[part])
            saturated += flags
            clocks += took
        return BulkResult(codes.reshape(frames.shape), saturated, clocks)

    def _send(self, counts: NDArray[Any], codes: NDArray[Any]) -> tuple[int, int]:
        """Run some frames (frames, pixels), write `codes`; return flagged pixels and clocks."""
        lanes = self.encoder.lanes
        frames, pixels = counts.shape
        beats = -(-pixels // lanes)
        in_lane, out_lane = lane_bytes(self.encoder.input_bits), lane_bytes(self.encoder.codebook.code_bits)
        user_bytes = -(-lanes // 8)
        if beats * lanes != pixels:
            counts = np.pad(counts, ((0, 0), (0, beats * lanes - pixels)))
        sent = _to_bytes(counts, in_lane)
        received = np.empty((frames, beats * lanes, out_lane), np.uint8)
        user = np.empty((frames * beats, user_bytes), np.uint8)
        clocks = self._run(
            *(sent.ctypes.data, lanes * in_lane, received.ctypes.data, lanes * out_lane),
            *(user.ctypes.data, user_bytes, frames, beats),
        )
        if clocks < 0:
            what = {-1: "misplaced tlast", -2: "lost a beat", -3: "sent a beat too many"}[clocks]
            raise RuntimeError(f"the simulated {type(self.encoder).__name__} {what}")
        codes[...] = _from_bytes(received)[:, :pixels]
        return int(np.bitwise_count(user).sum()), clocks


def _compiled(verilog: str) -> Any:
    """Return the driver's function `run` over a compiled model of the top module in `verilog`."""
    driver = resources.files(__package__).joinpath(_DRIVER).read_text()
    environment = verilator_path_environment()
    key = "\0".join((verilog, driver, waivers_text(), *_OPTIONS, verilator_version()))

    def build(directory: Path) -> None:
        for name, text in ((f"{_MODULE}.v", verilog), (_DRIVER, driver), (WAIVERS, waivers_text())):
            (directory / name).write_text(text)
        done = subprocess.run(
            ["verilator", *_OPTIONS, WAIVERS, f"{_MODULE}.v", _DRIVER],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            lines = (done.stderr + done.stdout).splitlines()
            first = next((line for line in lines if "rror" in line), lines[0] if lines else "no message")
            raise ToolError(f"Verilator could not build the model: {first.strip()}")

    try:
        library = _load(build_once("bulk", key, build))
    except OSError:
        # What a power cut or a full disk left in the cache: make it anew, once.
        shutil.rmtree(build_once("bulk", key, build))
        library = _load(build_once("bulk", key, build))
    library.run.restype = ctypes.c_int64
    library.run.argtypes = [ctypes.c_void_p, ctypes.c_int64] * 3 + [ctypes.c_int64] * 2
    return library.run


def _load(directory: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(directory / "obj" / _LIBRARY))


def _to_bytes(values: NDArray[Any], size: int) -> NDArray[np.uint8]:
    """Little-endian bytes, `size` a value, contiguous."""
    wide = np.ascontiguousarray(values, np.dtype(f"<u{1 << (size - 1).bit_length()}"))
    octets = wide.view(np.uint8).reshape(*values.shape, -1)
    return np.ascontiguousarray(octets[..., :size])


def _from_bytes(octets: NDArray[np.uint8]) -> NDArray[Any]:
    """Values of 1 or 2 little-endian bytes each."""
    return octets.view(f"<u{octets.shape[-1]}")[..., 0]
