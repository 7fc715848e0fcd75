# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Report of ``ptychopress sim --coverage``: code and functional coverage of all runs in a directory."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from ..sim.code_coverage import COVERAGE_FILE, BenchCoverage, merged, run_coverage, stale
from .console import console

JSON_FILE = "coverage.json"
TEXT_FILE = "coverage.txt"


def report(directory: Path, benches: Mapping[str, str], as_json: bool) -> bool:
    """Print the coverage of every run that has left its counts below a directory, and keep it there.

    Parameters
    ----------
    directory : Path
        Holds a directory for each run.
    benches : mapping of str to str
        The bench of each run that there is.
    as_json : bool

    Returns
    -------
    bool
        Whether every line was reached or waived, and no waiver is stale.
    """
    there = {run: bench for run, bench in benches.items() if (directory / run / COVERAGE_FILE).exists()}
    covered = merged(run_coverage(run, bench, directory / run) for run, bench in there.items())
    missing = {bench for run, bench in benches.items() if run not in there}
    old = stale(covered, set(benches.values()) - missing)
    rows = [_row(one) for one in covered]
    data = {"benches": rows, "stale_waivers": [asdict(waiver) for waiver in old]}
    (directory / JSON_FILE).write_text(json.dumps(data, indent=1))
    with (directory / TEXT_FILE).open("w") as file:
        _show(rows, Console(file=file, width=120, highlight=False, markup=False))
        for one in covered:
            file.writelines(f"{line}\n" for line in _details(one))
    if as_json:
        typer.echo(json.dumps(data, indent=1))
    else:
        _show(rows, Console(highlight=False, markup=False))
        typer.echo(f"lines, signals and bins: {directory / TEXT_FILE}, {directory / JSON_FILE}")
    for row in rows:
        for line in row["unreached"]:
            console.print(f"never reached: {_place(line)}", style="red", markup=False, soft_wrap=True)
    for waiver in old:
        console.print(f"stale waiver, remove it: {waiver}", style="red", markup=False, soft_wrap=True)
    return not old and not any(row["unreached"] for row in rows)


def _row(one: BenchCoverage) -> dict[str, Any]:
    """All that there is to say of a bench."""
    waived = one.waived()
    places = [dict(zip(("run", "line"), one.place(line), strict=True)) | asdict(line) for line in one.unreached]
    return {
        "bench": one.bench,
        "runs": [run.run for run in one.runs],
        "lines": len(one.lines),
        "waived": [
            place | {"reason": waived[line].reason}
            for line, place in zip(one.unreached, places, strict=True)
            if line in waived
        ],
        "unreached": [place for line, place in zip(one.unreached, places, strict=True) if line not in waived],
        "toggles": one.toggles,
        "toggled": one.toggled,
        "untoggled": {run.run: run.untoggled for run in one.runs},
        "bins": one.bins,
    }


def _show(rows: list[dict[str, Any]], out: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("bench", "runs", "lines", "waived", "reached", "bits", "toggled", "bins", "hit"):
        table.add_column(title, justify="left" if title == "bench" else "right", no_wrap=True)
    for row in rows:
        reachable = row["lines"] - len(row["waived"])
        hits = [count for bins in row["bins"].values() for count in bins.values()]
        table.add_row(
            row["bench"],
            str(len(row["runs"])),
            str(row["lines"]),
            str(len(row["waived"])),
            _percent(reachable - len(row["unreached"]), reachable),
            str(row["toggles"] // 2),
            _percent(row["toggled"], row["toggles"]),
            str(len(hits)),
            _percent(sum(count > 0 for count in hits), len(hits)),
            style="red" if row["unreached"] else None,
        )
    out.print(table)


def _details(one: BenchCoverage) -> list[str]:
    """Lines of text: what was not reached, waived, not toggled, and every bin with its hits."""
    row = _row(one)
    text = [f"\n{one.bench}"]
    text += [f"  never reached: {_place(line)}" for line in row["unreached"]]
    text += [f"  waived: {_place(line)}: {line['reason']}" for line in row["waived"]]
    for point, bins in row["bins"].items():
        text.append(f"  {point}: {', '.join(f'{key} {hits}' for key, hits in bins.items())}")
    for run, signals in row["untoggled"].items():
        text += [f"  not toggled in {run}: {signal}" for signal in signals]
    return text


def _place(line: dict[str, Any]) -> str:
    return f"{line['where']}, {line['branch']} of {line['text']} (line {line['line']} of {line['run']})"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
