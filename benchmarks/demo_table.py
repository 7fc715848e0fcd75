# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Print results.json files of ``ptychopress demo`` as the tables of docs/results.md.

Usage: python benchmarks/demo_table.py demo/results.json [...]
"""

import json
import sys
from pathlib import Path
from typing import Any


def table(path: Path) -> str:
    """Markdown of one results file."""
    results = json.loads(path.read_text())
    rows = results["results"]
    unencoded = {row["scene"]: row["smse"] for row in rows if row["codebook"] == "none"}
    source = Path(results["source"]).name
    lines = [
        f"{source}, seed {results['seed']}, decode {results['decode']}, {results['seconds']} s:",
        "",
        "| scene | codebook | bits | entropy | codes compared | differ | SMSE, rad² | to un-encoded |"
        " SMSE to un-encoded image | FRC crossing |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        encoded = row["bit_exact"] is not None
        truth = row["smse"] is not None
        cells = [
            *(row["scene"], row["codebook"], str(row["bits"]), f"{row['entropy']:.2f}"),
            f"{row['pixels']:,}" if encoded else "",
            str(row["mismatches"]) if encoded else "",
            f"{row['smse']:.3e}" if truth else "",
            f"{100 * (row['smse'] / unencoded[row['scene']] - 1):+.1f} %" if truth and encoded else "",
            f"{row['smse_unencoded']:.2e}" if encoded else "",
            f"{row['frc_crossing']:.3f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines + (_projections(results["projections"], unencoded) if results["projections"] else []))


def _projections(rows: list[dict[str, Any]], unencoded: dict[str, float | None]) -> list[str]:
    """Lines of the table of projectors."""
    lines = [
        "",
        "| values | components from | S' | pixels a coefficient | bits in : out | weights | frames simulated |"
        " coefficients compared | differ | saturated | rounding | SMSE, rad² | to un-encoded |"
        " SMSE to un-encoded image | FRC crossing |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        hardware, truth = row["weight_bits"] is not None, row["smse"] is not None
        cells = [
            *(row["domain"], row["source"], str(row["components"]), f"{row['ratio']:.1f}"),
            f"{row['bit_ratio']:.1f}" if hardware else "",
            f"{row['weight_bits']} bit" if hardware else "float",
            f"{row['simulated']} of {row['frames']}" if hardware else "",
            f"{row['coefficients']:,}" if hardware else "",
            str(row["mismatches"]) if hardware else "",
            str(row["saturated"]) if hardware else "",
            "" if row["loss"] is None else f"{row['loss']:.1e}",
            f"{row['smse']:.3e}" if truth else "",
            f"{100 * (row['smse'] / unencoded[row['scene']] - 1):+.1f} %" if truth else "",
            f"{row['smse_unencoded']:.2e}",
            f"{row['frc_crossing']:.3f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    print("\n\n".join(table(Path(argument)) for argument in sys.argv[1:]))
