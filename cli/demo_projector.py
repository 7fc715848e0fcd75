# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The projector's part of ``ptychopress demo``: components, hardware, rebuilt frames, pictures."""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress
from rich.table import Table

from ..hdl.code_projector import CodeProjector
from ..hdl.encoder import ShiftEncoder
from ..hdl.projector import Projector
from ..model.pca import Components
from ..model.quantise import Compressor, quantise
from ..model.transform import Transform
from ..model.weights import fingerprint
from ..reconstruction.components import scene_components
from ..sim.bulk import BulkProjector
from .files import save_array

RATIOS = (6, 10, 16, 55, 164)
"""Pixels for each coefficient: those of Huang et al., who begin at 1."""

QUICK_RATIOS = (16, 55)
DOMAINS = ("counts", "sqrt-b")
"""Raw counts, or codes of this codebook; without a sweep only these."""

LANES, COLUMNS = 16, 4
WEIGHT_BITS, OUTPUT_BITS = 8, 16

FLOAT_RATIO = 55
"""Where unrounded components are reconstructed too, to see what 8 bits cost."""

MULTIPLICATIONS = 2_400_000_000
"""For each table of weights, what is simulated; frames beyond are left to the golden model."""

LARGEST_WHOLE = 8192
"""Pixels of a frame up to which 1:1 is tried."""

FEWEST = 8
"""Frames that are simulated whatever they take."""


@dataclass
class ProjectionRow:
    """One projector on one scene, as `results.json` has it.

    Attributes
    ----------
    scene, domain, source : str
        `domain`: "counts" or the codebook whose codes are projected. `source`: "object", noise-free training objects;
        "refined", the same lit by the probe that a reconstruction of the other instance has found; or "data", the
        frames themselves.
    components : int
        S'.
    ratio : float
        Pixels of a frame for each coefficient.
    bit_ratio : float
        Bits of a frame's counts for each bit of its coefficients.
    weight_bits : int or None
        None: components in floating point, no hardware.
    output_bits : int or None
    bit_exact : bool or None
        Whether every coefficient and flag out of the simulated hardware is the golden model's.
    frames, simulated : int
        Frames of the scene, and those that went through the simulated hardware.
    coefficients, mismatches : int
        Coefficients compared, and those that differ, in value or flag.
    saturated : int
        Coefficients that the model or the hardware flagged, in all frames.
    loss : float or None
        What quantisation adds to the noise variance of the training frames, in units of it.
    smse, smse_unencoded, frc_crossing
        As for encoders, but of one noise instance; the correlation is with the truth or, without one, with the
        un-encoded image of the other instance.
    clocks : int
        Clocks that the hardware took.
    seconds : float
        Time of its simulation.
    """

    scene: str
    domain: str
    source: str
    components: int
    ratio: float
    bit_ratio: float
    weight_bits: int | None
    output_bits: int | None
    bit_exact: bool | None
    frames: int
    simulated: int
    coefficients: int
    mismatches: int
    saturated: int
    loss: float | None
    smse: float | None = None
    smse_unencoded: float | None = None
    frc_crossing: float = 0.0
    clocks: int = 0
    seconds: float = 0.0


def project_scene(
    scene: Any,
    unencoded: tuple[np.ndarray, np.ndarray],
    probe: np.ndarray,
    settings: dict[str, Any],
    *,
    quick: bool,
    sweep: bool,
    jobs: int,
    resume: Path,
    bars: Progress,
    report: Any,
) -> list[ProjectionRow]:
    """Learn components, send frames through the simulated projector, reconstruct from what it put out, and judge.

    Parameters
    ----------
    scene : Scene
        Its first instance is compressed.
    unencoded : pair of numpy.ndarray
        Images of both instances without compression.
    probe : numpy.ndarray
        That of the second instance's reconstruction.
    settings : dict
        Keyword arguments of `reconstruct`.
    quick : bool
        Few ratios, and components from training objects only.
    sweep : bool
        Counts beside codes, components of the frames themselves beside those of training objects, and 1:1.
    jobs : int
        Reconstructions, and copies of the hardware, side by side.
    resume : Path
        Directory for finished parts.
    bars, report
        Where progress and pictures go.
    """
    from ..reconstruction.job import Job
    from ..reconstruction.judgement import judge_one
    from .workers import run_jobs

    sources = ["object"]
    if not quick and scene.refine_probe:
        sources.append("refined")
    elif not quick and sweep:
        sources.append("data")
    ratios = QUICK_RATIOS if quick else RATIOS
    # At 1:1 it does not matter where components come from; that of a large frame would take hours.
    whole = (1,) if sweep and not quick and scene.counts[0][0].size <= LARGEST_WHOLE else ()
    rows: list[ProjectionRow] = []
    images: list[np.ndarray] = []
    for domain in DOMAINS if sweep else DOMAINS[-1:]:
        transform = Transform("counts", scene.count_bits) if domain == "counts" else Transform.codes(domain)
        for source in sources:
            # Rebuilt frames are large: no more of them on the disk than are needed at once.
            with tempfile.TemporaryDirectory(dir=resume) as name:
                work = []
                lit = replace(scene.acquisition, probe=probe) if source == "refined" else scene.acquisition
                chosen = (*whole, *ratios) if source == "object" else ratios
                for row, rebuilt in _compressed(scene, lit, transform, source, chosen, jobs, resume, bars):
                    path = Path(name) / f"{len(work)}.npy"
                    save_array(path, rebuilt.astype(np.float32))
                    rows.append(row)
                    work.append(Job(path, None, scene.mask, scene.acquisition, settings))
                images += [np.load(path)["object"] for path in run_jobs(work, resume, jobs, bars)]
    judgements = [judge_one(scene, image, unencoded) for image in images]
    for row, judgement in zip(rows, judgements, strict=True):
        row.smse, row.smse_unencoded = judgement.smse, judgement.smse_unencoded
        row.frc_crossing = judgement.frc.crossing
    report.add_projections(scene, [asdict(row) for row in rows], judgements, judge_one(scene, unencoded[0], unencoded))
    return rows


def _compressed(
    scene: Any,
    acquisition: Any,
    transform: Transform,
    source: str,
    ratios: Sequence[int],
    jobs: int,
    resume: Path,
    bars: Progress,
) -> Iterator[tuple[ProjectionRow, np.ndarray]]:
    """For each ratio a row without its figures of the image, and the frames rebuilt (J, n, n), photons."""
    counts = np.where(scene.mask, 0, scene.counts[0])
    pixels = counts[0].size
    # All components at once.
    most = -(-pixels // min(ratio for ratio in ratios if ratio > 1))
    bar = bars.add_task(f"{scene.name} {transform}, {source}", total=len(ratios) + 1)
    values, components = scene_components(scene, acquisition, transform, most, own=source == "data")
    bars.advance(bar)
    for ratio in ratios:
        chosen = _completed(components) if ratio == 1 else components.first(pixels // ratio)
        compressor = quantise(chosen, values, WEIGHT_BITS, OUTPUT_BITS)
        coefficients, row = _simulated(scene, counts, compressor, jobs, resume)
        row.source = source
        yield row, compressor.expand(coefficients)
        if ratio == FLOAT_RATIO:
            exact = replace(row, weight_bits=None, output_bits=None, bit_exact=None, loss=None, bit_ratio=0.0)
            exact = replace(exact, simulated=0, coefficients=0, mismatches=0, saturated=0, clocks=0, seconds=0.0)
            yield exact, chosen.intensity(chosen.project(transform.forward(counts)))
        bars.advance(bar)


def _completed(components: Components) -> Components:
    """The components with arbitrary ones after them, as many in all as there are pixels."""
    missing = components.pixels - components.count
    basis = np.linalg.qr(components.rows.T, mode="complete").Q.T
    return replace(
        components,
        rows=np.concatenate([components.rows, basis[components.count :]]),
        singular_values=np.pad(components.singular_values, (0, missing)),
    )


def _simulated(
    scene: Any, counts: np.ndarray, compressor: Compressor, jobs: int, resume: Path
) -> tuple[np.ndarray, ProjectionRow]:
    """Coefficients (J, S'), from the simulated hardware as far as it goes, and the row of the comparison."""
    size, transform = compressor.projection.format, compressor.transform
    values = transform.forward(counts)
    coefficients, flags = compressor.projection.project(values)
    most = max(FEWEST, MULTIPLICATIONS // (size.pixels * size.components))
    row = ProjectionRow(
        scene=scene.name,
        domain=transform.codebook.name if transform.codebook else transform.kind,
        source="",
        components=size.components,
        ratio=size.pixels / size.components,
        bit_ratio=size.pixels * scene.count_bits / (size.components * size.output_bits),
        weight_bits=size.weight_bits,
        output_bits=size.output_bits,
        bit_exact=None,
        frames=len(counts),
        simulated=min(len(counts), most),
        coefficients=0,
        mismatches=0,
        saturated=int(flags.sum()),
        loss=compressor.report["loss"],
    )
    projector = Projector(size, lanes=LANES, columns=COLUMNS)
    block = projector
    if transform.codebook is not None:
        block = CodeProjector(ShiftEncoder(transform.codebook, lanes=LANES, input_bits=16), projector)
    hardware = BulkProjector(block, compressor.projection, jobs=jobs)
    sent = counts[: row.simulated]
    key = hashlib.sha256(repr((hardware.verilog, fingerprint(compressor), sent.shape)).encode() + sent.tobytes())

    def simulate() -> dict[str, np.ndarray]:
        started = time.monotonic()
        done = hardware.run(sent)
        seconds = time.monotonic() - started
        return {
            "coefficients": done.coefficients,
            "saturated": done.saturated,
            "clocks": np.array(done.clocks),
            "seconds": np.array(seconds),
        }

    found = _kept(resume / f"rtl-{key.hexdigest()[:24]}.npz", simulate)
    wrong = (found["coefficients"] != coefficients[: row.simulated]) | (found["saturated"] != flags[: row.simulated])
    row.coefficients, row.mismatches = wrong.size, int(wrong.sum())
    row.bit_exact = row.mismatches == 0
    row.clocks, row.seconds = int(found["clocks"]), round(float(found["seconds"]), 3)
    # What the hardware put out is what the picture is made from.
    coefficients[: row.simulated] = found["coefficients"]
    return coefficients, row


def _kept(path: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays that `make` gives, or that an earlier run has left in `path`."""
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                np.savez(file, **make())  # type: ignore[arg-type]
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    with np.load(path) as arrays:
        return dict(arrays)


def projection_table(rows: list[ProjectionRow]) -> Table:
    """Rows for people."""
    table = Table(box=None, title="Projectors: phase error in rad²; FRC half-bit crossing, Nyquist = 1", min_width=78)
    for heading in ("values", "from", "S'", "weights", "exact", "sim.", "SMSE", "to un-enc.", "FRC"):
        table.add_column(heading, justify="left" if heading in ("values", "from") else "right", no_wrap=True)
    for row in rows:
        hardware = row.weight_bits is not None
        table.add_row(
            row.domain,
            row.source,
            str(row.components),
            f"{row.weight_bits} bit" if hardware else "float",
            {None: "", True: "yes", False: "NO"}[row.bit_exact],
            f"{row.simulated / row.frames:.0%}" if hardware else "",
            "" if row.smse is None else f"{row.smse:.2e}",
            f"{row.smse_unencoded:.2e}",
            f"{row.frc_crossing:.3f}",
        )
    return table
