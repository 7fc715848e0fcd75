# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ptychopress.cli.synth import FORMAT
from ptychopress.model.config import CoreConfig
from ptychopress.model.tile import TileConfig
from ptychopress.synth.result import Resources, Result
from script import benchmark


@pytest.fixture(scope="module")
def named() -> Any:
    return benchmark("named")


TILE = Result(
    design="inpixel_tile",
    configuration=TileConfig.named("inpixel-tile").to_dict(),
    target="asic cells",
    tools={"path by": "OpenSTA 2"},
    area=2_560_000.0,
    gate_equivalents=256_000.0,
    path_ns=10.0,
    frame_clocks={"coefficients": 1},
)
CORE = Result(
    design="mhz_192x168",
    configuration=CoreConfig.named("mhz-192x168").to_dict(),
    target="asic cells",
    tools={"path by": "abc, sta failed: x"},
    area=4e6,
    gate_equivalents=480_000.0,
    memory_bits={"payloads.projector.memory.weights_0.words": 700, "packetizer.buffer": 5},
    path_ns=8.0,
)
BOARD = replace(CORE, target="ecp5 85k", area=None, gate_equivalents=None, memory_bits={}, tools={}, path_ns=None)
BOARD = replace(BOARD, resources=Resources(lut=100, dsp=480), capacity=Resources(lut=200, dsp=156))


def stored(path: Path, *runs: Result) -> str:
    path.write_text(
        json.dumps({"format": FORMAT, "runs": {f"{run.design} {run.target}": run.to_dict() for run in runs}})
    )
    return str(path)


def test_tables_of_what_was_synthesised(named: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = stored(tmp_path / "named.json", TILE, CORE, BOARD)
    assert named.main([store, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    core, tile = told["standard cells"]
    assert (core["configuration"], core["GE"], core["memory bits"], core["MHz"]) == ("mhz-192x168", 480_000, 705, 125)
    assert core["path by"] == "abc" and tile["cells/mm2"] == 2.56
    assert [(row["DSP"], row["fits"], row["MHz"]) for row in told["ecp5"]] == [(480, "no", None)]
    # 60 coefficients of 16 bits for 32,256 counts of 10; all 60 columns at once, 8 pixels a clock.
    (row,) = (row for row in told["frames"] if row["mode"] == "code-coefficients" and row["frames/s"])
    assert (row["clocks"], row["frames/s"], row["bits out"], row["ratio"]) == (4032, round(125e6 / 4032), "960", "336")
    beside = told["beside Rasheedi et al."]
    assert beside["multipliers"] == 480 and beside["weight memory, bits"] == 700
    assert beside["GE a multiplier, whole core"] == 1000 and beside["multiplications a frame"] == 32_256 * 60
    beside = told["beside AI-In-Pixel-65"]
    assert beside["GE a pixel"] == 1000 and beside["side of a square of that, um"] == 100
    assert beside["times 100,000 samples/s"] == pytest.approx(1000)


def test_what_is_missing_or_of_another_day_is_named(
    named: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = replace(TILE, configuration=TILE.configuration | {"components": 4})
    assert named.main([stored(tmp_path / "named.json", CORE, old)]) == 0
    text = capsys.readouterr().out
    assert "| mhz-192x168 | asic cells | 480,000 |" in text and "beside AI" not in text
    assert "inpixel-tile: not synthesised in standard cells" in text and "cell-72: not synthesised" in text
    assert named.main([str(tmp_path / "none.json")]) == 2
    assert "none.json: no such file, expected results of ptychopress synth" in capsys.readouterr().err
