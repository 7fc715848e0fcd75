# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The whole detector core, compiled by Verilator: frames in, packets out, at any pace."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..hdl.axi import lane_bytes
from ..hdl.core import DetectorCompressor
from ..hdl.verilog import verilog_text
from ..model.config import CoreConfig, Mode
from ..model.registers import core_registers
from .verilated import to_bytes, verilated

_TABLES = ("thresholds", "weights")
_SIDES = ("pixels", "packets")
_CLOCKS_A_CALL = 1 << 18  # about a second: Ctrl-C is heard in between
_LARGEST_PAUSE = 1000
_ERRORS = {
    -1: "is stuck",
    -2: "sent a word with a wrong tkeep",
    -3: "changed a word that waited, or dropped it",
    -4: "did not answer an access to a register with OKAY",
}


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame to send.

    Attributes
    ----------
    counts : numpy.ndarray
        As many as there are, of whole beats.
    mode : Mode
        Set when the frame before has begun.
    start : bool
        Whether its first beat is marked by tuser.
    last : bool
        Whether its last beat is marked by tlast.
    """

    counts: NDArray[Any]
    mode: Mode
    start: bool = True
    last: bool = True


class BulkCore:
    """A core's Verilog, bit for bit the simulated hardware: a context manager, fresh from its reset.

    Compiled at the first use and cached. A bus for `ptychopress.model.driver.Driver`.

    Parameters
    ----------
    config : CoreConfig
    verilog : str, optional
        Its text, if it is there already; see `core_verilog`.
    optimise : int
        As for `verilated`: 3 makes it some 15 % faster, and the build several times longer.
    memories : bool
        Leave the memories open, see `ptychopress.sim.upsets`; the model is slower for it.

    Attributes
    ----------
    config : CoreConfig
    phases : int
        Clocks of a beat in modes that project.
    library, handle
        As `ptychopress.sim.upsets.memories` takes them.

    Raises
    ------
    ToolError
        If Verilator, a compiler, make or perl is missing, or the build fails.
    """

    def __init__(
        self, config: CoreConfig, verilog: str | None = None, *, optimise: int = 1, memories: bool = False
    ) -> None:
        self.config = config
        self.phases = -(-config.projector.components // config.projector.columns) if config.projects else 1
        text = core_verilog(config) if verilog is None else verilog
        self.library = verilated(text, config.name, "core", optimise=optimise, memories=memories)
        handle, data, number = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64
        for name, arguments in {
            "pauses": (number,) * 4,
            "write_register": (number,) * 3,
            "read_register": (number,) * 2,
            "load": (number, data, *(number,) * 4),
            "send": (data, number, data, *(number,) * 3, data, number),
            "drain": (number,) * 3,
            "received": (data,),
            "fetch": (data, data),
            "clocks": (),
        }.items():
            function = getattr(self.library, name)
            function.argtypes, function.restype = [handle, *arguments], number
        control = core_registers(config).find_by_path("control")
        self._control = control.absolute_address
        self._mode_place = control.get_child_by_name("mode").low
        # Nothing moves while a frame is projected and the next one waits for another block.
        self._patience = 4000 + 4 * (config.frame.beats * self.phases + _LARGEST_PAUSE)

    def __enter__(self) -> Self:
        self.handle = self.library.create()
        self._mode = self.config.modes[0]
        return self

    def __exit__(self, *_: object) -> None:
        self.library.destroy(self.handle)

    @property
    def clocks(self) -> int:
        """Since the model was made."""
        return self.library.clocks(self.handle)

    def read(self, offset: int) -> int:
        """Return a register."""
        return self._checked(self.library.read_register(self.handle, offset, self._patience))

    def write(self, offset: int, value: int) -> None:
        """Write a register; modes belong to the frames that are sent."""
        self._checked(self.library.write_register(self.handle, offset, value, self._patience))

    def pauses(self, side: str, *, seed: int = 0, chance: float = 0, longest: int = 1) -> None:
        """Pauses from now on: by default none.

        Parameters
        ----------
        side : str
            "pixels" or "packets".
        seed : int
        chance : float
            That one begins, in each clock.
        longest : int
            Clocks, 1 to 1000.
        """
        if not (0 <= chance < 1 and 1 <= longest <= _LARGEST_PAUSE):
            raise ValueError(f"chance {chance} and longest {longest}: expected 0 to below 1, and 1 to {_LARGEST_PAUSE}")
        self.library.pauses(self.handle, _SIDES.index(side), seed, round(chance * 65536), longest)

    def load(self, name: str, words: NDArray[np.integer]) -> None:
        """Load "thresholds" or "weights"; packets of frames under way go on coming out."""
        projection = self.config.projection
        size = lane_bytes(self.config.codebook.count_bits if name == "thresholds" else projection.bias_format.bits)
        octets = to_bytes(np.asarray(words), size)
        step = _CLOCKS_A_CALL
        for start in range(0, len(octets), step):
            part = octets[start : start + step]
            more = start + step < len(octets)
            arguments = _TABLES.index(name), part.ctypes.data, size, len(part), int(not more), self._patience
            self._checked(self.library.load(self.handle, *arguments))

    def send(self, frames: Sequence[Frame]) -> NDArray[np.int64]:
        """Send frames, one behind the other, and collect what comes out.

        Returns
        -------
        numpy.ndarray
            int64, the clock in which the first beat of each was taken, and that behind the last beat of all.
        """
        lanes, size = self.config.frame.lanes, lane_bytes(self.config.frame.count_bits)
        costs = np.array([len(frame.counts) // lanes * (self.phases if frame.mode.projects else 1) for frame in frames])
        calls = np.cumsum(costs) // _CLOCKS_A_CALL
        begun = np.zeros(len(frames) + 1, np.int64)
        for first, stop in pairwise([0, *np.flatnonzero(np.diff(calls)) + 1, len(frames)]):
            part = frames[first:stop]
            pixels = to_bytes(np.concatenate([frame.counts for frame in part]), size)
            rows = np.array(
                [(len(frame.counts) // lanes, self._word(frame.mode), frame.start, frame.last) for frame in part],
                np.int64,
            )
            clocks = begun[first : stop + 1]
            self._checked(
                self.library.send(
                    *(self.handle, pixels.ctypes.data, lanes * size, rows.ctypes.data, len(part)),
                    *(self._control, self._word(self._mode), clocks.ctypes.data, self._patience),
                )
            )
            self._mode = part[-1].mode
        return begun

    def received(self) -> list[bytes]:
        """Packets that have come out whole since the last call."""
        size, count = self._waiting()
        octets, ends = np.empty(size, np.uint8), np.empty(count, np.int64)
        self.library.fetch(self.handle, octets.ctypes.data, ends.ctypes.data)
        return [octets[start:end].tobytes() for start, end in pairwise([0, *ends.tolist()])]

    def drain(self, count: int, *, silent: int = 100) -> list[bytes]:
        """Packets, after waiting until there are so many and some clocks more.

        Raises
        ------
        RuntimeError
            If there are more then, or part of another.
        """
        self._checked(self.library.drain(self.handle, count, silent, self._patience))
        packets = self.received()
        if len(packets) != count or self._waiting() != (0, 0):
            raise RuntimeError(f"the simulated core sent more than the {count} packets that were to come")
        return packets

    def run(self, frames: Sequence[Frame]) -> list[bytes]:
        """Send frames and wait for the packet of each."""
        self.send(frames)
        return self.drain(len(frames))

    def _waiting(self) -> tuple[int, int]:
        """Octets and whole packets that have not been handed out."""
        counts = (ctypes.c_int64 * 2)()
        self.library.received(self.handle, counts)
        return counts[0], counts[1]

    def _word(self, mode: Mode) -> int:
        """Control word that enables the core in a mode."""
        return 1 | mode << self._mode_place

    def _checked(self, answer: int) -> int:
        if answer < 0:
            raise RuntimeError(f"the simulated core {_ERRORS[answer]}")
        return answer


def core_verilog(config: CoreConfig) -> str:
    """Verilog of a core, as `BulkCore` takes it."""
    return verilog_text(DetectorCompressor(config), config.name)
