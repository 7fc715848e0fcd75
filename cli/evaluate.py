# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress evaluate``: how few bits still give the image, on the user's own frames."""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.progress import Progress
from rich.table import Table

from .. import __version__
from ..model.codebook import Codebook
from ..model.noise import Noise
from ..model.quantise import Compressor, quantise
from ..model.transform import Transform
from ..model.weights import load, save
from ..reconstruction.acquisition import Acquisition
from ..reconstruction.components import scene_components
from ..reconstruction.evaluation import (
    FRC_MARGIN,
    TOLERANCE,
    Candidate,
    HalfJudgement,
    entropy,
    judge_half,
    recommend,
)
from ..reconstruction.job import Job
from ..reconstruction.phantom import cell_phantom, load_phantom
from ..reconstruction.scan_files import read_scan
from ..reconstruction.scene import Scene, halves, simulated
from .console import console, progress_bar
from .demo_projector import OUTPUT_BITS, RATIOS, WEIGHT_BITS
from .files import publish, resumable, save_array
from .options import JsonOutput, refuse
from .workers import run_jobs

LADDER = (
    "sqrt-a",
    "sqrt-b",
    "sqrt-c",
    "nearest-sqrt:scale=2",
    "nearest-sqrt:scale=1",
    "nearest-sqrt:scale=0.5",
    "nearest-sqrt:scale=0.25",
)
"""Codebooks from fine to coarse."""

PROJECTED = "sqrt-b"
"""Codebook whose codes are projected."""

BUILT_IN = "builtin"
PHOTONS = 2e7
UNENCODED = "un-encoded"
EPOCHS, QUICK_EPOCHS = 30, 20


class Likelihood(StrEnum):
    """How codes are compared with a model."""

    INTERVAL = "interval"
    MIDPOINT = "midpoint"


@dataclass
class Row:
    """One way to send the first half of the frames, as `results.json` has it.

    Attributes
    ----------
    name : str
        "un-encoded" for the counts as they are.
    kind : str
        "counts", "codes" or "coefficients".
    codebook : str or None
    components : int or None
        S', of coefficients.
    bits : float
        Sent for each pixel: the width of a count or a code; of coefficients S' times their width for each pixel.
    bit_ratio : float
        Bits of a count for each of them.
    entropy : float or None
        Bits that remain for each count or code at the least when each is coded by itself (order 0).
    saturated : int
        Counts above the range of the codebook; or coefficients beyond theirs.
    smse : float or None
        Phase error against the truth, rad^2.
    smse_unencoded : float or None
        Phase error against the un-encoded image of the same half, rad^2.
    smse_other : float
        Phase error against the un-encoded image of the other half, rad^2.
    frc_crossing : float
        Half-bit crossing with that image, Nyquist = 1.
    data_loss : float
        Of the last epoch, in units of the noise: about 1 for each number that was sent, less where most counts are 0.
    lossless : bool or None
        By the rule of `reconstruction.evaluation`; None for the counts.
    note : str
        Why not.
    """

    name: str
    kind: str
    codebook: str | None
    components: int | None
    bits: float
    bit_ratio: float
    entropy: float | None
    saturated: int
    smse: float | None = None
    smse_unencoded: float | None = None
    smse_other: float = 0.0
    frc_crossing: float = 0.0
    data_loss: float = 0.0
    lossless: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class _Outcome:
    """What a reconstruction gave."""

    image: np.ndarray
    probe: np.ndarray
    data_loss: float


def evaluate(
    out: Annotated[Path, typer.Option("--out", help="Directory for the report and results.", metavar="DIR")],
    file: Annotated[
        Path | None,
        typer.Argument(help="Scan of photon counts: CXI, PtychoShelves, ptychodus or pty-chi.", metavar="FILE"),
    ] = None,
    parameters: Annotated[
        Path | None,
        typer.Option("--parameters", help="File of probe and positions, if it is another one.", metavar="FILE"),
    ] = None,
    phantom: Annotated[
        str | None,
        typer.Option(
            "--phantom",
            help="A simulation, whose truth is known, instead of FILE: an .npz with an array delta (nm), or builtin.",
            metavar="FILE|builtin",
        ),
    ] = None,
    photons: Annotated[
        float | None, typer.Option("--photons", help=f"--phantom: photons on the object, {PHOTONS:g} by default.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="--phantom: a quarter of the scan, fewer epochs.")] = False,
    codebook: Annotated[
        list[str] | None,
        typer.Option(
            "--codebook",
            help="Count-to-code rule, such as sqrt-b or nearest-sqrt:scale=0.5. May be repeated.",
            metavar="NAME[:KEY=VALUE]",
        ),
    ] = None,
    ratio: Annotated[
        list[int] | None,
        typer.Option("--ratio", help="Pixels of a frame for each coefficient. May be repeated.", metavar="R", min=1),
    ] = None,
    count_bits: Annotated[
        int | None, typer.Option("--count-bits", help="Width of a count; that of the largest count by default.")
    ] = None,
    loss: Annotated[
        Likelihood,
        typer.Option("--loss", help="interval: a code says in which bin a count lies. midpoint: codes are decoded."),
    ] = Likelihood.INTERVAL,
    expand: Annotated[
        bool, typer.Option("--expand", help="Expand coefficients to frames first, not straight from coefficients.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Error that is taken for none, in % of that without encoding.", min=0)
    ] = 100 * TOLERANCE,
    frc_margin: Annotated[
        float, typer.Option("--frc-margin", help="Fall of the FRC crossing that is taken for none.", min=0)
    ] = FRC_MARGIN,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help=f"Of each reconstruction, {EPOCHS} by default.", min=1)
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Reconstructions side by side.", min=1)] = os.cpu_count() or 1,
    seed: Annotated[int, typer.Option("--seed", help="Of the photon noise, or of the halves.", min=0)] = 1,
    as_json: JsonOutput = False,
) -> None:
    """Compare compressed with uncompressed frames, and recommend the fewest bits without loss.

    The counts of FILE are split into two independent halves. The first is sent in codes of several codebooks, and in
    coefficients at several ratios, all by the golden model, which the hardware is bit for bit. Images reconstructed
    from these are compared with the un-encoded images of both halves.

    Writes results.json, report.html and its pictures. Interrupted, it goes on where it was when started again with the
    same options.
    """
    started = time.monotonic()
    try:
        from ..reconstruction.report import evaluation_page
    except ModuleNotFoundError as error:
        raise ValueError(f"evaluate needs {error.name}: pip install 'ptychopress[reconstruction]'") from None
    if (file is None) == (phantom is None):
        raise ValueError("what is to be evaluated? FILE or --phantom, one of the two")
    if phantom is None:
        refuse("for --phantom", photons=photons, quick=quick)
    else:
        refuse("for FILE, --phantom is a simulation", parameters=parameters)
    with publish(out) as stage, resumable(out) as resume:
        if file is not None:
            scene = halves(read_scan(file, parameters=parameters), file, seed=seed)
        else:
            cell = cell_phantom() if phantom == BUILT_IN else load_phantom(str(phantom))
            scene = simulated(cell, PHOTONS if photons is None else photons, seed=seed, quick=quick)
        scene = replace(scene, count_bits=_width(scene, count_bits))
        books = [_codebook(text, scene.count_bits) for text in dict.fromkeys(codebook or LADDER)]
        ratios = sorted(set(ratio or RATIOS))
        if ratios[-1] > scene.mask.size:
            raise ValueError(f"--ratio {ratios[-1]}: expected 1 to {scene.mask.size}, the pixels of a frame")
        settings = {
            "epochs": epochs or (QUICK_EPOCHS if quick else EPOCHS),
            "seed": seed,
            "refine_probe": scene.refine_probe,
        }
        with progress_bar() as bars:
            rows, judgements = _evaluate(scene, books, ratios, settings, loss, expand, jobs, resume, bars)
        # No crossing can be told from another within a ring.
        margin = max(frc_margin, float(judgements[0].frc.frequencies[1]))
        chosen = _recommend(rows, tolerance / 100, margin)
        results = {
            "format": "ptychopress-evaluate-1",
            "version": __version__,
            "source": str(file or phantom),
            "title": scene.title,
            "truth": scene.truth is not None,
            "count_bits": scene.count_bits,
            "frames": len(scene.counts[0]),
            "frame_shape": list(scene.mask.shape),
            "quick": quick,
            "loss": loss.value,
            "expand": expand,
            "settings": settings,
            "seed": seed,
            "tolerance": tolerance / 100,
            "frc_margin": margin,
            "frc_criterion": judgements[0].frc.criterion,
            "seconds": round(time.monotonic() - started, 1),
            "results": [asdict(row) for row in rows],
            "recommendation": None if chosen is None else chosen.name,
        }
        page, pictures = evaluation_page(scene, results, judgements)
        (stage / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (stage / "report.html").write_text(page, encoding="utf-8", errors="replace")
        for name, picture in pictures.items():
            (stage / name).write_bytes(picture)
    if as_json:
        typer.echo(json.dumps(results))
        return
    console.print(_table(rows, chosen))
    if chosen is None:
        typer.echo("recommended: none; every one of them loses")
    else:
        typer.echo(f"recommended: {chosen.name}, {chosen.bits:.3g} bits a pixel, {chosen.bit_ratio:.3g} : 1")
    typer.echo(f"{out / 'report.html'}")


def _width(scene: Scene, given: int | None) -> int:
    """Width of a count that the options ask for."""
    if given is not None and given < scene.count_bits:
        raise ValueError(f"--count-bits {given}: the largest count needs {scene.count_bits}")
    return scene.count_bits if given is None else given


def _codebook(text: str, count_bits: int) -> Codebook:
    """Codebook that NAME[:KEY=VALUE,...] stands for."""
    name, _, rest = text.partition(":")
    pairs = [part.partition("=") for part in rest.split(",") if rest]
    try:
        book = Codebook.named(name, count_bits, **{key: float(value) for key, _, value in pairs})
    except ValueError as error:
        raise ValueError(f"--codebook {text}: {error}") from None
    if book.noise != Noise():
        raise ValueError(f"--codebook {text}: {book.noise!r}, expected a codebook of photon counts")
    return book


def _evaluate(
    scene: Scene,
    books: Sequence[Codebook],
    ratios: Sequence[int],
    settings: dict[str, Any],
    loss: Likelihood,
    expand: bool,
    jobs: int,
    resume: Path,
    bars: Progress,
) -> tuple[list[Row], list[HalfJudgement]]:
    """Send, reconstruct and judge: a row for the counts, for each codebook and for each ratio."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=resume) as name:
        folder = Path(name)
        # Another order of frames for the other half: the same one leaves artefacts that correlate.
        other = _sent(scene, folder / "other.npy", settings | {"seed": settings["seed"] + 1}, scene.counts[1])[1]
        row, job = _sent(scene, folder / "counts.npy", settings, scene.counts[0])
        rows, work = [row], [other, job]
        for k, book in enumerate(books):
            row, job = _encoded(scene, folder / f"codes-{k}.npy", settings, book, loss)
            rows.append(row)
            work.append(job)
        other, *found = _run(work, jobs, resume, bars)
        lit = replace(scene.acquisition, probe=other.probe)
        work = []
        for row, job in _projected(scene, lit, folder, settings, ratios, expand, resume, bars):
            rows.append(row)
            work.append(job)
        found += _run(work, jobs, resume, bars)
    unencoded = found[0].image, other.image
    judgements = [judge_half(scene, outcome.image, unencoded) for outcome in found]
    for row, outcome, judgement in zip(rows, found, judgements, strict=True):
        row.smse, row.smse_unencoded = judgement.smse, judgement.smse_unencoded
        row.smse_other, row.frc_crossing = judgement.smse_other, judgement.frc.crossing
        row.data_loss = outcome.data_loss
    return rows, judgements


def _run(work: list[Job], jobs: int, resume: Path, bars: Progress) -> list[_Outcome]:
    found = []
    for path in run_jobs(work, resume, jobs, bars):
        with np.load(path) as arrays:
            found.append(_Outcome(arrays["object"], arrays["probe"], float(arrays["losses"][-1])))
    return found


def _sent(scene: Scene, path: Path, settings: dict[str, Any], counts: np.ndarray) -> tuple[Row, Job]:
    """Counts as they are."""
    save_array(path, counts)
    bits = scene.count_bits
    row = Row(UNENCODED, "counts", None, None, bits, 1.0, entropy(counts[:, ~scene.mask]), 0)
    # A count at the end of the counter's range is at least so many photons, as the last bin of a codebook is.
    full_scale = (1 << bits) - 1
    return row, _job(scene, path, settings, loss="poisson", full_scale=full_scale)


def _job(scene: Scene, path: Path, settings: dict[str, Any], levels: np.ndarray | None = None, **compared: Any) -> Job:
    """A reconstruction of what is in a file; `compared`: loss and what it takes."""
    from ..reconstruction.losses import BACKGROUND, MEASURED_BACKGROUND

    background = MEASURED_BACKGROUND if scene.truth is None else BACKGROUND
    return Job(path, levels, scene.mask, scene.acquisition, settings, background=background, **compared)


def _encoded(scene: Scene, path: Path, settings: dict[str, Any], book: Codebook, loss: Likelihood) -> tuple[Row, Job]:
    """Counts of the first half in codes."""
    counts = np.where(scene.mask, 0, scene.counts[0])
    codes = book.encode(counts)
    save_array(path, codes)
    bits = book.code_bits
    row = Row(
        name=book.name,
        kind="codes",
        codebook=book.name,
        components=None,
        bits=bits,
        bit_ratio=scene.count_bits / bits,
        entropy=entropy(codes[:, ~scene.mask]),
        saturated=book.saturated(counts),
    )
    if loss is Likelihood.MIDPOINT:
        levels = book.decode_levels("midpoint").astype(np.float32)
        return row, _job(scene, path, settings, levels, loss="poisson")
    return row, _job(scene, path, settings, loss="interval", codebook=book)


def _projected(
    scene: Scene,
    lit: Acquisition,
    folder: Path,
    settings: dict[str, Any],
    ratios: Sequence[int],
    expand: bool,
    resume: Path,
    bars: Progress,
) -> Iterator[tuple[Row, Job]]:
    """The first half in coefficients, at each ratio; training objects are lit as in `lit`."""
    pixels, valid = scene.mask.size, int(np.count_nonzero(~scene.mask))
    counts = [min(valid, pixels // ratio) for ratio in ratios]
    for ratio, (weights, compressor) in zip(ratios, _compressors(scene, lit, counts, resume, bars), strict=True):
        coefficients, flags = compressor.compress(scene.counts[0])
        count = compressor.projection.format.components
        bits = count * OUTPUT_BITS / pixels
        row = Row(
            name=f"{PROJECTED}, {ratio} : 1",
            kind="coefficients",
            codebook=PROJECTED,
            components=count,
            bits=bits,
            bit_ratio=scene.count_bits / bits,
            entropy=None,
            saturated=int(flags.sum()),
        )
        path = folder / f"coefficients-{ratio}.npy"
        if expand:
            save_array(path, compressor.expand(coefficients).astype(np.float32))
            yield row, _job(scene, path, settings)
        else:
            save_array(path, coefficients)
            yield row, _job(scene, path, settings, loss="coefficients", weights=weights)


def _compressors(
    scene: Scene, lit: Acquisition, counts: Sequence[int], resume: Path, bars: Progress
) -> Iterator[tuple[Path, Compressor]]:
    """Weights file and compressor for each number of components; those of an earlier run are found again."""
    transform = Transform.codes(Codebook.named(PROJECTED, scene.count_bits))
    widths = {"weight_bits": WEIGHT_BITS, "output_bits": OUTPUT_BITS}
    depends = (transform.to_dict(), widths, lit.object_shape, scene.truth is None, tuple(counts), __version__)
    key = hashlib.sha256(repr(depends).encode())
    for array in (lit.probe, lit.positions, scene.mask):
        key.update(array.tobytes())
    paths = [resume / f"weights-{key.hexdigest()[:24]}-{count}.h5" for count in counts]
    bar = bars.add_task("components", total=len(counts) + 1)
    if not all(path.exists() for path in paths):
        values, components = scene_components(scene, lit, transform, max(counts))
        bars.advance(bar)
        for count, path in zip(counts, paths, strict=True):
            save(path, quantise(components.first(count), values, **widths))
            bars.advance(bar)
    bars.update(bar, completed=len(counts) + 1)
    for path in paths:
        yield path, load(path)


def _recommend(rows: list[Row], tolerance: float, margin: float) -> Row | None:
    """Write verdicts into the rows; return the one that is recommended."""
    candidates = [
        Candidate(row.name, row.bits, row.smse_other if row.smse is None else row.smse, row.frc_crossing)
        for row in rows
    ]
    chosen, verdicts = recommend(candidates[1:], candidates[0], tolerance=tolerance, margin=margin)
    for row, verdict in zip(rows[1:], verdicts, strict=True):
        row.lossless, row.note = verdict.lossless, verdict.note
    return None if chosen is None else rows[candidates.index(chosen)]


def _table(rows: list[Row], chosen: Row | None) -> Table:
    table = Table(box=None, title="Phase error in rad²; FRC half-bit crossing, Nyquist = 1", min_width=78)
    known = rows[0].smse is not None
    error = "SMSE" if known else "other half"
    for heading in ("", "bits", "ratio", "entropy", error, "same half", "FRC", "loss"):
        table.add_column(heading, justify="left" if heading == "" else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.name.replace("scale=", ""),
            f"{row.bits:.3g}",
            f"{row.bit_ratio:.3g}",
            "" if row.entropy is None else f"{row.entropy:.2f}",
            f"{row.smse if known else row.smse_other:.2e}",
            "" if row.smse_unencoded is None else f"{row.smse_unencoded:.2e}",
            f"{row.frc_crossing:.3f}",
            {None: "", True: "none", False: "yes"}[row.lossless],
            style="bold green" if row is chosen else None,
        )
    return table
