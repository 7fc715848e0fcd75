# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress demo``: photons through the simulated hardware to a picture, compared at every step."""

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.progress import Progress
from rich.table import Table

from .. import __version__
from ..hdl.encoder import ShiftCore, ShiftEncoder
from ..hdl.verilog import verilog_text
from ..model.codebook import Codebook
from ..reconstruction.evaluation import entropy
from ..sim.bulk import BulkEncoder
from .console import console, progress_bar
from .demo_projector import ProjectionRow, project_scene, projection_table
from .files import publish, resumable, save_array
from .options import JsonOutput
from .verilog import Method

CODEBOOKS = ("sqrt-a", "sqrt-b", "sqrt-c")
LANES = 16
DOSES = (2e7, 4e8)
"""Photons on the object: the benchmark of the compression papers, and their highest."""

FULL = {"epochs": 30}
QUICK = {"epochs": 20}
MEASURED = {"epochs": 30, "refine_probe": True}


@dataclass
class Row:
    """One encoder on one scene, as `results.json` has it.

    Attributes
    ----------
    scene, codebook : str
        `codebook` is "none" for the counts as they are.
    bit_exact : bool or None
        Whether every code of the simulated hardware is the golden model's; None without encoding.
    frames, pixels : int
        Frames simulated and codes compared, both noise instances.
    mismatches, saturated : int
        Codes that differ; pixels above the codebook's range.
    bits : int
        Width of a code, or of a count.
    entropy : float
        Bits a pixel that remain at the least when each pixel is coded by itself (order-0 entropy).
    smse : float or None
        Phase error against the truth, rad^2.
    smse_unencoded : float or None
        Phase error against the un-encoded image, rad^2.
    frc_crossing : float
        Half-bit crossing of the two instances, Nyquist = 1.
    clocks : int
        Clocks that the hardware took.
    seconds : float
        Time of the simulation of the hardware.
    """

    scene: str
    codebook: str
    bit_exact: bool | None
    frames: int
    pixels: int
    mismatches: int
    saturated: int
    bits: int
    entropy: float
    smse: float | None = None
    smse_unencoded: float | None = None
    frc_crossing: float = 0.0
    clocks: int = 0
    seconds: float = 0.0


def demo(
    out: Annotated[Path, typer.Option("--out", help="Directory for the report and results.", metavar="DIR")] = Path(
        "demo"
    ),
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A quarter of the scan at one dose, few ratios: a minute or two instead of many."),
    ] = False,
    phantom: Annotated[
        Path | None,
        typer.Option("--phantom", help=".npz with an array delta (nm) instead of the built-in cell.", metavar="FILE"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="CXI file with measured frames instead of a simulation.", metavar="FILE.cxi"),
    ] = None,
    decode: Annotated[
        Method, typer.Option("--decode", help="Rule that turns codes back into counts.")
    ] = Method.MIDPOINT,
    projector: Annotated[
        bool, typer.Option(help="Compress by principal components too, or show the encoders alone.")
    ] = True,
    sweep: Annotated[
        bool,
        typer.Option(
            "--sweep", help="Projector: counts beside codes, components of the frames beside those of training objects."
        ),
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", help="Reconstructions side by side.", min=1)] = os.cpu_count() or 1,
    seed: Annotated[int, typer.Option("--seed", help="Of the photon noise.", min=0)] = 1,
    as_json: JsonOutput = False,
) -> None:
    """Send photon counts through the simulated hardware and reconstruct pictures from what comes out.

    Encoders: every frame goes through the Verilog of sqrt-a, b and c; every code is compared with the golden model;
    frames are rebuilt from the hardware's codes, and the phase is reconstructed from two noise instances.

    Projectors: components of sqrt-b codes are learned from noise-free training objects; frames go through the Verilog
    at 6 to 164 pixels a coefficient, as many as a set number of multiplications allows; every coefficient is compared;
    frames are rebuilt from them and reconstructed.

    Writes results.json, report.html and its pictures. Interrupted, it goes on where it was when started again with the
    same options.
    """
    started = time.monotonic()
    try:
        from ..reconstruction.report import Report
        from ..reconstruction.scene import measured, simulated
    except ModuleNotFoundError as error:
        raise ValueError(f"the demo needs {error.name}: pip install 'ptychopress[reconstruction]'") from None
    if data is not None and phantom is not None:
        raise ValueError("--data and --phantom exclude each other: frames are measured or simulated")
    with publish(out) as stage, resumable(out) as resume:
        books = [Codebook.named(name) for name in CODEBOOKS]
        report = Report((data or phantom or Path("built-in phantom")).name, books, decode.value)
        if data is not None:
            scenes, settings = iter([measured(data, seed=seed)]), MEASURED
        else:
            cell, settings = _phantom(phantom), QUICK if quick else FULL
            doses = DOSES[:1] if quick else DOSES
            scenes = (simulated(cell, dose, seed=seed, quick=quick) for dose in doses)
        rows: list[Row] = []
        projections: list[ProjectionRow] = []
        with progress_bar() as bars:
            for scene in scenes:
                own = settings | {"seed": seed}
                added, unencoded, probe = _run(scene, own, decode, jobs, resume, bars, report)
                rows += added
                if projector and not projections:  # of several doses the first, at which there are published curves
                    projections = project_scene(
                        scene,
                        unencoded,
                        probe,
                        own,
                        quick=quick,
                        sweep=sweep,
                        jobs=jobs,
                        resume=resume,
                        bars=bars,
                        report=report,
                    )
        report.verilog = verilog_text(ShiftCore(Codebook.named("sqrt-b")), "sqrt_encoder_core")
        results = {
            "format": "ptychopress-demo-1",
            "version": __version__,
            "source": str(data or phantom or "built-in phantom"),
            "quick": quick,
            "sweep": sweep,
            "decode": decode.value,
            "seed": seed,
            "settings": settings,
            "seconds": round(time.monotonic() - started, 1),
            "results": [asdict(row) for row in rows],
            "projections": [asdict(row) for row in projections],
        }
        (stage / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (stage / "report.html").write_text(report.html(results), encoding="utf-8", errors="replace")
        for name, picture in report.pictures.items():
            (stage / name).write_bytes(picture)
    if as_json:
        typer.echo(json.dumps(results))
    else:
        console.print(_table(rows))
        if projections:
            console.print(projection_table(projections))
        typer.echo(f"{out / 'report.html'}")
    if any(row.bit_exact is False for row in (*rows, *projections)):
        raise typer.Exit(1)


def _phantom(path: Path | None) -> Any:
    from ..reconstruction.phantom import cell_phantom, load_phantom

    return cell_phantom() if path is None else load_phantom(path)


def _run(
    scene: Any, settings: dict[str, Any], decode: Method, jobs: int, resume: Path, bars: Progress, report: Any
) -> tuple[list[Row], tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Simulate, compare, reconstruct and judge one scene.

    Returns its rows, the un-encoded images of both instances, and the probe found with the second.
    """
    from ..reconstruction.job import Job
    from ..reconstruction.judgement import judge
    from .workers import run_jobs

    rows, work = [], []
    with tempfile.TemporaryDirectory(dir=resume) as name:
        folder = Path(name)
        for book in (None, *(Codebook.named(name) for name in CODEBOOKS)):
            row, outputs = _encode(scene, book, bars)
            rows.append(row)
            levels = None if book is None else book.decode_levels(decode.value).astype(np.float32)
            for instance, frames in enumerate(outputs):
                path = folder / f"{row.codebook}-{instance}.npy"
                save_array(path, frames)
                # Another order of frames for the other instance: the same one leaves artefacts that correlate.
                own = settings | {"seed": settings["seed"] + instance}
                work.append(Job(path, levels, scene.mask, scene.acquisition, own))
        found = [np.load(path) for path in run_jobs(work, resume, jobs, bars)]
        images, probe = [arrays["object"] for arrays in found], found[1]["probe"]
    pairs = list(zip(images[::2], images[1::2], strict=True))
    judgements = [judge(scene, pair, pairs[0] if k else None) for k, pair in enumerate(pairs)]
    for row, judgement in zip(rows, judgements, strict=True):
        row.smse, row.smse_unencoded = judgement.smse, judgement.smse_unencoded
        row.frc_crossing = judgement.frc.crossing
    report.add(scene, {row.codebook: judgement for row, judgement in zip(rows, judgements, strict=True)})
    return rows, pairs[0], probe


def _encode(scene: Any, book: Codebook | None, bars: Progress) -> tuple[Row, list[np.ndarray]]:
    """Send both instances through the simulated encoder and compare every code with the golden model."""
    row = Row(
        scene=scene.name,
        codebook=book.name if book else "none",
        bit_exact=None if book is None else True,
        frames=sum(len(counts) for counts in scene.counts),
        pixels=sum(counts.size for counts in scene.counts),
        mismatches=0,
        saturated=0,
        bits=book.code_bits if book else scene.count_bits,
        entropy=0.0,
    )
    outputs = list(scene.counts)
    if book is not None:
        bar = bars.add_task(f"{scene.name} {book.name}", total=len(outputs))
        encoder = BulkEncoder(ShiftEncoder(book, lanes=LANES, input_bits=16))
        started = time.monotonic()
        for k, counts in enumerate(scene.counts):
            result = encoder.run(counts)
            row.mismatches += int(np.count_nonzero(result.codes != book.encode(counts)))
            row.saturated += result.saturated
            row.clocks += result.clocks
            outputs[k] = result.codes
            bars.advance(bar)
        row.seconds = round(time.monotonic() - started, 3)
        row.bit_exact = row.mismatches == 0
    row.entropy = float(np.mean([entropy(values[:, ~scene.mask]) for values in outputs]))
    return row, outputs


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, title="Phase error in rad²; FRC half-bit crossing, Nyquist = 1", min_width=78)
    for heading in ("scene", "codebook", "exact", "codes", "bits", "entropy", "SMSE", "to un-enc.", "FRC"):
        table.add_column(heading, justify="left" if heading in ("scene", "codebook") else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.scene,
            row.codebook,
            {None: "", True: "yes", False: "NO"}[row.bit_exact],
            "" if row.bit_exact is None else f"{row.pixels / 1e6:.1f} M",
            str(row.bits),
            f"{row.entropy:.2f}",
            "" if row.smse is None else f"{row.smse:.2e}",
            "" if row.smse_unencoded is None else f"{row.smse_unencoded:.2e}",
            f"{row.frc_crossing:.3f}",
        )
    return table
