# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress reconstruct``: from counts, intensities, codes or coefficients to an image of the object."""

import json
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import h5py
import numpy as np
import typer

from .. import __version__
from ..model.attributes import get
from ..model.codebook import Codebook
from ..model.weights import load
from ..reconstruction.acquisition import Acquisition, placed
from ..reconstruction.result import Result
from ..reconstruction.scan_files import Names, read_geometry, read_scan
from ..reconstruction.start import mean_photons, with_modes, with_room
from .compress import FORMAT, WEIGHTS
from .console import console, progress_bar
from .decompress import Coefficients, open_coefficients
from .files import publish_file
from .options import CodebookName, CountBits, Edges, JsonOutput, Parameters, chosen_codebook, refuse

if TYPE_CHECKING:
    from ..reconstruction.losses import Loss

_ROOM = 8
"""Pixels around the scan that positions may move into when they are refined."""


class LossName(StrEnum):
    """What is compared with the data, and how."""

    AUTO = "auto"
    AMPLITUDE = "amplitude"
    POISSON = "poisson"
    INTERVAL = "interval"
    COEFFICIENTS = "coefficients"


class Kind(StrEnum):
    """Unknowns of an object pixel."""

    TRANSMISSION = "transmission"
    EXPONENT = "exponent"
    PHASE = "phase"


@dataclass
class _Measured:
    """Data of a scan.

    Attributes
    ----------
    loss : Loss
    name : LossName
        Of the loss.
    acquisition : Acquisition or None
        None where it comes from an earlier result.
    object_pixel : tuple of float or None
        Height and width in metres.
    told : dict
        What there is to say of the data, as JSON values.
    """

    loss: "Loss"
    name: LossName
    acquisition: Acquisition | None
    object_pixel: tuple[float, float] | None
    told: dict[str, int]


@dataclass(frozen=True)
class _Source:
    """Files of a scan, as the options name them.

    Attributes
    ----------
    file : Path
        Frames or coefficients.
    scan : Path or None
        Scan that coefficients belong to.
    geometry : Path or None
        File of all but the frames.
    names : Names or None
    start, probe : Result or None
        Earlier results: to go on from; to take the probe from.
    background : float
        Photons added to every mean.
    """

    file: Path
    scan: Path | None
    geometry: Path | None
    names: Names | None
    start: Result | None
    probe: Result | None
    background: float

    def with_probe(self, geometry: Any) -> Any:
        """A geometry or scan with the probe that is asked for."""
        if self.probe is not None:
            if self.probe.probe.shape[-1] != geometry.window:
                raise ValueError(
                    f"--probe: {self.probe.probe.shape}, expected a window of {geometry.window} pixels as the frames"
                )
            return replace(geometry, probe=self.probe.probe)
        if geometry.probe is None and self.start is None:
            raise ValueError(f"{self.scan or self.file}: no probe in it, expected --probe RESULT or --start RESULT")
        return geometry


def reconstruct(
    file: Annotated[
        Path, typer.Argument(help="Scan with counts or intensities, or coefficients of compress.", metavar="FILE")
    ],
    out: Annotated[Path, typer.Option("--out", help="HDF5 file for the result; its picture beside.", metavar="FILE")],
    scan: Annotated[
        Path | None,
        typer.Option("--scan", help="Coefficients: the scan that they were made of, for its geometry.", metavar="FILE"),
    ] = None,
    geometry: Annotated[
        Path | None,
        typer.Option(
            "--geometry", help="File of probe and positions, if not that of the frames: ptychodus.", metavar="FILE"
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            help=f"Plain HDF5: where it keeps the scan: {', '.join(field.name for field in fields(Names))}."
            " May be repeated.",
            metavar="KEY=DATASET",
        ),
    ] = None,
    loss: Annotated[
        LossName,
        typer.Option("--loss", help="auto: poisson for counts, amplitude for intensities, coefficients for theirs."),
    ] = LossName.AUTO,
    codebook: CodebookName = None,
    count_bits: CountBits = None,
    parameter: Parameters = None,
    edges: Edges = None,
    epochs: Annotated[int, typer.Option("--epochs", help="Passes over the frames.", min=1)] = 60,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Adam's step for the object.")] = 3e-2,
    batch_size: Annotated[int, typer.Option("--batch-size", help="Frames a step.", min=1)] = 32,
    seed: Annotated[int, typer.Option("--seed", help="Of the order of the frames.", min=0)] = 0,
    object_kind: Annotated[
        Kind,
        typer.Option("--object-kind", help="Unknowns: real and imaginary part; absorption and phase; phase alone."),
    ] = Kind.TRANSMISSION,
    refine_probe: Annotated[
        bool, typer.Option("--refine-probe/--no-refine-probe", help="Whether the probe is unknown too.")
    ] = True,
    probe_learning_rate: Annotated[
        float, typer.Option("--probe-learning-rate", help="Adam's step for the probe; 0.003 suits several modes.")
    ] = 1e-2,
    modes: Annotated[
        int | None,
        typer.Option("--modes", help="Incoherent modes of the probe, as many as it has by default.", min=1),
    ] = None,
    refine_positions: Annotated[
        bool, typer.Option("--refine-positions", help="Whether the positions are unknown too.")
    ] = False,
    background: Annotated[
        float,
        typer.Option(
            "--background",
            help="Photons that all losses but amplitude add to every mean: what the model does not know of. 0.5 suits"
            " measured frames, 0.01 simulated ones.",
        ),
    ] = 0.5,
    start: Annotated[
        Path | None,
        typer.Option("--start", help="Go on from object, probe and positions of a result.", metavar="RESULT"),
    ] = None,
    probe: Annotated[
        Path | None, typer.Option("--probe", help="Take the probe of a result of another scan.", metavar="RESULT")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, or one of PyTorch such as cuda.")] = "cpu",
    picture: Annotated[bool, typer.Option(help="Phase and amplitude as PNG.")] = True,
    as_json: JsonOutput = False,
) -> None:
    """Find the object in a scan: in its counts or intensities, in their codes, or straight in coefficients.

    Interrupted, it goes on where it was when started again with the same options.
    """
    book = None
    if loss is LossName.INTERVAL:
        book = chosen_codebook(codebook, count_bits, parameter, edges)
    else:
        others = {"count_bits": count_bits, "parameter": parameter or None, "edges": edges}
        refuse("for --loss interval", codebook=codebook, **others)
    if modes is not None and not refine_probe:
        raise ValueError("--modes starts from a guess: leave out --no-refine-probe")
    if not 0 < background < np.inf:
        raise ValueError(f"--background {background}: expected photons > 0")
    if start is not None:
        refuse("--start has a probe", probe=probe)
    drawing = out.with_suffix(".png")
    if picture and drawing == out:
        raise ValueError(f"--out {out}: its picture is to be {drawing}, expected another name, such as .h5")
    try:
        import torch

        from ..reconstruction.engine import reconstruct as run
        from ..reconstruction.picture import save_picture
    except ModuleNotFoundError as error:
        raise ValueError(f"reconstruct needs {error.name}: pip install 'ptychopress[reconstruction]'") from None
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter from a PyTorch without CUDA
        raise ValueError(f"--device {device}: {str(error).partition(chr(10))[0]}") from None
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    sources = (file, scan, geometry, edges, start, probe)
    pictured = publish_file(drawing, *sources) if picture else nullcontext()
    with publish_file(out, *sources) as stage, pictured as canvas:
        earlier = [None if path is None else Result.load(path) for path in (start, probe)]
        source = _Source(file, scan, geometry, _names(name), earlier[0], earlier[1], background)
        measured = _measured(source, loss, book)
        obj, acquisition = _start(measured, source.start, modes, refine_positions)
        settings: dict[str, Any] = {
            "epochs": epochs,
            "learning_rate": learning_rate,
            "batch_size": batch_size,
            "seed": seed,
            "object_kind": object_kind.value,
            "refine_probe": refine_probe,
            "probe_learning_rate": probe_learning_rate,
            "refine_positions": refine_positions,
            "device": device,
        }
        given, known = (measured.loss.frames, measured.loss.window), (len(acquisition.positions), acquisition.window)
        if given != known:
            raise ValueError(
                f"{start or scan}: a scan of {known[0]} frames of {known[1]} pixels a side, expected {given[0]} of"
                f" {given[1]} as in {file}"
            )
        with progress_bar() as bars:
            bar = bars.add_task("reconstruct", total=epochs)

            def progress(epoch: int, _: int, value: float) -> None:
                if not np.isfinite(value):
                    checkpoint.unlink(missing_ok=True)
                    raise ArithmeticError(f"the loss of epoch {epoch} is {value}: expected --learning-rate to be less")
                bars.update(bar, completed=epoch, description=f"loss {value:.4g}")

            found = run(measured.loss, acquisition, start=obj, checkpoint=checkpoint, progress=progress, **settings)
        told: dict[str, Any] = {"source": file.name, "scan": None if scan is None else scan.name}
        told |= {"loss": measured.name.value, "codebook": None if book is None else book.name}
        about = {"program": f"ptychopress {__version__}", "settings": json.dumps(settings | {"background": background})}
        result = Result(
            object=found.object,
            probe=found.probe,
            positions=found.positions,
            losses=np.array(found.losses),
            object_pixel=measured.object_pixel,
            about=about | {key: value for key, value in told.items() if value is not None},
        )
        result.save(stage)
        if canvas is not None:
            save_picture(canvas, found.object, acquisition.coverage(), measured.object_pixel)
    checkpoint.unlink(missing_ok=True)
    told |= {"file": str(out), "picture": str(drawing) if picture else None, "version": __version__}
    told |= {"frames": len(found.positions), "modes": len(acquisition.modes), "object_shape": found.object.shape}
    told |= {"object_pixel": result.object_pixel, "losses": found.losses, **settings, **measured.told}
    told["background"] = background
    if as_json:
        typer.echo(json.dumps(told))
        return
    rows, columns = found.object.shape
    typer.echo(
        f"object of {rows} x {columns} pixels from {told['frames']} frames, {told['loss']} loss"
        f" {found.losses[-1]:.4g} after {epochs} epochs"
    )
    typer.echo("\n".join(str(path) for path in (drawing if picture else None, out) if path))


def _names(given: list[str] | None) -> Names | None:
    """Names of data sets, numbers instead of them, and pairs of both, that the options give."""
    if not given:
        return None
    known, found = [field.name for field in fields(Names)], {}
    for text in given:
        key, _, value = text.partition("=")
        if key not in known or key in found or not value:
            raise ValueError(f"--name {text}: each of {', '.join(known)} can be given once, as KEY=DATASET")
        parts = [_number(part) for part in value.split(",")]
        found[key] = parts[0] if len(parts) == 1 else tuple(parts)
    if isinstance(unit := found.get("unit"), float):
        found["unit"] = (unit, unit)
    if not {"frames", "positions"} <= found.keys():
        raise ValueError("--name: expected at least frames=DATASET and positions=DATASET")
    return Names(**found)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _measured(source: _Source, loss: LossName, book: Codebook | None) -> _Measured:
    """The data, read."""
    if not source.file.is_file():
        raise FileNotFoundError(f"{source.file}: no such file, expected a scan or coefficients")
    compressed = False
    if h5py.is_hdf5(source.file):
        with h5py.File(source.file) as opened:
            compressed = get(opened, "format") == FORMAT
    if compressed:
        if loss not in (LossName.AUTO, LossName.COEFFICIENTS):
            raise ValueError(f"--loss {loss.value}: {source.file} holds coefficients, decompress them first")
        return _from_coefficients(source)
    if loss is LossName.COEFFICIENTS:
        raise ValueError(f"--loss coefficients: {source.file} is no file of ptychopress compress")
    refuse("for coefficients", scan=source.scan)
    return _from_scan(source, loss, book)


def _from_scan(source: _Source, loss: LossName, book: Codebook | None) -> _Measured:
    from ..reconstruction.losses import AmplitudeLoss, IntervalLoss, PoissonLoss

    scan = source.with_probe(read_scan(source.file, parameters=source.geometry, names=source.names))
    acquisition = None if source.start is not None else scan.acquisition()
    if loss is LossName.AUTO:
        loss = LossName.POISSON if scan.frames.dtype == np.uint16 else LossName.AMPLITUDE
    told: dict[str, int] = {}
    data: Loss
    if book is not None:
        counts, mask = scan.counts, scan.mask
        data = IntervalLoss(book.encode(counts), book, mask=mask, background=source.background)
        told["saturated"] = book.saturated(counts, invalid=mask)
        if told["saturated"]:
            _note(f"{told['saturated']} counts are above the range of {book.name}: each stands for so many or more")
    else:
        levels, pixel = scan.valid(scan.frames), scan.object_pixel
        del scan  # frames are large: only the loss shall hold them
        poisson = loss is LossName.POISSON
        data = PoissonLoss(levels, background=source.background) if poisson else AmplitudeLoss(levels)
        return _Measured(data, loss, acquisition, pixel, told)
    return _Measured(data, loss, acquisition, scan.object_pixel, told)


def _from_coefficients(source: _Source) -> _Measured:
    from ..reconstruction.losses import CoefficientLoss

    with open_coefficients(source.file) as opened:
        compressor = load(source.file, WEIGHTS)
        coefficients = Coefficients(source.file, opened, compressor).read()
        told = {name: int(opened.attrs.get(name, 0)) for name in ("saturated", "clipped_frames")}
    if told["saturated"] or told["clipped_frames"]:
        _note(
            f"{told['saturated']} of {coefficients.size} coefficients are at the end of their range,"
            f" {told['clipped_frames']} of {len(coefficients)} frames have counts above it: taken as they are"
        )
    acquisition = pixel = None
    if source.scan is not None:
        geometry = source.with_probe(read_geometry(source.scan, parameters=source.geometry, names=source.names))
        pixel = geometry.object_pixel
        if source.start is None:
            photons = mean_photons(coefficients, compressor)
            acquisition = placed(geometry.probe, geometry.positions).scaled(photons)
    elif source.start is None:
        raise ValueError(f"{source.file} holds coefficients: expected --scan FILE, for probe and positions")
    data = CoefficientLoss(coefficients, compressor, background=source.background)
    return _Measured(data, LossName.COEFFICIENTS, acquisition, pixel, told)


def _start(
    measured: _Measured, earlier: Result | None, modes: int | None, refine_positions: bool
) -> tuple[Any, Acquisition]:
    """Object to start from, None for free space, and what is known or guessed of the scan."""
    room, obj = _ROOM if refine_positions else 0, None
    if earlier is not None:
        window = earlier.probe.shape[-1]
        obj, positions = with_room(earlier.object, earlier.positions, window, room)
        acquisition = Acquisition(earlier.probe, positions, (obj.shape[0], obj.shape[1]))
        measured.object_pixel = measured.object_pixel or earlier.object_pixel
    else:
        assert measured.acquisition is not None
        # Metres turned into pixels are whole but for rounding, and a shift of the probe takes a transform a frame.
        acquisition = placed(measured.acquisition.probe, np.round(measured.acquisition.positions, 6), margin=room)
    return obj, acquisition if modes is None else with_modes(acquisition, modes)


def _note(text: str) -> None:
    console.print(f"note: {text}", style="yellow", soft_wrap=True)
