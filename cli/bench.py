# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress bench``: this package beside others that do the same, on the user's machine."""

import json
from contextlib import nullcontext
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from .. import __version__
from .bench_codec import codec
from .bench_silicon import silicon
from .console import console, progress_bar
from .files import publish
from .options import JsonOutput

bench = typer.Typer(help="Measure this package beside others that do the same, in one run on this machine.")

bench.command()(codec)
bench.command()(silicon)

TOLERANCE = 1.02
"""A final error up to so many times the best rival's counts as its equal."""


@bench.callback()
def _bench() -> None:
    """Measure this package beside others that do the same, in one run on this machine."""


@bench.command()
def ptychi(
    out: Annotated[
        Path | None, typer.Option("--out", help="Directory for results.json and curves.png.", metavar="DIR")
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", help="Passes over the frames, the same for all.", min=1)] = 30,
    photons: Annotated[float, typer.Option("--photons", help="Dose on the cell: 1e4 to 4e8 in the paper.")] = 2e7,
    phantom: Annotated[
        Path | None,
        typer.Option("--phantom", help=".npz with an array delta (nm) instead of the built-in cell.", metavar="FILE"),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A quarter of the scan.")] = False,
    tried: Annotated[
        bool, typer.Option("--tried", help="pty-chi with all settings tried, not only with the best of each engine.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the noise and of the order of the frames.", min=0)] = 1,
    as_json: JsonOutput = False,
) -> None:
    """Reconstruct the cell benchmark with pty-chi and with `reconstruct`: phase error against processor time.

    Same counts, known probe, positions, free space to start from and number of passes; one after the other, one thread
    each. pty-chi's forward model is first compared with ours. The clock stops while images are judged.
    """
    try:
        from ..reconstruction import convergence, ptychi_engines
        from ..reconstruction.losses import AmplitudeLoss, PoissonLoss
        from ..reconstruction.phantom import cell_phantom, load_phantom
        from ..reconstruction.scene import simulated
    except ModuleNotFoundError as error:
        raise ValueError(f"the benchmark needs {error.name}: pip install 'ptychopress[reconstruction]'") from None
    try:
        ptychi_engines.load()
        release = version("ptychi")
    except ModuleNotFoundError as error:
        raise ValueError(f"the benchmark needs {error.name}: {ptychi_engines.INSTALL}") from None
    with nullcontext() if out is None else publish(out) as stage:
        scene = simulated(cell_phantom() if phantom is None else load_phantom(phantom), photons, seed=seed, quick=quick)
        difference = ptychi_engines.check(scene)
        settings = ptychi_engines.SETTINGS + (ptychi_engines.TRIED if tried else ())
        runs = [
            ("ours, Poisson", convergence.ours(PoissonLoss, seed=seed), False),
            ("ours, amplitude", convergence.ours(AmplitudeLoss, seed=seed), False),
            *((setting.name, ptychi_engines.engine(setting, seed=seed), True) for setting in settings),
        ]
        curves = []
        with progress_bar() as bars:
            for name, engine, rival in runs:
                bar = bars.add_task(name, total=epochs)
                curves.append(
                    convergence.record(
                        name, engine, scene, epochs, rival=rival, advance=lambda bar=bar: bars.advance(bar)
                    )
                )
        rows = convergence.table(curves)
        results = {
            "format": "ptychopress-bench-ptychi-1",
            "version": __version__,
            "ptychi": release,
            "phantom": str(phantom or "built-in phantom"),
            "photons": photons,
            "quick": quick,
            "seed": seed,
            "forward_models_differ": difference,
            "results": [asdict(row) for row in rows],
            "settings": [asdict(setting) for setting in settings],
            "curves": [asdict(curve) for curve in curves],
        }
        if stage is not None:
            (stage / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            (stage / "curves.png").write_bytes(convergence.plot(curves, scene.title))
    if as_json:
        typer.echo(json.dumps(results))
    else:
        console.print(_table(rows, scene.title))
        typer.echo(verdict(rows))


def verdict(rows: list[Any]) -> str:
    """Whether ours come within 2 % of the best rival's final error or below, in no more time; one line."""
    own = min((row for row in rows if not row.rival and row.smse is not None), key=lambda row: row.smse, default=None)
    best = min((row for row in rows if row.rival and row.smse is not None), key=lambda row: row.smse, default=None)
    if own is None or best is None:
        return "nothing to compare: all of one side diverged"
    equal, faster = own.smse <= TOLERANCE * best.smse, own.seconds <= best.seconds_to_best
    return (
        f"target {'met' if equal and faster else 'MISSED'}: {own.engine} ends at {own.smse:.2e} rad² after "
        f"{own.seconds:.0f} s, {own.ratio:.2f} times the error of {best.engine}, {best.smse:.2e} rad² after "
        f"{best.seconds_to_best:.0f} s"
    )


def _table(rows: list[Any], title: str) -> Table:
    table = Table(box=None, title=f"{title}: phase error in rad², processor time in s")
    for heading in ("engine", "passes", "time", "to best", "SMSE", "lowest", "to best"):
        table.add_column(heading, justify="left" if heading == "engine" else "right")
    for row in rows:
        table.add_row(
            row.engine,
            str(row.passes),
            f"{row.seconds:.0f}",
            "" if row.seconds_to_best is None else f"{row.seconds_to_best:.0f}",
            "diverged" if row.smse is None else f"{row.smse:.2e}",
            "" if row.lowest is None else f"{row.lowest:.2e}",
            "" if row.ratio is None else f"{row.ratio:.2f}",
        )
    return table
