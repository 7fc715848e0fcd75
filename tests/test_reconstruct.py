# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""`ptychopress reconstruct`, from files to an image: what is found, kept, refused and gone on with."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import ptychopress
import pytest

torch = pytest.importorskip("torch")
from ptychopress.cli.compress import compress
from ptychopress.cli.reconstruct import Kind, LossName, reconstruct
from ptychopress.model.codebook import Codebook
from ptychopress.model.pca import learn
from ptychopress.model.quantise import quantise
from ptychopress.model.transform import Transform
from ptychopress.model.weights import save
from ptychopress.reconstruction import engine
from ptychopress.reconstruction.acquisition import Acquisition, diffract, expose, gaussian_probe, raster_scan
from ptychopress.reconstruction.cxi import write_cxi
from ptychopress.reconstruction.losses import AmplitudeLoss, IntervalLoss, PoissonLoss
from ptychopress.reconstruction.metrics import register
from ptychopress.reconstruction.picture import save_picture
from ptychopress.reconstruction.probes import partially_coherent
from ptychopress.reconstruction.result import Result
from ptychopress.reconstruction.scan import Scan
from ptychopress.reconstruction.scan_files import read_scan
from ptychopress.reconstruction.start import mean_photons, with_modes, with_room

COMMAND = Path(sys.executable).with_name("ptychopress")
SHAPE, N, PHOTONS = (34, 36), 16, 3e4
PIXELS = (2e-8, 3e-8)  # of the object, in metres
DEAD = (7, 8)  # beside zero frequency, where it is bright
INNER = np.zeros(SHAPE, bool)
INNER[7:-7, 7:-7] = True


def truth() -> np.ndarray:
    rows, columns = np.indices(SHAPE)
    phase = 0.5 * np.sin(0.5 * rows) * np.cos(0.3 * columns + 0.1 * rows) + 0.3 * (columns > 17)
    return ((0.9 + 0.1 * np.cos(0.4 * columns)) * np.exp(1j * phase)).astype(np.complex64)


def acquisition(probe: np.ndarray | None = None) -> Acquisition:
    probe = gaussian_probe(N, 2.5) if probe is None else probe
    return Acquisition(probe, raster_scan(10, 11, 2), SHAPE).scaled(PHOTONS)


def write(path: Path, frames: np.ndarray, known: Acquisition) -> Path:
    """A CXI file with a dead pixel, which says 0."""
    mask = np.zeros((N, N), bool)
    mask[DEAD] = True
    wavelength, distance = 1e-10, 1.0
    side = (wavelength * distance / (N * PIXELS[0]), wavelength * distance / (N * PIXELS[1]))
    geometry = {"wavelength": wavelength, "distance": distance, "pixel_size": side, "object_pixel": PIXELS}
    positions = known.positions.astype(float)
    write_cxi(path, Scan(frames=frames, mask=mask, probe=known.probe, positions=positions, **geometry))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Counts and intensities of a scan, and coefficients of its codes."""
    folder, known = tmp_path_factory.mktemp("scan"), acquisition()
    intensity = diffract(truth(), known)
    counts = expose(intensity, 1)
    write(folder / "counts.cxi", counts, known)
    write(folder / "intensities.cxi", (intensity + np.float32(0.01)).astype(np.float32), known)
    transform, mask = Transform.codes("sqrt-b"), np.zeros((N, N), bool)
    mask[DEAD] = True
    # Components of changes of the frames from one to the next, as an ideal training object would give them.
    values = transform.mean_value(intensity)
    save(folder / "weights.h5", quantise(learn(values, 80, transform=transform, mask=mask), values))
    compress(folder / "counts.cxi", folder / "coefficients.h5", folder / "weights.h5")
    return folder


def error(found: np.ndarray) -> float:
    """Mean squared error, but for what an unknown probe leaves free: a factor, a ramp and a shift.

    Of some 2700 photons on a pixel noise makes 2e-4.
    """
    image = register(truth(), found, INNER)
    image *= np.vdot(image[INNER], truth()[INNER]) / np.vdot(image[INNER], image[INNER])
    return float(np.mean(np.abs(image - truth())[INNER] ** 2))


def told(capsys: pytest.CaptureFixture[str], *arguments: Any, **options: Any) -> dict[str, Any]:
    reconstruct(*arguments, as_json=True, **options)
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("file", "options", "loss", "limit"),
    [
        ("counts.cxi", {}, "poisson", 5e-4),
        ("counts.cxi", {"loss": LossName.AMPLITUDE}, "amplitude", 5e-4),
        ("counts.cxi", {"loss": LossName.INTERVAL, "codebook": "sqrt-c"}, "interval", 5e-4),
        ("counts.cxi", {"refine_probe": False, "object_kind": Kind.EXPONENT}, "poisson", 5e-4),
        ("intensities.cxi", {}, "amplitude", 3e-4),
        ("coefficients.h5", {"scan": "counts.cxi", "refine_probe": False}, "coefficients", 2e-3),
    ],
)
def test_the_object_is_found(
    file: str,
    options: dict[str, Any],
    loss: str,
    limit: float,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "scan" in options:
        options = options | {"scan": folder / options["scan"]}
    out = tmp_path / "result.h5"
    said = told(capsys, folder / file, out, epochs=20, batch_size=16, **options)
    result = Result.load(out)
    assert error(np.ones(SHAPE)) > 0.05
    assert error(result.object) < limit
    assert said["loss"] == loss and said["frames"] == 110 and said["losses"] == result.losses.tolist()
    overlap = np.vdot(result.probe, acquisition().probe) ** 2 / np.vdot(result.probe, result.probe) / PHOTONS
    assert (abs(overlap) > 1 - 1e-6) == (options.get("refine_probe") is False)
    np.testing.assert_allclose(result.object_pixel, PIXELS)
    np.testing.assert_array_equal(result.positions, acquisition().positions)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.h5", "result.png"]
    assert (tmp_path / "result.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("background", [0.01, 0.5])
@pytest.mark.parametrize("name", [LossName.POISSON, LossName.AMPLITUDE, LossName.INTERVAL])
def test_the_loss_is_the_one_that_is_named(name: LossName, background: float, folder: Path, tmp_path: Path) -> None:
    scan, book = read_scan(folder / "counts.cxi"), Codebook.named("sqrt-b")
    frames = scan.valid(scan.frames)
    loss = {
        LossName.POISSON: lambda: PoissonLoss(frames, background=background),
        LossName.AMPLITUDE: lambda: AmplitudeLoss(frames),
        LossName.INTERVAL: lambda: IntervalLoss(book.encode(scan.counts), book, mask=scan.mask, background=background),
    }[name]()
    known = replace(scan.acquisition(), positions=acquisition().positions)
    expected = engine.reconstruct(loss, known, epochs=2, refine_probe=True).losses
    options = {"background": background, "epochs": 2, "picture": False}
    reconstruct(folder / "counts.cxi", tmp_path / "r.h5", loss=name, **options)
    np.testing.assert_allclose(Result.load(tmp_path / "r.h5").losses, expected, rtol=1e-4)


def test_the_file_says_what_it_holds(folder: Path, tmp_path: Path) -> None:
    reconstruct(
        folder / "counts.cxi", tmp_path / "r.h5", loss=LossName.INTERVAL, epochs=1, seed=7, modes=2, picture=False
    )
    with h5py.File(tmp_path / "r.h5") as file:
        attributes = dict(file.attrs)
        assert {name: data.dtype.str for name, data in file.items()} == {
            "object": "<c8",
            "probe": "<c8",
            "positions": "<f8",
            "losses": "<f8",
        }
        assert file["object"].shape == SHAPE and file["probe"].shape == (2, N, N)
        assert all(data.attrs["long_name"] for data in file.values())
        np.testing.assert_allclose(file["object"].attrs["pixel_size"], PIXELS)
    assert (attributes["source"], attributes["loss"], attributes["codebook"]) == ("counts.cxi", "interval", "sqrt-b")
    settings = json.loads(attributes["settings"])
    assert (settings["epochs"], settings["seed"], settings["refine_probe"]) == (1, 7, True)
    assert attributes["program"].startswith("ptychopress ")
    assert [path.name for path in tmp_path.iterdir()] == ["r.h5"]


def test_the_probe_of_coefficients_has_the_photons_of_their_frames(folder: Path, tmp_path: Path) -> None:
    options = {"epochs": 1, "refine_probe": False, "picture": False}
    reconstruct(folder / "coefficients.h5", tmp_path / "c.h5", scan=folder / "counts.cxi", **options)
    reconstruct(folder / "counts.cxi", tmp_path / "f.h5", **options)
    photons = [float(np.sum(np.abs(Result.load(tmp_path / name).probe) ** 2)) for name in ("c.h5", "f.h5")]
    with h5py.File(folder / "counts.cxi") as file:
        mean = file["entry_1/data_1/data"][()].sum(axis=(1, 2)).mean()
    assert photons[1] == pytest.approx(mean, rel=1e-5)
    assert photons[0] == pytest.approx(mean, rel=0.01)


def test_what_saturates_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known, rng = acquisition(), np.random.default_rng(2)
    counts = rng.poisson(5, (110, N, N)).astype(np.uint16)
    counts[3, 2, 2], counts[4, 2, 2:4], counts[:, *DEAD] = 20000, 30000, 65535
    write(tmp_path / "s.cxi", counts, known)
    transform, mask = Transform.codes("sqrt-b"), np.zeros((N, N), bool)
    mask[DEAD] = True
    few = np.minimum(counts, 20)
    save(tmp_path / "w.h5", quantise(learn(few, 9, transform=transform, mask=mask), few, 8, 6, 0.2))
    compress(tmp_path / "s.cxi", tmp_path / "c.h5", tmp_path / "w.h5")
    with h5py.File(tmp_path / "c.h5") as file:
        saturated = int(file["saturated"][()].sum())
    assert saturated
    capsys.readouterr()
    reconstruct(tmp_path / "c.h5", tmp_path / "r.h5", scan=tmp_path / "s.cxi", epochs=1, picture=False)
    note = f"note: {saturated} of 990 coefficients are at the end of their range, 2 of 110 frames have counts above it"
    assert note in capsys.readouterr().err
    reconstruct(tmp_path / "s.cxi", tmp_path / "r.h5", loss=LossName.INTERVAL, epochs=1, picture=False)
    assert "note: 3 counts are above the range of sqrt-b" in capsys.readouterr().err


def test_interrupted_it_goes_on_to_the_same_bits(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def update(*_: Any, completed: int, **__: Any) -> None:
        seen.append(completed)
        if completed == stop:
            raise KeyboardInterrupt

    seen: list[int] = []
    stop = 3
    monkeypatch.setattr("rich.progress.Progress.update", update)
    options = {"epochs": 6, "refine_positions": True, "picture": False}
    source, out, whole = folder / "counts.cxi", tmp_path / "out.h5", tmp_path / "whole.h5"
    with pytest.raises(KeyboardInterrupt):
        reconstruct(source, out, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5.checkpoint"]
    with pytest.raises(ValueError, match=r"out.h5.checkpoint: a checkpoint of other data or settings"):
        reconstruct(source, out, seed=1, **options)
    stop = 0
    reconstruct(source, out, **options)
    assert seen == [1, 2, 3, 4, 5, 6]
    reconstruct(source, whole, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.h5", "whole.h5"]
    one, other = Result.load(whole), Result.load(out)
    for name in ("object", "probe", "positions", "losses"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_result_is_gone_on_from(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.h5", tmp_path / "second.h5"
    options = {"epochs": 10, "batch_size": 16, "picture": False}
    reconstruct(folder / "counts.cxi", first, **options)
    # Object, probe and positions are those of the result: no scan is needed.
    reconstruct(folder / "coefficients.h5", second, start=first, refine_positions=True, **options)
    before, after = Result.load(first), Result.load(second)
    reconstruct(folder / "coefficients.h5", tmp_path / "cold.h5", scan=folder / "counts.cxi", epochs=1, picture=False)
    assert after.losses[0] < 0.3 * Result.load(tmp_path / "cold.h5").losses[0]
    room = (after.object.shape[0] - SHAPE[0]) // 2
    assert room == 8 and after.object.shape[1] == SHAPE[1] + 16
    assert 0 < np.abs(after.positions - room - before.positions).max() < 1
    assert error(after.object[room:-room, room:-room]) < 1e-2
    np.testing.assert_allclose(after.object_pixel, PIXELS)


def test_the_probe_of_another_scan(folder: Path, tmp_path: Path) -> None:
    options = {"epochs": 8, "picture": False}
    good, bare = tmp_path / "good.h5", write(tmp_path / "bare.cxi", np.ones((110, N, N), np.uint16), acquisition())
    reconstruct(folder / "counts.cxi", good, **options)
    with h5py.File(folder / "counts.cxi") as source, h5py.File(bare, "a") as file:
        counts = source["entry_1/data_1/data"][()] // 2
        file["entry_1/data_1/data"][...] = counts
        del file["entry_1/instrument_1/source_1/illumination"]
    with pytest.raises(ValueError, match=r"bare.cxi: no probe in it, expected --probe RESULT or --start RESULT"):
        reconstruct(bare, tmp_path / "r.h5", **options)
    reconstruct(bare, tmp_path / "r.h5", probe=good, refine_probe=False, **options)
    probes = [Result.load(path).probe for path in (good, tmp_path / "r.h5")]
    ratio = probes[1] / probes[0]
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)
    assert np.sum(np.abs(probes[1]) ** 2) == pytest.approx(counts.sum(axis=(1, 2)).mean(), rel=1e-4)


def test_modes_explain_what_one_probe_cannot(tmp_path: Path) -> None:
    known = acquisition(partially_coherent(gaussian_probe(N, 2.5), 3, 1.5))
    scan = write(tmp_path / "scan.cxi", expose(diffract(truth(), known), 1), replace(known, probe=known.probe[0]))
    options = {"epochs": 30, "batch_size": 16, "background": 0.01, "picture": False}
    reconstruct(scan, tmp_path / "one.h5", **options)
    reconstruct(scan, tmp_path / "three.h5", modes=3, **options)
    one, three = (Result.load(tmp_path / name) for name in ("one.h5", "three.h5"))
    assert three.probe.shape == (3, N, N)
    assert three.losses[-1] < 0.7 * one.losses[-1]
    assert error(three.object) < 0.5 * error(one.object)


def test_plain_hdf5_by_its_names(folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.h5"
    with h5py.File(folder / "counts.cxi") as source, h5py.File(plain, "w") as file:
        file["a/frames"] = source["entry_1/data_1/data"][()]
        file["rows"], file["columns"] = acquisition().positions.T * 1e-6
        file["p"] = acquisition().probe
    names = ["frames=a/frames", "positions=rows,columns", "unit=1", "object_pixel=1e-6", "probe=p"]
    reconstruct(plain, tmp_path / "r.h5", name=names, epochs=2, picture=False)
    result = Result.load(tmp_path / "r.h5")
    np.testing.assert_allclose(result.positions, acquisition().positions, atol=1e-9)
    assert result.object_pixel == (1e-6, 1e-6)


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        ("none.cxi", {}, "none.cxi: no such file, expected a scan or coefficients"),
        ("coefficients.h5", {}, "holds coefficients: expected --scan FILE, for probe and positions"),
        ("coefficients.h5", {"loss": LossName.POISSON}, "--loss poisson: .* holds coefficients, decompress them first"),
        ("coefficients.h5", {"scan": "other.cxi"}, "other.cxi: a scan of 109 .* expected 110 of 16 as in .*coeffic"),
        ("counts.cxi", {"loss": LossName.COEFFICIENTS}, "counts.cxi is no file of ptychopress compress"),
        ("counts.cxi", {"scan": "counts.cxi"}, "--scan: for coefficients"),
        ("counts.cxi", {"codebook": "sqrt-a"}, "--codebook: for --loss interval"),
        ("intensities.cxi", {"loss": LossName.INTERVAL}, "float32 intensities, expected photon counts"),
        ("counts.cxi", {"modes": 2, "refine_probe": False}, "--modes starts from a guess: leave out --no-refine-probe"),
        ("counts.cxi", {"start": "counts.cxi"}, "no reconstruction: its attribute 'format' is not"),
        ("counts.cxi", {"start": "wide.h5"}, "wide.h5: a scan of 110 frames of 20 pixels a side, expected 110 of 16"),
        ("counts.cxi", {"probe": "wide.h5"}, r"--probe: \(20, 20\), expected a window of 16 pixels"),
        ("counts.cxi", {"start": "wide.h5", "probe": "wide.h5"}, "--probe: --start has a probe"),
        ("counts.cxi", {"learning_rate": -1.0}, "learning_rate: -1.0, expected a positive number"),
        ("counts.cxi", {"background": 0.0}, "--background 0.0: expected photons > 0"),
        ("counts.cxi", {"learning_rate": 1e25}, "expected --learning-rate to be less"),
        ("counts.cxi", {"device": "toaster"}, "--device toaster: "),
        ("counts.cxi", {"name": ["frames=x"]}, "--name: expected at least frames=DATASET and positions=DATASET"),
        ("counts.cxi", {"name": ["colour=x"]}, "--name colour=x: each of frames, positions"),
    ],
)
def test_what_does_not_fit_is_refused(
    file: str, options: dict[str, Any], message: str, folder: Path, tmp_path: Path
) -> None:
    write(tmp_path / "other.cxi", np.ones((109, N, N), np.uint16), replace_positions(acquisition(), 109))
    Result(
        object=np.ones((40, 40), np.complex64),
        probe=gaussian_probe(20),
        positions=acquisition().positions.astype(float),
        losses=np.ones(1),
    ).save(tmp_path / "wide.h5")
    before = sorted(path.name for path in tmp_path.iterdir())
    options = dict(options)
    for name in {"scan", "start", "probe"} & options.keys():
        here = tmp_path / options[name]
        options[name] = here if here.exists() else folder / options[name]
    with pytest.raises((ValueError, FileNotFoundError, ArithmeticError), match=message) as caught:
        reconstruct(folder / file, tmp_path / "r.h5", epochs=2, **options)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def replace_positions(known: Acquisition, count: int) -> Acquisition:
    return replace(known, positions=known.positions[:count])


def test_the_output_is_no_source_and_no_picture(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "counts.cxi"
    source.write_bytes((folder / "counts.cxi").read_bytes())
    for out, message in ((source, "which is read"), (tmp_path / "r.png", "its picture is to be")):
        with pytest.raises(ValueError, match=message):
            reconstruct(source, out, epochs=1)
    assert source.read_bytes() == (folder / "counts.cxi").read_bytes()


def test_errors_are_one_line_and_status_2(folder: Path, tmp_path: Path) -> None:
    command = [COMMAND, "reconstruct", folder / "counts.cxi", "--out", tmp_path / "r.h5", "--codebook", "sqrt-a"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ptychopress: error: ") and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "value"), [("object", np.full((4, 4), np.nan + 0j)), ("positions", np.ones((3, 3)))])
def test_a_damaged_result(name: str, value: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "r.h5"
    Result(
        object=np.ones((4, 4), np.complex64),
        probe=np.ones((2, 2), np.complex64),
        positions=np.zeros((3, 2)),
        losses=np.ones(1),
    ).save(path)
    assert Result.load(path).object_pixel is None
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = value
    with pytest.raises(ValueError, match=rf"r.h5: {name}"):
        Result.load(path)


def test_further_modes_are_weak_and_orthogonal() -> None:
    known = acquisition()
    more = with_modes(known, 3)
    gram = np.einsum("aij,bij->ab", more.modes.conj(), more.modes)
    power = np.diag(gram).real
    assert power.sum() == pytest.approx(PHOTONS, rel=1e-5)
    np.testing.assert_allclose(power / power[0], [1, 0.05, 0.05], rtol=1e-3)
    assert np.abs(gram - np.diag(power)).max() < 1e-3 * power[1]
    # Those that there are, are kept but for their scale; one has no axis of modes.
    four = with_modes(more, 4).modes
    np.testing.assert_allclose(four[:3] * (more.modes[0, 8, 8] / four[0, 8, 8]), more.modes, rtol=1e-4)
    one = with_modes(more, 1)
    assert one.probe.shape == (N, N) and one.photons == pytest.approx(PHOTONS)


def test_room_for_positions() -> None:
    obj, positions = np.full((10, 12), 2, np.complex64), np.array([[0.0, 3.0], [5.0, 6.4]])
    same = with_room(obj, positions, 4, 0)
    assert same[0].shape == (10, 12) and (same[1] == positions).all()
    wide, moved = with_room(obj, positions, 4, 3)
    assert wide.shape == (16, 18) and (moved == positions + 3).all()
    assert (wide[3:-3, 3:-3] == 2).all() and wide.sum() == 2 * 120 + (16 * 18 - 120)
    out, moved = with_room(obj, positions - 1.2, 4, 0)  # outside: refined so
    assert out.shape == (12, 14) and Acquisition(np.ones((4, 4), np.complex64), moved, (12, 14)).corners.min() == 0


def test_mean_photons_in_pieces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ptychopress.model.weights import load
    from ptychopress.reconstruction import start

    compressor = load(folder / "weights.h5")
    with h5py.File(folder / "coefficients.h5") as file:
        coefficients = file["coefficients"][()]
    expected = np.nansum(compressor.expand(coefficients)) / len(coefficients)
    assert mean_photons(coefficients, compressor) == pytest.approx(expected, rel=1e-12)
    monkeypatch.setattr(start, "_FRAMES", 40)  # every third
    third = np.nansum(compressor.expand(coefficients[::3])) / len(coefficients[::3])
    assert mean_photons(coefficients, compressor) == pytest.approx(third, rel=1e-12)


def test_a_picture_has_no_ramp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    shown = []
    plain = Axes.imshow
    monkeypatch.setattr(
        Axes, "imshow", lambda self, values, **more: shown.append(values) or plain(self, values, **more)
    )
    ramp = np.exp(1j * np.add.outer(0.3 * np.arange(SHAPE[0]), -0.2 * np.arange(SHAPE[1])))
    lit = np.zeros(SHAPE, bool)
    lit[4:30, 6:30] = True
    save_picture(tmp_path / "p.png", (0.5 * ramp).astype(np.complex64), lit, PIXELS)
    phase, amplitude = shown
    assert phase.shape == amplitude.shape == (26, 24)
    assert np.ptp(phase) < 1e-4
    np.testing.assert_allclose(amplitude, 0.5, rtol=1e-5)


def test_the_page_reads_a_result(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/reconstruct.md says of the file, with h5py and NumPy alone."""
    page = (Path(ptychopress.__file__).parent / "docs" / "reconstruct.md").read_text()
    monkeypatch.chdir(tmp_path)
    for modes in (1, 2):
        reconstruct(folder / "counts.cxi", Path("result.h5"), epochs=1, modes=modes, picture=False)
        names: dict[str, Any] = {}
        exec(page.split("```python\n")[1].split("```")[0], names)
        result = Result.load("result.h5")
        np.testing.assert_array_equal(names["phase"], np.angle(result.object))
        np.testing.assert_array_equal(names["probe"], result.probe.reshape(modes, N, N))
        np.testing.assert_allclose((names["height"], names["width"]), PIXELS)
