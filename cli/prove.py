# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress prove``: formal proofs of the RTL."""

import json
import shutil
import tempfile
from contextlib import closing
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ..synth.claims import claims
from ..synth.liberty import YOSYS_GATES, Library
from ..synth.prove import Claim, Verdict, prove_all
from .console import console, progress_bar
from .options import JsonOutput


def prove(
    codebook: Annotated[
        list[str] | None,
        typer.Option("--codebook", help="Prove this one's core; may be repeated. All by default.", metavar="NAME"),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option("--only", help="Claims whose name holds this text or matches this pattern.", metavar="PATTERN"),
    ] = None,
    liberty: Annotated[
        list[Path] | None,
        typer.Option(
            "--liberty",
            help="Standard cells of the netlists that are compared with their RTL, yosys' own gates by default; may be"
            " repeated for a library in several files.",
            metavar="FILE",
        ),
    ] = None,
    list_claims: Annotated[bool, typer.Option("--list", help="List the claims and leave.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", help="Claims at a time.")] = 1,
    as_json: JsonOutput = False,
) -> None:
    """Prove for every input that the RTL is the codebook, keeps |N' - N| <= sigma and obeys the stream rules.

    And that netlists mapped to standard cells and to an ECP5 are their RTL.

    Some of the claims are false and must be refuted: a run in which one of them passes fails.
    """
    if jobs < 1:
        raise ValueError(f"--jobs must be 1 or more, got {jobs}")
    library = Library.read(*liberty) if liberty else YOSYS_GATES
    every = claims(codebook, library)
    chosen = [claim for claim in every if only is None or only in claim.name or fnmatch(claim.name, only)]
    if not chosen:
        raise ValueError(f"--only {only}: no claim has such a name; --list shows them")
    if list_claims:
        listing = [{"claim": claim.name, "mode": _mode(claim), "must_fail": claim.must_fail} for claim in chosen]
        typer.echo(json.dumps(listing, indent=1) if as_json else "\n".join(claim.name for claim in chosen))
        return

    directory = Path(tempfile.mkdtemp(prefix="ptychopress-prove-"))
    verdicts: list[Verdict] = []
    try:
        with progress_bar() as progress, closing(prove_all(chosen, directory, jobs=jobs)) as run:
            task = progress.add_task("proving", total=len(chosen))
            for verdict in run:
                verdicts.append(verdict)
                progress.advance(task)
        verdicts.sort(key=lambda verdict: chosen.index(verdict.claim))
        if as_json:
            typer.echo(json.dumps([_entry(verdict) for verdict in verdicts], indent=1))
        else:
            _show(verdicts)
    finally:
        # Waveforms of what went wrong are all that anyone will want to look at.
        keep = any(not verdict.as_expected and verdict.trace for verdict in verdicts)
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
    failed = [verdict for verdict in verdicts if not verdict.as_expected]
    for verdict in failed:
        console.print(f"{verdict.claim.name}: {_words(verdict)}", style="red", markup=False, soft_wrap=True)
        console.print(f"  {verdict.detail}", markup=False, soft_wrap=True)
        if verdict.trace:
            console.print(f"  {verdict.trace}", markup=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _mode(claim: Claim) -> str:
    return claim.mode if claim.depth is None else f"{claim.mode}, {claim.depth} clocks"


def _words(verdict: Verdict) -> str:
    """The outcome, and whether it is the right one."""
    words = {"proven": "proven", "refuted": "refuted", "lost": "assertions lost", "unknown": "unknown"}[verdict.outcome]
    if verdict.claim.mode == "reachable" and verdict.outcome != "lost":
        words = {"proven": "reached", "refuted": "never reached"}.get(verdict.outcome, words)
    if verdict.claim.must_fail:
        return f"{words}, as it must be" if verdict.as_expected else f"{words}, and must not be"
    return words


def _entry(verdict: Verdict) -> dict[str, Any]:
    return {
        "claim": verdict.claim.name,
        "outcome": verdict.outcome,
        "as_expected": verdict.as_expected,
        "must_fail": verdict.claim.must_fail,
        "mode": verdict.claim.mode,
        "depth": verdict.claim.depth,
        "rules": verdict.rules,
        "seconds": round(verdict.seconds, 2),
        "detail": verdict.detail,
        "trace": str(verdict.trace) if verdict.trace and not verdict.as_expected else None,
    }


def _show(verdicts: list[Verdict]) -> None:
    table = Table("claim", "verdict", "mode", "seconds", box=None, pad_edge=False)
    table.columns[-1].justify = "right"
    for verdict in verdicts:
        style = None if verdict.as_expected else "red"
        table.add_row(verdict.claim.name, _words(verdict), _mode(verdict.claim), f"{verdict.seconds:.1f}", style=style)
    Console(highlight=False, markup=False).print(table)
