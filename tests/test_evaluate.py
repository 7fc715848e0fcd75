# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
from ptychopress.cli import evaluate
from ptychopress.cli.main import main
from ptychopress.model.codebook import Codebook
from ptychopress.model.pca import learn
from ptychopress.model.quantise import quantise
from ptychopress.model.transform import Transform
from ptychopress.model.weights import save
from ptychopress.reconstruction import report
from ptychopress.reconstruction.acquisition import Acquisition, diffract, expose, gaussian_probe, raster_scan
from ptychopress.reconstruction.components import scene_components
from ptychopress.reconstruction.evaluation import Candidate, entropy, judge_half, recommend
from ptychopress.reconstruction.job import Job
from ptychopress.reconstruction.losses import BACKGROUND, MEASURED_BACKGROUND, IntervalLoss
from ptychopress.reconstruction.phantom import Phantom, cell_phantom
from ptychopress.reconstruction.scene import Scene

COMMAND = Path(sys.executable).with_name("ptychopress")
UNENCODED = Candidate("un-encoded", 9, 1e-3, 0.664)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this process, its reconstructions too: status, standard output, standard error."""

    def run_jobs(jobs: Sequence[Job], out: Path, processes: int, bars: object) -> list[Path]:
        return [job.run(out) for job in jobs]

    def call(*arguments: str | Path, jobs: Callable[..., list[Path]] = run_jobs) -> tuple[int, str, str]:
        monkeypatch.setattr(evaluate, "run_jobs", jobs)
        monkeypatch.setattr(sys, "argv", ["ptychopress", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), *capsys.readouterr()

    return call


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made but not drawn, which takes seconds."""
    monkeypatch.setattr(report, "_png", lambda figure: b"")


# The rule


def test_the_fewest_bits_without_loss() -> None:
    candidates = [
        Candidate("fine", 7, 1.001e-3, 0.66),
        Candidate("right", 5, 1.05e-3, 0.64),
        Candidate("coarse", 4, 1.051e-3, 0.66),
        Candidate("blurred", 3, 0.9e-3, 0.633),
    ]
    chosen, verdicts = recommend(candidates, UNENCODED, tolerance=0.05, margin=0.03)
    assert chosen is candidates[1]
    assert [verdict.lossless for verdict in verdicts] == [True, True, False, False]
    assert verdicts[0].note == ""
    assert verdicts[2].note == "error larger by 5.1%"
    # A lower correlation alone is said to be just that.
    assert verdicts[3].note == "FRC lower by 0.031: detail lost, though the error is not larger"


def test_a_rising_frc_clears_no_error() -> None:
    """The trap of codes far too coarse: nearest-sqrt on the Siemens star, scale 0.5 and 0.25."""
    scale_half, scale_quarter = Candidate("4 bits", 4, 1.05e-3, 0.538), Candidate("3 bits", 3, 2.7e-3, 0.552)
    chosen, verdicts = recommend([scale_quarter], scale_half)
    assert chosen is None
    assert "error larger by 157.1%" in verdicts[0].note
    # However high it rises.
    chosen, verdicts = recommend([replace(scale_quarter, crossing=1.0)], scale_half)
    assert chosen is None
    assert "the FRC that rose makes up for none of it" in verdicts[0].note


def test_equal_bits_and_no_fewer_bits() -> None:
    worse, better = Candidate("worse", 8, 1.02e-3, 0.7), Candidate("better", 8, 1.01e-3, 0.66)
    assert recommend([worse, better], UNENCODED)[0] is better
    chosen, verdicts = recommend([Candidate("wide", 9, 1e-3, 0.7)], UNENCODED)
    assert chosen is None
    assert verdicts[0].note == "no fewer bits than the counts"
    assert recommend([], UNENCODED) == (None, [])


def test_what_is_no_number_loses() -> None:
    for candidate in (Candidate("error", 5, float("nan"), 0.7), Candidate("frc", 5, 1e-3, float("nan"))):
        chosen, verdicts = recommend([candidate], UNENCODED)
        assert chosen is None and not verdicts[0].lossless


@pytest.mark.parametrize("options", [{"tolerance": -0.1}, {"margin": -0.1}, {"tolerance": float("nan")}])
def test_a_negative_tolerance_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected 0 or more"):
        recommend([], UNENCODED, **options)


figures = st.builds(
    Candidate,
    name=st.text(max_size=3),
    bits=st.floats(0.01, 20),
    error=st.floats(1e-6, 1),
    crossing=st.floats(0, 1),
)


@given(candidates=st.lists(figures, max_size=6), unencoded=figures, tolerance=st.floats(0, 1), margin=st.floats(0, 0.5))
def test_whatever_is_recommended_is_good_in_both(
    candidates: list[Candidate], unencoded: Candidate, tolerance: float, margin: float
) -> None:
    chosen, _ = recommend(candidates, unencoded, tolerance=tolerance, margin=margin)
    good = [
        c
        for c in candidates
        if c.bits < unencoded.bits
        and c.error <= (1 + tolerance) * unencoded.error
        and c.crossing >= unencoded.crossing - margin
    ]
    assert (chosen is None) == (not good)
    assert chosen is None or (chosen in good and chosen.bits == min(c.bits for c in good))


# Figures


def test_entropy_of_known_shares() -> None:
    assert entropy(np.array([3, 3, 3, 3])) == 0
    assert entropy(np.arange(8)) == pytest.approx(3)
    assert entropy(np.array([0, 0, 1, 5])) == pytest.approx(1.5)


@pytest.mark.parametrize("known", [True, False])
def test_one_half_is_compared_with_the_truth_and_with_both_halves(known: bool) -> None:
    shape, side = (64, 64), slice(8, 56)
    support = np.zeros(shape, np.bool_)
    support[side, side] = True
    rng = np.random.default_rng(5)
    truth = np.exp(1j * np.where(support, 0.1 * rng.standard_normal(shape), 0)).astype(np.complex64)
    counts = np.zeros((49, 16, 16), np.uint16)
    scene = Scene(
        name="test",
        title="Test",
        acquisition=Acquisition(gaussian_probe(16, 3.0), raster_scan(7, 7, 8), shape),
        counts=(counts, counts),
        truth=truth if known else None,
        support=support,
        region=(side, side),
        count_bits=14,
        mask=np.zeros((16, 16), np.bool_),
        refine_probe=False,
        frc_kind="split",
    )

    def turned(image: np.ndarray, sigma: float) -> np.ndarray:
        return (image * np.exp(1j * sigma * rng.standard_normal(shape))).astype(np.complex64)

    unencoded = turned(truth, 0.03), turned(truth, 0.04)
    image = turned(unencoded[0], 0.02)
    base, found = (judge_half(scene, one, unencoded) for one in (unencoded[0], image))
    if known:
        assert (base.smse, found.smse) == pytest.approx((0.03**2, 0.03**2 + 0.02**2), rel=0.08)
    else:
        assert base.smse is None and found.smse is None
    assert base.smse_unencoded is None
    assert found.smse_unencoded == pytest.approx(0.02**2, rel=0.08)
    assert base.smse_other == pytest.approx(0.03**2 + 0.04**2, rel=0.08)
    assert found.smse_other == pytest.approx(0.03**2 + 0.04**2 + 0.02**2, rel=0.08)
    # White noise on white signal: the correlation is the same in every ring.
    signal, rings = 0.1**2, found.frc.values[5:].mean()
    expected = signal / np.sqrt((signal + 0.03**2 + 0.02**2) * (signal + 0.04**2))
    assert rings == pytest.approx(expected, abs=0.02)
    assert found.frc.kind == "split"


# Jobs


@pytest.fixture
def counts(tmp_path: Path) -> tuple[np.ndarray, Acquisition]:
    acquisition = Acquisition(gaussian_probe(16, 3.0), raster_scan(6, 6, 4), (36, 36)).scaled(1e4)
    obj = np.exp(1j * cell_phantom(36).phase).astype(np.complex64)
    return expose(diffract(obj, acquisition), 3), acquisition


def test_a_job_compares_what_was_sent_by_the_loss_of_its_name(
    counts: tuple[np.ndarray, Acquisition], tmp_path: Path
) -> None:
    frames, acquisition = counts
    mask = np.zeros((16, 16), np.bool_)
    mask[3, 4] = True
    book = Codebook.named("nearest-sqrt", scale=2)
    assert (np.diff(book.edges) == 0).any()
    transform = Transform.codes("sqrt-b")
    values = transform.forward(frames)
    compressor = quantise(learn(values, 40, transform=transform), values)
    saved = {"frames": frames, "codes": book.encode(frames), "coefficients": compressor.compress(frames)[0]}
    for name, array in saved.items():
        np.save(tmp_path / f"{name}.npy", array)
    save(tmp_path / "weights.h5", compressor)
    settings = {"epochs": 40, "seed": 0}
    levels = book.decode_levels().astype(np.float32)

    def job(name: str, levels: np.ndarray | None = None, **others: object) -> Job:
        return Job(tmp_path / f"{name}.npy", levels, mask, acquisition, settings, **others)  # type: ignore[arg-type]

    jobs = {
        "amplitude": job("frames"),
        "poisson": job("frames", loss="poisson"),
        "saturated": job("frames", loss="poisson", full_scale=20),
        "midpoint": job("codes", levels, loss="poisson"),
        "interval": job("codes", loss="interval", codebook=book),
        "coarser": job("codes", loss="interval", codebook=Codebook.named("nearest-sqrt", scale=2.1)),
        "coefficients": job("coefficients", loss="coefficients", weights=tmp_path / "weights.h5"),
    }
    kinds = {name: type(one.data()).__name__ for name, one in jobs.items()}
    assert kinds == {
        "amplitude": "AmplitudeLoss",
        "poisson": "PoissonLoss",
        "saturated": "PoissonLoss",
        "midpoint": "PoissonLoss",
        "interval": "IntervalLoss",
        "coarser": "IntervalLoss",
        "coefficients": "CoefficientLoss",
    }
    assert len({one.key() for one in jobs.values()}) == len(jobs)
    # Bins without a count are as if they were not there.
    gapless = Codebook.from_edges(np.unique(book.edges).tolist())
    intensity = diffract(np.ones((36, 36), np.complex64), acquisition)
    every = torch.arange(len(frames))
    values_and_gradients = [
        loss.evaluate(torch.from_numpy(intensity), every)
        for loss in (jobs["interval"].data(), IntervalLoss(gapless.encode(frames), gapless, mask=mask))
    ]
    for found, expected in zip(*values_and_gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
    # Weights decide the outcome too.
    before = jobs["coefficients"].key()
    save(tmp_path / "weights.h5", quantise(learn(values, 40, transform=transform), values, weight_bits=7))
    assert jobs["coefficients"].key() != before


@pytest.mark.parametrize("known", [True, False])
def test_likelihoods_of_measured_frames_have_more_background(
    known: bool, counts: tuple[np.ndarray, Acquisition], tmp_path: Path
) -> None:
    frames, acquisition = counts
    mask, book = np.zeros((16, 16), np.bool_), Codebook.named("sqrt-b")
    scene: Any = SimpleNamespace(truth=np.ones((36, 36)) if known else None, mask=mask, acquisition=acquisition)
    values = book.encode(frames)
    compressor = quantise(learn(values, 40, transform=Transform.codes(book)), values)
    np.save(tmp_path / "codes.npy", values)
    np.save(tmp_path / "coefficients.npy", compressor.compress(frames)[0])
    save(tmp_path / "weights.h5", compressor)
    sent: tuple[tuple[str, dict[str, Any]], ...] = (
        ("codes", {"loss": "poisson"}),
        ("codes", {"loss": "interval", "codebook": book}),
        ("coefficients", {"loss": "coefficients", "weights": tmp_path / "weights.h5"}),
    )
    for name, compared in sent:
        job = evaluate._job(scene, tmp_path / f"{name}.npy", {}, **compared)
        data: Any = job.data()
        assert data.background == (BACKGROUND if known else MEASURED_BACKGROUND)
        assert job.key() != replace(job, background=0.1).key()


@pytest.mark.parametrize(
    "others", [{"loss": "interval"}, {"codebook": Codebook.named("sqrt-b")}, {"loss": "coefficients"}]
)
def test_a_job_without_what_its_loss_takes_is_refused(others: dict[str, object], tmp_path: Path) -> None:
    acquisition = Acquisition(gaussian_probe(16, 3.0), raster_scan(2, 2, 4), (20, 20))
    with pytest.raises(ValueError, match="and only it, takes one"):
        Job(tmp_path / "a.npy", None, np.zeros((16, 16), np.bool_), acquisition, {}, **others)  # type: ignore[arg-type]


# The command


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CXI file as `reconstruction/cxi.py` documents it, with object pixels of 1 nm and an invalid pixel."""
    path = tmp_path_factory.mktemp("scan") / "scan.cxi"
    n, side = 24, 60
    acquisition = Acquisition(gaussian_probe(n, 4.0), raster_scan(10, 10, 4), (side, side)).scaled(1e5)
    obj = np.exp(1j * cell_phantom(side).phase).astype(np.complex64)
    frames = expose(diffract(obj, acquisition), 1)
    frames[:, 2, 3] = 65535
    with h5py.File(path, "w") as file:
        detector = file.create_group("entry_1/instrument_1/detector_1")
        detector["data"], detector["distance"] = frames, 1.0
        detector["x_pixel_size"] = detector["y_pixel_size"] = 1e-10 / (n * 1e-9)
        detector["mask"] = (frames[0] == 65535).astype(np.uint32)
        file["entry_1/instrument_1/source_1/wavelength"] = 1e-10
        file["entry_1/instrument_1/source_1/illumination"] = acquisition.probe
        xy = -1e-9 * acquisition.positions[:, ::-1].astype(float)
        file["entry_1/sample_1/geometry_1/translation"] = np.column_stack([xy, np.zeros(len(xy))])
    return path


FEW = ("--epochs", "12", "--ratio", "4", "--ratio", "144")


def test_measured_frames_to_a_recommendation(scan: Path, tmp_path: Path, run: Run) -> None:
    books = ("--codebook", "sqrt-a", "--codebook", "nearest-sqrt:scale=0.1")
    status, out, err = run(scan, "--out", tmp_path / "out", "--json", "--frc-margin", "0", *FEW, *books)
    assert status == 0, err
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results == json.loads(out)
    assert (results["format"], results["truth"], results["loss"]) == ("ptychopress-evaluate-1", False, "interval")
    with h5py.File(scan) as file:
        frames = file["entry_1/instrument_1/detector_1/data"][()]  # type: ignore[index]
    frames[:, 2, 3] = 0
    width = int(frames.max()).bit_length()
    rows = {row["name"]: row for row in results["results"]}
    assert list(rows) == ["un-encoded", "sqrt-a", "nearest-sqrt scale=0.1", "sqrt-b, 4 : 1", "sqrt-b, 144 : 1"]
    base, fine, coarse, many, few = rows.values()
    assert [row["kind"] for row in rows.values()] == ["counts", "codes", "codes", "coefficients", "coefficients"]
    assert results["count_bits"] == base["bits"] == width
    assert fine["bits"] == Codebook.named("sqrt-a", width).code_bits
    assert (many["components"], few["components"]) == (144, 4)
    assert (many["bits"], few["bits"]) == (4, pytest.approx(16 * 4 / 576))
    assert few["bit_ratio"] == pytest.approx(width / few["bits"])
    assert base["entropy"] > fine["entropy"] > coarse["entropy"]
    assert base["smse_unencoded"] is None and base["lossless"] is None
    assert {row["smse"] for row in rows.values()} == {None}
    # What is nearer to the counts is nearer to their image.
    assert 0 < fine["smse_unencoded"] < coarse["smse_unencoded"]
    assert 0 < many["smse_unencoded"] < few["smse_unencoded"]
    assert 0.5 < fine["smse_other"] / base["smse_other"] < 1.2 < coarse["smse_other"] / base["smse_other"]
    assert not coarse["lossless"] and "error larger" in coarse["note"] and not few["lossless"]
    good = [row for row in (fine, coarse, many, few) if row["lossless"]]
    least = min(good, key=lambda row: row["bits"])["name"] if good else None
    assert results["recommendation"] == least
    # The margin is never less than a ring: 2 over the side of the region.
    side = 2 / results["frc_margin"]
    assert side == pytest.approx(round(side)) and 8 <= side < 60
    names = {"results.json", "report.html", "error.png", "frc-codes.png", "frc-coefficients.png"}
    names |= {"phase-codes-0.png", "phase-coefficients-0.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 5
    assert "http" not in page
    assert coarse["note"] in page
    assert (f"Recommended, the fewest bits without loss: {least}" if least else "Recommended: none") in page


@pytest.mark.usefixtures("undrawn")
def test_the_halves_are_independent_and_the_other_finds_the_probe(
    scan: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training objects are lit by the probe that the other half's reconstruction found."""
    sent, probes, lit = [], [], []

    def run_jobs(jobs: Sequence[Job], out: Path, processes: int, bars: object) -> list[Path]:
        sent.extend(np.load(job.frames) for job in jobs)
        paths = [job.run(out) for job in jobs]
        probes.extend(np.load(path)["probe"] for path in paths)
        return paths

    def learned(scene: Scene, acquisition: Acquisition, *rest: Any) -> Any:
        lit.append(acquisition.probe)
        return scene_components(scene, acquisition, *rest)

    monkeypatch.setattr(evaluate, "scene_components", learned)
    options = ("--epochs", "2", "--ratio", "288", "--codebook", "nearest-sqrt:scale=1")
    status, _, err = run(scan, "--out", tmp_path, *options, jobs=run_jobs)
    assert status == 0, err
    with h5py.File(scan) as file:
        frames = file["entry_1/instrument_1/detector_1/data"][()]  # type: ignore[index]
    frames[:, 2, 3] = 0
    other, counts, codes, coefficients = sent
    np.testing.assert_array_equal(counts + other, frames)
    assert 0.4 < counts.sum() / frames.sum() < 0.6
    np.testing.assert_array_equal(codes, np.floor(np.sqrt(counts) + 0.5))
    assert coefficients.shape == (100, 2)
    np.testing.assert_array_equal(lit, probes[:1])
    assert not np.array_equal(probes[0], probes[1])


def small_simulation(phantom: Phantom, photons: float, *, seed: int, quick: bool = False) -> Scene:
    """Eight by eight positions, and the truth."""
    assert quick
    side = slice(12, 40)
    acquisition = Acquisition(gaussian_probe(24, 4.0), raster_scan(8, 8, 4), (52, 52)).scaled(photons / 64)
    truth = np.exp(1j * phantom.phase[100:152, 80:132]).astype(np.complex64)
    support = np.zeros(truth.shape, np.bool_)
    support[side, side] = True
    intensity = diffract(truth, acquisition)
    return Scene(
        name="small",
        title="Small simulation",
        acquisition=acquisition,
        counts=(expose(intensity, seed), expose(intensity, seed + 1)),
        truth=truth,
        support=support,
        region=(side, side),
        count_bits=14,
        mask=np.zeros((24, 24), np.bool_),
        refine_probe=False,
        frc_kind="two",
    )


@pytest.mark.usefixtures("undrawn")
def test_a_simulation_by_both_likelihoods_expanded_or_not(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "simulated", small_simulation)
    options = ("--phantom", "builtin", "--photons", "1e6", "--quick", "--epochs", "8", "--ratio", "40")
    codes = ("--codebook", "nearest-sqrt:scale=0.25")
    found = {}
    for name, extra in {"default": (), "other": ("--loss", "midpoint", "--expand", "--tolerance", "7")}.items():
        status, out, err = run(*options, *codes, *extra, "--out", tmp_path / name)
        assert status == 0, err
        assert out.splitlines()[-1] == str(tmp_path / name / "report.html")
        found[name] = json.loads((tmp_path / name / "results.json").read_text())
    default, other = (found[name]["results"] for name in found)
    assert default[0] == other[0]
    assert default[0]["bits"] == 14
    assert default[0]["smse"] > 0
    for k in (1, 2):
        assert default[k]["bits"] == other[k]["bits"]
        assert default[k]["smse"] != other[k]["smse"]
        # Where the truth is known the error is that against it.
        worse = default[k]["smse"] > 1.05 * default[0]["smse"]
        assert worse == ("error larger" in default[k]["note"])
    assert (found["other"]["tolerance"], found["default"]["tolerance"]) == pytest.approx((0.07, 0.05))


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_the_simulated_benchmark_in_short(tmp_path: Path, run: Run) -> None:
    status, _, err = run("--phantom", "builtin", "--quick", "--out", tmp_path, "--codebook", "sqrt-a", "--ratio", "16")
    assert status == 0, err
    results = json.loads((tmp_path / "results.json").read_text())
    base, codes, coefficients = results["results"]
    assert codes["lossless"] and codes["smse"] == pytest.approx(base["smse"], rel=0.05)
    assert coefficients["bits"] == 1


@pytest.mark.usefixtures("undrawn")
def test_nothing_without_loss_is_said_plainly(scan: Path, tmp_path: Path, run: Run) -> None:
    codes = ("--codebook", "nearest-sqrt:scale=0.07")
    status, out, err = run(scan, "--out", tmp_path, "--epochs", "12", "--ratio", "288", *codes)
    assert status == 0, err
    assert out.splitlines()[0] == "recommended: none; every one of them loses"
    assert json.loads((tmp_path / "results.json").read_text())["recommendation"] is None
    assert "Recommended: none" in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("undrawn")
def test_an_interrupted_evaluation_goes_on(scan: Path, tmp_path: Path, run: Run) -> None:
    options = [scan, "--out", tmp_path, "--epochs", "12", "--ratio", "288", "--codebook", "sqrt-a"]
    command = [COMMAND, "evaluate", *map(str, options), "--jobs", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob(".resume/*.npz")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
    assert (process.returncode, "interrupted" in stderr) == (130, True)
    kept = {path.stem for path in tmp_path.glob(".resume/*.npz")}
    assert kept
    assert [path.name for path in tmp_path.iterdir()] == [".resume"]
    keys = set()

    def run_jobs(jobs: Sequence[Job], out: Path, processes: int, bars: object) -> list[Path]:
        keys.update(job.key() for job in jobs)
        return [job.run(out) for job in jobs]

    assert run(*options, jobs=run_jobs)[0] == 0
    assert kept <= keys
    assert not (tmp_path / ".resume").exists()


@pytest.mark.usefixtures("undrawn")
def test_components_are_learned_once(scan: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    learned = []

    def interrupted(jobs: Sequence[Job], out: Path, processes: int, bars: object) -> list[Path]:
        if jobs[0].loss == "coefficients":
            raise KeyboardInterrupt
        return [job.run(out) for job in jobs]

    def counted(*arguments: Any) -> Any:
        learned.append(arguments)
        return scene_components(*arguments)

    monkeypatch.setattr(evaluate, "scene_components", counted)
    options = [scan, "--out", tmp_path, "--epochs", "2", "--codebook", "sqrt-a", "--ratio"]
    assert run(*options, "288", jobs=interrupted)[0] == 130
    assert run(*options, "192", jobs=interrupted)[0] == 130
    assert len(learned) == 2
    assert run(*options, "288")[0] == 0
    assert len(learned) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "FILE or --phantom, one of the two"),
        (["a.cxi", "--phantom", "builtin"], "FILE or --phantom, one of the two"),
        (["missing.cxi"], "missing.cxi"),
        (["--phantom", "missing.npz"], "missing.npz"),
        (["a.cxi", "--quick"], "--quick: for --phantom"),
        (["a.cxi", "--photons", "1e6"], "--photons: for --phantom"),
        (["--phantom", "builtin", "--parameters", "b.h5"], "--parameters: for FILE"),
        (["a.cxi", "--tolerance", "-1"], "--tolerance"),
        (["a.cxi", "--ratio", "0"], "--ratio"),
        (["SCAN", "--codebook", "sqrt-z"], "--codebook sqrt-z: unknown codebook"),
        (["SCAN", "--codebook", "nearest-sqrt:scale=two"], "--codebook nearest-sqrt:scale=two"),
        (["SCAN", "--codebook", "noise-matched:gain=2"], "expected a codebook of photon counts"),
        (["SCAN", "--ratio", "577"], "--ratio 577: expected 1 to 576"),
        (["SCAN", "--count-bits", "7"], "--count-bits 7: the largest count needs"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(
    options: list[str], message: str, scan: Path, tmp_path: Path, run: Run
) -> None:
    chosen = [str(scan) if option == "SCAN" else option for option in options]
    status, out, err = run(*chosen, "--out", tmp_path / "new" / "out")
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert message in err
    assert not list(tmp_path.iterdir())
