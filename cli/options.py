# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Options that several subcommands share, and what they turn into."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ..model.codebook import Codebook

CodebookName = Annotated[
    str | None,
    typer.Option(
        "--codebook", help=f"Count-to-code rule, sqrt-b by default: {', '.join(Codebook.names())}.", metavar="NAME"
    ),
]
CountBits = Annotated[
    int | None, typer.Option("--count-bits", help="Width of a count; 14, or 10 for argonne-10to7, by default.")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        help="Parameter of the rule, such as scale=2 (nearest-sqrt) or gain=2.5, read_noise=1.2, pedestal=100, alpha=1"
        " (noise-matched). May be repeated.",
        metavar="KEY=VALUE",
    ),
]
Edges = Annotated[
    Path | None,
    typer.Option(
        "--edges",
        help="JSON file with a list of bin edges instead of a named rule, from 0 to 2**count_bits.",
        metavar="FILE",
    ),
]
DataPath = Annotated[
    str | None,
    typer.Option(
        "--path", help="Data set of the frames (J, rows, columns), if not where CXI or NeXus have it.", metavar="PATH"
    ),
]
JsonOutput = Annotated[bool, typer.Option("--json", help="Print the results as JSON on standard output.")]


def chosen_codebook(
    name: str | None, count_bits: int | None = None, parameters: list[str] | None = None, edges: Path | None = None
) -> Codebook:
    """Codebook that the options name."""
    if edges is None:
        return Codebook.named(name or "sqrt-b", count_bits, **_parsed(parameters or []))
    if name is not None or count_bits is not None or parameters:
        raise ValueError("--edges says all: leave out --codebook, --count-bits and --parameter")
    try:
        values = json.loads(edges.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError(f"{edges}: not JSON, expected a list of bin edges such as [0, 1, 2, 4, 8]") from None
    if not isinstance(values, list):
        raise ValueError(f"{edges}: holds no list, expected bin edges such as [0, 1, 2, 4, 8]")
    return Codebook.from_edges(values, name=re.sub(r"[^\w.-]+", "_", edges.stem))


def refuse(where: str, **options: Any) -> None:
    """Raise a ValueError that names those of the options that were given, neither None nor False, and says `where`."""
    # By identity: 0 is given, and equals False.
    given = [
        f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None and value is not False
    ]
    if given:
        raise ValueError(f"{', '.join(given)}: {where}")


def _parsed(parameters: list[str]) -> dict[str, float]:
    parsed = {}
    for text in parameters:
        key, _, value = text.partition("=")
        if key in parsed or key not in ("scale", "gain", "read_noise", "pedestal", "alpha"):
            raise ValueError(f"--parameter {text}: each of scale, gain, read_noise, pedestal, alpha can be given once")
        try:
            parsed[key] = float(value)
        except ValueError:
            raise ValueError(f"--parameter {text}: expected KEY=NUMBER, such as scale=2") from None
    return parsed
