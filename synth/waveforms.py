# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Waveforms of a simulation (VCD), as bits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Waveforms:
    """Values of signals from change to change.

    Parameters
    ----------
    times : numpy.ndarray
        When anything changes, int64 (steps + 1,); the last is the end. Units are those of the file.
    bits : dict of str to numpy.ndarray
        By name, the lowest bit first: bool (width, steps), the value from each of the times to the next.
    unknown : dict of str to numpy.ndarray
        Whether a bit was neither 0 nor 1 at some time, bool (width,); in `bits` it is 0 then.
    """

    times: NDArray[np.int64]
    bits: dict[str, NDArray[np.bool_]]
    unknown: dict[str, NDArray[np.bool_]]

    @classmethod
    def read(cls, path: Path) -> "Waveforms":
        """Read a VCD file of one scope, to its end or to where recording was turned off.

        Raises
        ------
        ValueError
            If it holds no changes.
        """
        names: dict[str, list[tuple[str, int]]] = {}
        changes: dict[str, list[tuple[int, str]]] = {}
        times: list[int] = []
        with path.open() as file:
            for line in file:
                word = line.split()
                if word[:1] == ["$var"]:
                    # A bus has its range as a word of its own, an escaped name its backslash.
                    names.setdefault(word[3], []).append((word[4].lstrip("\\"), int(word[2])))
                elif word[:1] == ["$dumpoff"]:
                    break
                elif line[0] == "#":
                    times.append(int(line[1:]))
                elif line[0] == "b":
                    changes.setdefault(word[1], []).append((len(times) - 1, word[0][1:]))
                elif line[0] in "01xz":
                    changes.setdefault(line[1:].strip(), []).append((len(times) - 1, line[0]))
        if len(times) < 2:
            raise ValueError(f"{path}: no VCD file with changes")
        bits: dict[str, NDArray[np.bool_]] = {}
        unknown: dict[str, NDArray[np.bool_]] = {}
        for identifier, signals in names.items():
            moves = changes.get(identifier, [(0, "x")])
            for name, width in signals:
                # What is left out in front is 0, or as unknown as the first that is there.
                text = "".join(value.rjust(width, "0" if value[0] in "01" else value[0]) for _, value in moves)
                letters = np.frombuffer(text.encode(), np.uint8).reshape(len(moves), width)[:, ::-1]
                unknown[name] = (letters > ord("1")).any(axis=0)
                lengths = np.diff([step for step, _ in moves], append=len(times) - 1)
                bits[name] = np.repeat(letters == ord("1"), lengths, axis=0).T
        return cls(np.array(times, np.int64), bits, unknown)
