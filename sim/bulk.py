# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Whole data sets through the generated Verilog, compiled by Verilator and called from NumPy."""

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from amaranth.hdl import Value
from numpy.typing import ArrayLike, NDArray

from ..hdl.axi import AxiStreamTop, lane_bytes
from ..hdl.verilog import verilog_text
from ..model.projection import Projection
from .verilated import from_bytes, to_bytes, verilated

MODULE = "bulk_encoder"
"""Top module of what is compiled."""

_BEATS_A_CALL = 1 << 20  # a few MB in flight; Ctrl-C is heard in between
_STEPS_A_CALL = 1 << 19


@dataclass(frozen=True)
class BulkResult:
    """What came out of a simulated encoder.

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


@dataclass(frozen=True)
class BulkCoefficients:
    """What came out of a simulated projector.

    Attributes
    ----------
    coefficients : numpy.ndarray
        int32 (..., S').
    saturated : numpy.ndarray
        bool (..., S'), as the hardware flagged them.
    clipped : numpy.ndarray
        bool (...), frames with a count above the range of the codebook in front.
    clocks : int
        From the first beat offered to the last received, the table not counted; summed over the jobs.
    """

    coefficients: NDArray[np.int32]
    saturated: NDArray[np.bool_]
    clipped: NDArray[np.bool_]
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
        self._library = compiled(verilog_text(AxiStreamTop(encoder), MODULE))

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
        frames = _checked(frames, self.encoder.input_bits)
        pixels = int(np.prod(frames.shape[-2:]))
        flat = frames.reshape(-1, pixels) if frames.size else frames.reshape(0, max(pixels, 1))
        codes = np.empty(flat.shape, self.encoder.codebook.code_dtype)
        beats, code_bits = -(-flat.shape[1] // self.encoder.lanes), self.encoder.codebook.code_bits
        saturated = clocks = 0
        with Model(self._library, self.encoder, self.encoder.input_bits) as model:
            step = max(1, _BEATS_A_CALL // beats)
            for start in range(0, len(flat), step):
                part = slice(start, start + step)
                octets, user, took = model.run(flat[part], beats, self.encoder.lanes, code_bits)
                codes[part] = from_bytes(octets, signed=False).reshape(len(octets), -1)[:, :pixels]
                saturated += int(np.bitwise_count(user).sum())
                clocks += took
        return BulkResult(codes.reshape(frames.shape), saturated, clocks)


class BulkProjector:
    """A projector's Verilog, its table loaded, as a function on arrays, bit for bit the simulated hardware.

    Compiled at the first use and cached; the same for every table. Beats are offered and taken in every clock.

    Parameters
    ----------
    block : Projector or CodeProjector
    projection : Projection
        What is loaded, of the block's format.
    jobs : int
        Copies of the hardware that share the frames, each in a thread of its own.

    Raises
    ------
    ToolError
        If Verilator, a compiler, make or perl is missing, or the build fails.
    ValueError
        If the projection is of another format.
    """

    def __init__(self, block: Any, projection: Projection, *, jobs: int = 1) -> None:
        self.block = block
        self.projector = getattr(block, "projector", block)
        if projection.format != self.projector.format:
            raise ValueError(f"the table is for {projection.format}, the projector for {self.projector.format}")
        self.projection = projection
        self.jobs = jobs
        self.input_bits = getattr(block, "input_bits", projection.format.input_bits)
        self.verilog = verilog_text(AxiStreamTop(block), MODULE)
        self._library = compiled(self.verilog)

    def run(self, frames: ArrayLike, progress: Callable[[int], None] = lambda frames: None) -> BulkCoefficients:
        """Send frames through the hardware.

        Parameters
        ----------
        frames : array_like of int
            Counts or codes (..., N), or frames (..., height, width) of N pixels.
        progress : callable
            Called with the number of frames done since the last call, from any thread.

        Raises
        ------
        TypeError
            For values that are not integers.
        ValueError
            For frames of another size, or values that the input is too narrow for.
        RuntimeError
            If the hardware refused the table, lost or invented a beat, misplaced tlast, or saw a frame end
            early or late.
        """
        size, columns = self.projection.format, self.projector.columns
        frames = _checked(frames, self.input_bits)
        leading = size.leading_axes(frames.shape)
        flat = frames.reshape(-1, size.pixels)
        coefficients = np.empty((len(flat), size.components), np.int32)
        saturated = np.empty(coefficients.shape, np.bool_)
        clipped = np.empty(len(flat), np.bool_)
        # A call is some seconds long at the most: Ctrl-C is heard in between.
        step = max(1, _STEPS_A_CALL // self.projector.frame_clocks)
        parts = [slice(start, start + step) for start in range(0, len(flat), step)]
        queue, stopped = iter(parts), threading.Event()

        def work() -> int:
            clocks = 0
            with Model(self._library, self.block, self.input_bits) as model:
                model.load(self.projection.words(self.projector.lanes), size.bias_format.bits)
                while not stopped.is_set() and (part := next(queue, None)) is not None:
                    beats = self.projector.beats, self.projector.phases
                    octets, user, took = model.run(flat[part], beats[0], columns, size.output_bits, beats[1])
                    values = from_bytes(octets, signed=True).reshape(len(octets), -1)
                    coefficients[part] = values[:, : size.components]
                    flags = np.unpackbits(user, axis=-1, bitorder="little")
                    saturated[part] = flags[..., :columns].reshape(len(octets), -1)[:, : size.components]
                    short, long, over = np.moveaxis(flags[:, 0, columns : columns + 3], -1, 0)
                    if short.any() or long.any():
                        raise RuntimeError("the simulated projector found the end of a frame in another place")
                    clipped[part] = over
                    clocks += took
                    progress(len(octets))
            return clocks

        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                futures = [pool.submit(work) for _ in range(min(self.jobs, len(parts)))]
                clocks = sum(future.result() for future in futures)
            finally:
                stopped.set()
        return BulkCoefficients(
            coefficients.reshape(*leading, size.components),
            saturated.reshape(*leading, size.components),
            clipped.reshape(leading),
            clocks,
        )


class Model:
    """A compiled model fresh from its reset, to be used as a context manager.

    Parameters
    ----------
    library : ctypes.CDLL
        Of `compiled`.
    block : Amaranth component
        What was compiled.
    input_bits : int
        Of a value at its input.

    Attributes
    ----------
    library : ctypes.CDLL
    handle : int
        What the driver calls the model.
    """

    def __init__(self, library: ctypes.CDLL, block: Any, input_bits: int) -> None:
        self.library = library
        self._block = block
        self._input_bytes = lane_bytes(input_bits)
        projector = getattr(block, "projector", block)
        # Longer than any pipeline here, and than a beat stays in a projector.
        self._patience = 256 + 4 * getattr(projector, "phases", 1)

    def __enter__(self) -> Self:
        self.handle = self.library.create()
        return self

    def __exit__(self, *_: object) -> None:
        self.library.destroy(self.handle)

    def reports(self) -> tuple[int, int]:
        """Clocks in which words of protected memories were corrected, or could not be, since the last call."""
        counts = (ctypes.c_int64 * 2)()
        self.library.reports(self.handle, counts)
        return counts[0], counts[1]

    def load(self, words: NDArray[np.int64], bits: int) -> None:
        """Load a table."""
        size = lane_bytes(bits)
        octets = to_bytes(words, size)
        done = self.library.load(self.handle, octets.ctypes.data, size, len(words), self._patience)
        self._check(done)

    def run(
        self, frames: NDArray[Any], in_beats: int, columns: int, out_bits: int, out_beats: int | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int]:
        """Send frames (frames, pixels).

        Returns
        -------
        octets : numpy.ndarray
            uint8 (frames, out_beats, columns, bytes a value).
        user : numpy.ndarray
            uint8 (frames, out_beats, bytes).
        clocks : int
        """
        lanes, count = self._block.lanes, len(frames)
        out_beats = in_beats if out_beats is None else out_beats
        if in_beats * lanes != frames.shape[1]:
            frames = np.pad(frames, ((0, 0), (0, in_beats * lanes - frames.shape[1])))
        sent = to_bytes(frames, self._input_bytes)
        octets = np.empty((count, out_beats, columns, lane_bytes(out_bits)), np.uint8)
        user = np.empty((count, out_beats, -(-self._user_bits // 8)), np.uint8)
        clocks = self.library.run(
            self.handle,
            *(sent.ctypes.data, lanes * self._input_bytes, octets.ctypes.data, octets[0, 0].size),
            *(user.ctypes.data, user.shape[-1], count, in_beats, out_beats, self._patience),
        )
        self._check(clocks)
        return octets, user, clocks

    @property
    def _user_bits(self) -> int:
        names = [name for name, _ in self._block.o.p.shape()]
        return len(Value.cast(self._block.o.p[names[1]]))

    def _check(self, done: int) -> None:
        if done < 0:
            what = {-1: "misplaced tlast", -2: "lost a beat", -3: "sent a beat too many", -4: "refused the table"}[done]
            raise RuntimeError(f"the simulated {type(self._block).__name__} {what}")


def _checked(frames: ArrayLike, bits: int) -> NDArray[Any]:
    """Frames as an array of integers that an input of so many bits can carry."""
    if isinstance(frames, np.ma.MaskedArray):
        raise TypeError("the hardware has no mask: fill masked pixels with 0 first")
    frames = np.asarray(frames)
    if frames.dtype.kind not in "iu":
        raise TypeError(f"counts must be integers, got {frames.dtype}")
    limit = (1 << bits) - 1
    if frames.size and (frames.min() < 0 or frames.max() > limit):
        raise ValueError(f"counts from {frames.min()} to {frames.max()}: the input takes 0 to {limit}")
    return frames


def compiled(verilog: str, *, memories: bool = False) -> ctypes.CDLL:
    """Return the driver over a compiled model of the top module in `verilog`.

    Parameters
    ----------
    verilog : str
        Of an `AxiStreamTop`, the module named `MODULE`.
    memories : bool
        Leave the memories open to the driver, see `ptychopress.sim.upsets`; the model is slower for it.
    """
    library = verilated(verilog, MODULE, "bulk", memories=memories)
    handle, data, number = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64
    library.load.restype = library.run.restype = number
    library.load.argtypes = [handle, data, number, number, number]
    library.run.argtypes = [handle, *(data, number) * 3, *(number,) * 4]
    library.reports.argtypes = [handle, data]
    return library
