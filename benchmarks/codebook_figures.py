# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Figures of codebooks as a Markdown table: ``python benchmarks/codebook_figures.py [--count-bits N] [--json]``."""

import argparse
import json
import sys
from dataclasses import asdict

from ptychopress.hdl.encoder import allows_shifts
from ptychopress.model.codebook import Codebook

VARIANTS: dict[str, dict[str, float]] = {
    "nearest-sqrt": {"scale": 2},
    "noise-matched": {"gain": 2.5, "read_noise": 1.2, "pedestal": 100},
}
"""Parameters shown besides the defaults."""


def codebooks(count_bits: int | None = None) -> list[Codebook]:
    """Every named codebook, those with parameters also with the ones of `VARIANTS`."""
    books = []
    for name in Codebook.names():
        # A codebook of its own width does not take another one.
        width = None if name == "argonne-10to7" else count_bits
        books.append(Codebook.named(name, width))
        if name in VARIANTS:
            books.append(Codebook.named(name, width, **VARIANTS[name]))
    return books


def _number(value: float) -> str:
    """Three significant digits; what is below 0.0001 is not told apart from 0 by the sums behind it."""
    return f"{value:.3g}" if abs(value) >= 1e-4 else "< 0.0001"


def as_markdown(books: list[Codebook]) -> str:
    """Sizes and errors of each codebook, a row each."""
    lines = [
        "| codebook | bits | levels | largest code | shifts alone | max error/σ, midpoint | unbiased |"
        " inflation, mean/max % | bias/σ rms, midpoint | posterior | unbiased |",
        "|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for book in books:
        figures = book.figures()
        midpoint, posterior, unbiased = (figures.decoding[m] for m in ("midpoint", "posterior", "unbiased"))
        cells = [
            f"`{book.name}`",
            f"{figures.count_bits} to {figures.code_bits}",
            str(figures.levels),
            str(figures.largest_code),
            "yes" if allows_shifts(book) else "no",
            _number(midpoint.max_error),
            _number(unbiased.max_error),
            f"{100 * midpoint.inflation_mean:.1f} / {100 * midpoint.inflation_max:.1f}",
            *(_number(method.bias_rms) for method in (midpoint, posterior, unbiased)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; return the exit status."""
    parser = argparse.ArgumentParser(description="Figures of all named codebooks.")
    parser.add_argument("--count-bits", type=int, metavar="N", help="width of a count; 14 by default")
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    options = parser.parse_args(arguments)
    try:
        books = codebooks(options.count_bits)
    except ValueError as error:
        print(f"codebook_figures: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps({book.name: asdict(book.figures()) for book in books}, indent=1))
    else:
        print(as_markdown(books))
    return 0


if __name__ == "__main__":
    sys.exit(main())
