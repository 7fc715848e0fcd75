# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress train``: components learned, quantised and written into a weights file."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import Progress

from ..model.contrast import kappa
from ..model.pca import FLOOR, Components, StreamingPca, pixel_noise
from ..model.projection import ProjectionFormat
from ..model.quantise import Compressor, choose_widths, quantise, require_loss, require_share
from ..model.transform import Transform
from ..model.weights import save
from ..reconstruction.acquisition import Acquisition, cell_benchmark
from ..reconstruction.cxi import read_cxi
from ..reconstruction.frames import FrameFile
from ..reconstruction.phantom import cell_phantom
from ..reconstruction.training import matched, noise_free_patterns, probe_pattern, training_image, training_object
from .console import console, progress_bar
from .files import publish_file
from .options import CodebookName, CountBits, DataPath, Edges, JsonOutput, Parameters, chosen_codebook, refuse

_PIECE_BYTES = 1 << 28  # of values in float64 that are decomposed at a time
_PIECE_FRAMES = 2048  # more make the decomposition slower, not better
_ENOUGH = 8  # noise-free frames for each component; of more, an ensemble leaves out some
_CONTRAST_FRAMES = 256  # of each object, that its scattering is averaged over
_SAMPLE_BYTES = 1 << 28  # of integer values that scales and shifts are found on
_SAMPLE_FRAMES = 4096


class Source(StrEnum):
    """What components are learned from."""

    DATA = "data"
    OBJECT = "object"


class Domain(StrEnum):
    """What becomes of counts before they are projected."""

    COUNTS = "counts"
    CODES = "codes"


@dataclass(frozen=True)
class _Training:
    """Frames to learn from, given anew as often as they are asked for.

    Attributes
    ----------
    pieces : callable
        Takes the number of frames at a time; gives counts, unsigned, or noise-free intensities, float32.
    frames : int
    shape : tuple of int
    mask : numpy.ndarray
        Invalid pixels.
    recipe : dict
    """

    pieces: Callable[[int], Iterator[NDArray[Any]]]
    frames: int
    shape: tuple[int, int]
    mask: NDArray[np.bool_]
    recipe: dict[str, Any]


@dataclass(frozen=True)
class _Drawing:
    """Training objects that are asked for."""

    objects: int
    seed: int
    phase: float
    absorption: float
    picture: Path | None

    @property
    def recipe(self) -> dict[str, Any]:
        """What the weights file remembers."""
        strength = {"phase": self.phase, "absorption": self.absorption}
        if self.picture is not None:
            return strength | {"picture": self.picture.name}
        return strength | {"objects": self.objects, "object_seed": self.seed}

    def draw(self, shape: tuple[int, int]) -> list[NDArray[np.complex64]]:
        """The objects, `shape`."""
        strength = {"phase": self.phase, "absorption": self.absorption}
        if self.picture is None:
            return [training_object(shape, self.seed + k, **strength) for k in range(self.objects)]
        try:
            return [training_image(self.picture, shape, **strength)]
        except ModuleNotFoundError as error:
            raise ValueError(f"{self.picture} needs {error.name}: pip install 'ptychopress[reconstruction]'") from None


def train(
    out: Annotated[Path, typer.Option("--out", help="Weights file to write.", metavar="FILE")],
    source: Annotated[
        Source,
        typer.Option("--from", help="data: frames of --data. object: noise-free patterns of training objects."),
    ] = Source.OBJECT,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="CXI file: frames to learn from, or probe and scan for the objects.", metavar="FILE"
        ),
    ] = None,
    path: DataPath = None,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="object: probe and scan of the cell benchmark instead of --data.")
    ] = False,
    photons: Annotated[
        float | None,
        typer.Option("--photons", help="--benchmark: photons on the object, in the whole scan, 2e7 by default."),
    ] = None,
    objects: Annotated[
        int | None, typer.Option("--objects", help="object: how many are drawn, 4 by default.", min=1)
    ] = None,
    object_seed: Annotated[
        int | None, typer.Option("--object-seed", help="object: of the first of them, 1 by default.", min=0)
    ] = None,
    phase: Annotated[float | None, typer.Option("--phase", help="object: largest phase, rad, 0.6 by default.")] = None,
    absorption: Annotated[
        float | None, typer.Option("--absorption", help="object: largest loss of amplitude, 0 to 1, 0 by default.")
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--object", help="object: a picture, .png or .npy, instead of drawn ones.", metavar="PICTURE"),
    ] = None,
    match: Annotated[
        bool,
        typer.Option("--match", help="object: scale phase and absorption until it scatters as the frames of --data."),
    ] = False,
    domain: Annotated[Domain, typer.Option("--domain", help="What is projected.")] = Domain.CODES,
    codebook: CodebookName = None,
    count_bits: CountBits = None,
    parameter: Parameters = None,
    edges: Edges = None,
    components: Annotated[
        int | None, typer.Option("--components", help="S', coefficients of a frame.", metavar="S'")
    ] = None,
    ratio: Annotated[
        float | None, typer.Option("--ratio", help="Pixels of a frame for each coefficient, instead.", metavar="R")
    ] = None,
    centred: Annotated[
        bool, typer.Option("--centred/--uncentred", help="Take the mean frame away first; costs no hardware.")
    ] = True,
    weighted: Annotated[
        bool,
        typer.Option("--weighted/--unweighted", help="Count the values of each pixel in units of its mean noise."),
    ] = True,
    weight_bits: Annotated[int | None, typer.Option("--weight-bits", help="Of a weight, 8 by default.")] = None,
    output_bits: Annotated[int | None, typer.Option("--output-bits", help="Of a coefficient, 16 by default.")] = None,
    max_loss: Annotated[
        float | None,
        typer.Option("--max-loss", help="Find the narrowest widths that add at most this to the noise variance."),
    ] = None,
    saturate_share: Annotated[
        float, typer.Option("--saturate-share", help="Share of training coefficients that may saturate.")
    ] = 0.0,
    as_json: JsonOutput = False,
) -> None:
    """Learn components of frames, turn them into integers, and write them into a weights file.

    Any number of frames is learned from in bounded memory. On one machine, with one number of threads,
    the same options give the same weights.
    """
    if max_loss is not None and (weight_bits is not None or output_bits is not None or saturate_share):
        raise ValueError("--max-loss finds the widths: leave out --weight-bits, --output-bits and --saturate-share")
    transform = _transform(domain, codebook, count_bits, parameter, edges)
    # Learning takes long: what is wrong with the widths is said before.
    widths = (8 if weight_bits is None else weight_bits, 16 if output_bits is None else output_bits)
    ProjectionFormat(
        pixels=1, components=1, input_bits=transform.input_bits, weight_bits=widths[0], output_bits=widths[1]
    )
    require_share(saturate_share)
    if max_loss is not None:
        require_loss(max_loss)
    drawn = {"objects": objects, "object_seed": object_seed}
    if source is Source.DATA:
        strength = {"phase": phase, "absorption": absorption, "object": picture, "match": match}
        refuse("for --from object", benchmark=benchmark, photons=photons, **drawn, **strength)
    else:
        refuse("for --from data: probe and scan are where CXI has them", path=path)
        if not benchmark:
            refuse("for --benchmark", photons=photons)
        if picture is not None:
            refuse("for drawn objects, --object is a picture", **drawn)
    with publish_file(out, data, picture, edges) as stage, progress_bar() as bars:
        if source is Source.DATA:
            training = _from_data(data, path)
        else:
            size = partial(_count, components, ratio)
            drawing = _Drawing(
                objects=4 if objects is None else objects,
                seed=1 if object_seed is None else object_seed,
                phase=0.6 if phase is None else phase,
                absorption=0.0 if absorption is None else absorption,
                picture=picture,
            )
            photons = 2e7 if photons is None else photons
            training = _from_object(data, benchmark, photons, drawing, match, size)
        count = _count(components, ratio, training.mask)
        learned = _learn(training, transform, count, centred, weighted, bars)
        sample = _sample(training, transform, bars)
        bar = bars.add_task("quantise", total=1)
        if max_loss is not None:
            compressor = choose_widths(learned, sample, max_loss)
        else:
            compressor = quantise(learned, sample, *widths, saturate_share)
        bars.advance(bar)
        told = _figures(compressor, training, learned)
        told["sha256"] = save(stage, compressor)
        told["file"] = str(out)
    if as_json:
        typer.echo(json.dumps(told))
        return
    if told["components"] > told["rank"]:
        console.print(
            f"note: {training.frames} frames hold {told['rank']} components; the others are arbitrary", style="yellow"
        )
    typer.echo(_summary(told))


def _transform(
    domain: Domain,
    codebook: str | None,
    count_bits: int | None,
    parameter: list[str] | None,
    edges: Path | None,
) -> Transform:
    if domain is Domain.CODES:
        return Transform.codes(chosen_codebook(codebook, count_bits, parameter, edges))
    refuse("for --domain codes", codebook=codebook, parameter=parameter or None, edges=edges)
    return Transform("counts", 14 if count_bits is None else count_bits)


def _count(components: int | None, ratio: float | None, mask: NDArray[np.bool_]) -> int:
    """S' that the options ask for."""
    if (components is None) == (ratio is None):
        raise ValueError("how many components? --components S' or --ratio R, one of the two")
    pixels, valid = mask.size, int(np.count_nonzero(~mask))
    if valid == 0:
        raise ValueError("every pixel of the frames is invalid: nothing to learn from")
    if components is None:
        assert ratio is not None
        if not 1 <= ratio <= pixels:
            raise ValueError(f"--ratio {ratio:g}: expected 1 to {pixels}, the pixels of a frame")
        components = min(valid, max(1, round(pixels / ratio)))
    if not 1 <= components <= valid:
        raise ValueError(f"--components {components}: expected 1 to {valid}, the valid pixels of a frame")
    return components


def _from_data(data: Path | None, path: str | None) -> _Training:
    """Measured frames."""
    if data is None:
        raise ValueError("--from data needs --data FILE")
    frames = FrameFile.open(data, path)
    recipe = {"source": "data", "file": data.name, "path": frames.name}
    return _Training(frames.pieces, frames.count, frames.shape, frames.mask, recipe)


def _from_object(
    data: Path | None,
    benchmark: bool,
    photons: float,
    drawing: "_Drawing",
    match: bool,
    size: Callable[[NDArray[np.bool_]], int],
) -> _Training:
    """Noise-free patterns of training objects."""
    if benchmark == (data is not None):
        raise ValueError("--from object needs probe and scan: --data FILE.cxi or --benchmark, one of the two")
    if match and benchmark:
        raise ValueError("--match needs the sample's frames: --data FILE.cxi instead of --benchmark")
    mean = None
    if data is None:
        acquisition: Acquisition = cell_benchmark(cell_phantom(), photons).acquisition
        mask = np.zeros((acquisition.window, acquisition.window), np.bool_)
        recipe = {"source": "object", "scan": f"cell benchmark, {photons:g} photons"}
    else:
        scan = read_cxi(data)
        acquisition, mask = scan.acquisition(), scan.mask
        mean = scan.frames.mean(axis=0)
        recipe = {"source": "object", "scan": data.name}
    count = size(mask)
    drawn = drawing.draw(acquisition.object_shape)
    recipe |= drawing.recipe
    if match:
        assert mean is not None
        target = kappa(mean, probe_pattern(acquisition), mask)
        every = max(1, len(acquisition.positions) // _CONTRAST_FRAMES)
        drawn, eta = matched(drawn, acquisition, target, mask=mask, every=every)
        recipe |= {"kappa": target, "eta": eta}
    every = max(1, min(len(drawn), len(drawn) * len(acquisition.positions) // (_ENOUGH * count)))
    frames = 1 + sum(len(acquisition.positions[k % every :: every]) for k in range(len(drawn)))

    def pieces(size: int) -> Iterator[NDArray[Any]]:
        for patterns in noise_free_patterns(drawn, acquisition, every=every, chunk=size):
            patterns[:, mask] = 0
            yield patterns
        # Where a scan leaves the sample it sees the bare probe.
        yield np.where(mask, 0, probe_pattern(acquisition))[None].astype(np.float32)

    return _Training(pieces, frames, (mask.shape[0], mask.shape[1]), mask, recipe)


def _values(transform: Transform, frames: NDArray[Any]) -> NDArray[Any]:
    """Values of counts, or mean values of noise-free intensities, both within the range."""
    if frames.dtype.kind == "u":
        return transform.forward(frames)
    return np.minimum(transform.mean_value(frames), (1 << transform.input_bits) - 1)


def _learn(
    training: _Training, transform: Transform, count: int, centred: bool, weighted: bool, bars: Progress
) -> Components:
    pixels = training.mask.size
    noise = _noise(training, transform, bars) if weighted else None
    pca = StreamingPca(count, transform=transform, centred=centred, noise=noise, mask=training.mask, piece=1 << 30)
    size = max(pca.kept, min(_PIECE_FRAMES, _PIECE_BYTES // (8 * pixels)))
    for frames in _told(training, size, "learn", bars):
        pca.partial_fit(_values(transform, frames))
    learned = pca.components()
    recipe = learned.recipe | training.recipe | {"weighted": weighted}
    return replace(learned, recipe=recipe)


def _noise(training: _Training, transform: Transform, bars: Progress) -> NDArray[np.float64]:
    """`pixel_noise` of all frames; that of counts follows from their mean alone."""
    total = np.zeros(training.shape)
    for frames in _told(training, _PIECE_FRAMES // 4, "noise", bars):
        if frames.dtype.kind == "u":
            total += frames.sum(axis=0, dtype=np.float64)
        else:
            total += (pixel_noise(transform, frames) ** 2 - FLOOR) * len(frames)
    mean = total / training.frames
    return pixel_noise(transform, mean[None]) if training.recipe["source"] == "data" else np.sqrt(mean + FLOOR)


def _sample(training: _Training, transform: Transform, bars: Progress) -> NDArray[Any]:
    """Values of all frames, or of as many, evenly chosen, as memory is meant for; integers."""
    dtype = np.min_scalar_type((1 << transform.input_bits) - 1)
    most = max(1, min(_SAMPLE_FRAMES, _SAMPLE_BYTES // (training.mask.size * dtype.itemsize)))
    every = -(-training.frames // most)
    sample, start = [], 0
    for frames in _told(training, _PIECE_FRAMES // 4, "values", bars):
        chosen = frames[-start % every :: every]
        sample.append(np.rint(_values(transform, chosen)).astype(dtype))
        start += len(frames)
    return np.concatenate(sample)


def _told(training: _Training, size: int, what: str, bars: Progress) -> Iterator[NDArray[Any]]:
    """The pieces, and a bar that moves with them."""
    bar = bars.add_task(what, total=training.frames)
    for frames in training.pieces(size):
        yield frames
        bars.advance(bar, len(frames))


def _figures(compressor: Compressor, training: _Training, learned: Components) -> dict[str, Any]:
    """What there is to say of the result, as JSON values."""
    size, report = compressor.projection.format, compressor.report
    counts = size.pixels * compressor.transform.count_bits
    return {
        "transform": str(compressor.transform),
        "frame_shape": list(training.shape),
        "invalid_pixels": int(np.count_nonzero(training.mask)),
        "frames": training.frames,
        "components": size.components,
        "rank": int(np.count_nonzero(learned.singular_values > 1e-9 * learned.singular_values.max())),
        "ratio": size.pixels / size.components,
        "ratio_bits": counts / (size.components * size.output_bits),
        "input_bits": size.input_bits,
        "weight_bits": size.weight_bits,
        "output_bits": size.output_bits,
        "recipe": compressor.recipe,
        "report": report,
    }


def _summary(told: dict[str, Any]) -> str:
    recipe, report = told["recipe"], told["report"]
    rows, columns = told["frame_shape"]
    lines = [
        f"{told['components']} components of {told['transform']}, frames of {rows} x {columns},"
        f" learned from {told['frames']} frames",
        f"ratio        {told['ratio']:.1f} : 1 in numbers, {told['ratio_bits']:.1f} : 1 in bits of raw counts",
        f"widths       {told['input_bits']} bit values, {told['weight_bits']} bit weights,"
        f" {told['output_bits']} bit coefficients",
        f"quantising   adds {report['loss']:.2e} of the noise variance: {report['loss_weights']:.2e} by weights,"
        f" {report['loss_outputs']:.2e} by coefficients",
        f"saturated    {report['saturated']:.2e} of the training coefficients",
    ]
    if "kappa" in recipe:
        lines.append(f"contrast     kappa {recipe['kappa']:.4g} of the sample, eta {recipe['eta']:.4g}")
    return "\n".join([*lines, f"sha256       {told['sha256']}", told["file"]])
