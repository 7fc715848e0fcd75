# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Functional coverage: what a bench promises to have tried, and whether it did."""

import json
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

from cocotb_coverage.coverage import CoverPoint


class Coverage:
    """Points and their bins, each declared by the test that is to hit it.

    One simulator run has one coverage: it lives in cocotb-coverage's database, below `name`.

    Parameters
    ----------
    name : str
        What the bench is called in the file.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._points: dict[str, CoverPoint] = {}
        self._samplers: dict[str, Callable[[Any], None]] = {}

    def declare(self, point: str, bins: Iterable[Hashable]) -> None:
        """Promise to hit every bin of a point; a point declared before keeps its bins."""
        if point in self._points:
            return
        cover = CoverPoint(f"{self.name}.{point}", xf=lambda value: value, bins=list(bins))
        self._points[point] = cover
        self._samplers[point] = cover(_sample)

    def hit(self, point: str, values: Iterable[Hashable]) -> None:
        """Count each distinct value once; a value that is no bin of the point is not counted."""
        sampler = self._samplers[point]
        for value in set(values):
            sampler(value)

    def missing(self) -> dict[str, list[Any]]:
        """Return the bins without a hit, by point."""
        missing: dict[str, list[Any]] = {}
        for point, cover in self._points.items():
            if bins := [key for key, hits in cover.detailed_coverage.items() if not hits]:
                missing[point] = bins
        return missing

    def check(self) -> None:
        """Raise AssertionError that names what was declared and not hit, if anything was not."""
        missing = self.missing()
        text = "; ".join(f"{point}: {', '.join(map(str, bins))}" for point, bins in missing.items())
        assert not missing, f"bins not hit: {text}"

    def write(self, path: Path) -> None:
        """Write all points as JSON: the hits of each bin."""
        hits = {
            point: {str(key): count for key, count in cover.detailed_coverage.items()}
            for point, cover in self._points.items()
        }
        path.write_text(json.dumps(hits, indent=1))


def _sample(value: Any) -> None:
    """Stand for the function that cocotb-coverage decorates."""
