# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Area of a core that was never synthesised: terms that say what the hardware is made of, and what each costs.

Coefficients are fitted by ``benchmarks/scaling.py`` to small cores and projectors that were synthesised, and are never
negative. Memories are no part of it: their bits follow from the sizes exactly.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from math import inf, log2
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy.optimize import nnls

from ..model.config import CoreConfig, Mode
from ..model.secded import Secded

MACRO_BITS = 64
"""What was fitted takes memories of so many bits or more for macros."""

MODES = (Mode.RAW, Mode.CODES, Mode.COUNT_COEFFICIENTS, Mode.CODE_COEFFICIENTS)
"""What the fit knows."""

_DATA_BITS = 64


@dataclass(frozen=True)
class Fit:
    """Gate equivalents of each term.

    Parameters
    ----------
    library : str
        What was mapped to.
    projector, rest : dict of str to float
        By term: of the projector, and of all that a core has beside it.
    """

    library: str
    projector: dict[str, float]
    rest: dict[str, float]

    @classmethod
    def of(
        cls,
        library: str,
        projectors: Sequence[tuple[CoreConfig, float]],
        cores: Sequence[tuple[CoreConfig, float]],
    ) -> Self:
        """Fit to projectors and to whole cores, each with its gate equivalents; relative errors count alike."""
        costs = _fitted(projector_terms, projectors)
        rest = [
            (config, area - (_sum(costs, projector_terms(config)) if config.projects else 0)) for config, area in cores
        ]
        return cls(library, costs, _fitted(rest_terms, rest))

    @classmethod
    def read(cls, path: Path | None = None) -> Self:
        """Fit of a JSON file, by default the one that comes with the package.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If the file holds no fit.
        """
        if path is not None and not path.is_file():
            raise FileNotFoundError(f"{path}: no such file, expected a fit, as benchmarks/scaling.py writes one")
        try:
            text = (resources.files(__package__) / "scaling.json").read_text() if path is None else path.read_text()
            made = cls(**json.loads(text)["fit"])
            # Any core with a projector shows whether there is a number for each term.
            if not all(0 < area < inf for area in made.area(CoreConfig.named("mhz-192x168")).values()):
                raise ValueError("areas that are none")
            return made
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path}: expected a fit, as benchmarks/scaling.py writes one") from None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def area(self, config: CoreConfig) -> dict[str, float]:
        """Gate equivalents of projector and rest.

        Raises
        ------
        ValueError
            If the core has modes that the fit does not know, or an encoder that is not of shifts.
        """
        unknown = [mode.label for mode in config.modes if mode not in MODES]
        if unknown:
            raise ValueError(f"output.modes: no area of {', '.join(unknown)} is known: synthesise the core")
        if config.encoder.reloadable:
            raise ValueError("encoder.reloadable: no area of such a one is known: synthesise the core")
        projector = _sum(self.projector, projector_terms(config)) if config.projects else 0.0
        return {"projector": projector, "rest": _sum(self.rest, rest_terms(config))}


def _sum(costs: Mapping[str, float], terms: Mapping[str, float]) -> float:
    return sum(costs[name] * terms[name] for name in terms)


def _fitted(terms: Any, measured: Sequence[tuple[CoreConfig, float]]) -> dict[str, float]:
    rows = [terms(config) for config, _ in measured]
    matrix = np.array([[row[name] / area for name in row] for row, (_, area) in zip(rows, measured, strict=True)])
    # Columns of like size, for the solver's sake.
    scale = np.abs(matrix).max(axis=0).clip(min=1e-300)
    found, _ = nnls(matrix / scale, np.ones(len(rows)))
    return {name: float(cost) for name, cost in zip(rows[0], found / scale, strict=True)}


def projector_terms(config: CoreConfig) -> dict[str, float]:
    """Terms of a projector, each in bits or pairs of bits."""
    size, lanes, columns = config.projection, config.frame.lanes, config.projector.columns
    x, w, total = size.input_bits, size.weight_bits, size.accumulator_format.bits
    # A column's word of weights, its first value and its shift.
    protected = lanes * w + size.bias_format.bits + size.largest_shift.bit_length()
    return {
        "constant": 1,
        "bits of products, pairwise": lanes * columns * x * w,
        "bits of operands": lanes * columns * (x + w),
        "bits of pixels on their way": lanes * x,
        "bits of accumulators through shifters": columns * total * log2(total),
        "bits of words with check bits": config.protect * columns * protected,
    }


def rest_terms(config: CoreConfig) -> dict[str, float]:
    """Terms of all that is beside the projector: intake, encoder, packers, frame buffer, framer, registers."""
    lanes, word = config.frame.lanes, 8 * config.word_octets
    packed = {
        Mode.RAW: lanes * config.frame.count_bits,
        Mode.CODES: lanes * config.codebook.code_bits,
        Mode.COUNT_COEFFICIENTS: config.projector.columns * config.projector.output_bits,
    }
    packed[Mode.CODE_COEFFICIENTS] = packed[Mode.COUNT_COEFFICIENTS]
    packers = {mode if not mode.projects else Mode.COUNT_COEFFICIENTS for mode in config.modes}
    return {
        "constant": 1,
        "word bits": word,
        "bits of codes": lanes * config.codebook.code_bits,
        "bits of packers": sum((packed[mode] + word) * log2(word) for mode in packers),
        "projector to look after": float(config.projects),
    }


def memory_bits(config: CoreConfig, frames: int | None = None) -> dict[str, int]:
    """Bits of a core's large memories: both banks of weights with their check bits, and the frame buffer.

    Parameters
    ----------
    config : CoreConfig
    frames : int, optional
        Packets that find place, `buffer_frames` by default; a core whose latency is longer than a frame has more.
    """
    frames = config.output.buffer_frames if frames is None else frames
    word = 8 * config.word_octets
    words = max(-(-config.payload_bits(mode) // word) for mode in config.modes)
    bits = {"frame buffer": max(frames * words, 2) * word}
    if config.projects:
        lanes, columns = config.frame.lanes, config.projector.columns
        size = config.projection
        phases = -(-size.components // columns)
        row = lanes * size.weight_bits
        if config.protect:
            row = sum(Secded(min(_DATA_BITS, row - low)).word_bits for low in range(0, row, _DATA_BITS))
        bits["weights"] = columns * row * 2 * config.frame.beats * phases
    return bits
