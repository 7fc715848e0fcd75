# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import json
import re
import sys
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ptychopress.cli import plan as cli_plan
from ptychopress.cli.main import main
from ptychopress.model.config import CoreConfig, Mode
from ptychopress.sim.core_model import BulkCore
from ptychopress.sim.soak import Soak, full_rate
from ptychopress.synth import asic
from ptychopress.synth.designs import design
from ptychopress.synth.plan import Impossible, Plan, Wish, propose
from ptychopress.synth.scaling import Fit, memory_bits, projector_terms, rest_terms
from script import benchmark


def wish(**changes: Any) -> Wish:
    return Wish(**({"height": 32, "width": 48, "rate": 1e5, "ratio": 64, "clock_mhz": 100, "count_bits": 10} | changes))


def config(lanes: int = 2, columns: int = 2, **changes: Any) -> CoreConfig:
    values = {
        "frame": {"height": 8, "width": 16, "count_bits": 10, "lanes": lanes},
        "projector": {"components": 5, "columns": columns},
        "output": {"modes": ["codes", "code-coefficients"]},
    }
    return CoreConfig.from_dict(values | changes)


PLANTED = Fit(
    "planted",
    {name: 1.0 + k for k, name in enumerate(projector_terms(config()))},
    {name: 10.0 + k for k, name in enumerate(rest_terms(config()))},
)


def varied() -> list[CoreConfig]:
    rng = np.random.default_rng(5)
    made = []
    for _ in range(40):
        lanes, columns = (int(1 << rng.integers(0, 4)) for _ in range(2))
        made.append(
            CoreConfig.from_dict(
                {
                    "frame": {"height": 64, "width": 16, "count_bits": int(rng.integers(6, 15)), "lanes": lanes},
                    "projector": {
                        "components": int(columns * rng.integers(1, 6)),
                        "columns": columns,
                        "weight_bits": int(rng.integers(4, 13)),
                    },
                    "output": {"modes": ["codes", "code-coefficients"] if rng.integers(2) else ["code-coefficients"]},
                    "protect": bool(rng.integers(2)),
                }
            )
        )
    return made


def test_a_fit_finds_what_was_planted() -> None:
    made = varied()
    areas = [PLANTED.area(config) for config in made]
    projectors = [(config, area["projector"]) for config, area in zip(made[:25], areas[:25], strict=True)]
    cores = [(config, sum(area.values())) for config, area in zip(made[:25], areas[:25], strict=True)]
    fit = Fit.of("fitted", projectors, cores)
    assert min(fit.projector.values()) >= 0
    for config, area in zip(made[25:], areas[25:], strict=True):
        for part, value in fit.area(config).items():
            assert value == pytest.approx(area[part], rel=1e-3)


def test_the_fit_does_not_guess() -> None:
    with pytest.raises(ValueError, match="no area of rice is known"):
        PLANTED.area(config(output={"modes": ["rice"]}))
    with pytest.raises(ValueError, match=r"encoder\.reloadable"):
        PLANTED.area(config(encoder={"reloadable": True}))


@pytest.mark.parametrize("protect", [pytest.param(False, marks=pytest.mark.slow), True])
def test_bits_of_memories_are_those_of_the_design(tmp_path: Path, protect: bool) -> None:
    made = config(lanes=4, columns=3, protect=protect)
    asic._read(design(made).component, 64, tmp_path)
    modules = json.loads((tmp_path / "memories.json").read_text())["modules"]

    def bits(module: str, place: str) -> dict[str, int]:
        found = {}
        for name, cell in modules[module]["cells"].items():
            if cell["type"] == "$mem_v2":
                found[f"{place}.{name}"] = asic._bits(cell)
            elif cell["type"] in modules:
                found |= bits(cell["type"], f"{place}.{name}")
        return found

    all_bits = bits("top", "")
    found = {
        name: sum(number for place, number in all_bits.items() if part in place)
        for name, part in (("weights", "memory.weights_"), ("frame buffer", "packetizer.buffer.memory"))
    }
    assert found == memory_bits(made)
    # Three columns of two banks of 32 beats in two rows; 4 weights of 8 bits, with 7 check bits.
    assert found["weights"] == 3 * 2 * 32 * 2 * (39 if protect else 32)


@pytest.mark.parametrize("changes", [{}, {"rate": 3e4}, {"rate": 1e6}, {"width": 40}, {"ratio": 7}, {"ratio": 1536}])
def test_a_plan_keeps_up_and_none_is_smaller(changes: dict[str, Any]) -> None:
    asked = wish(**changes)
    found = propose(asked, PLANTED)
    able = {}
    for lanes in (1, 2, 4, 8, 16, 32, 64):
        for columns in range(1, asked.components + 1):
            try:
                made = asked.config(lanes, columns)
            except ValueError:
                continue
            clocks = asked.height * asked.width // lanes * ceil(asked.components / columns)
            if clocks * asked.rate <= asked.clock_mhz * 1e6:
                able[lanes, columns] = sum(PLANTED.area(made).values())
    assert isinstance(found, Plan) == bool(able)
    if isinstance(found, Plan):
        assert found.frame_clocks * asked.rate <= asked.clock_mhz * 1e6 and found.rate >= asked.rate
        assert sum(found.area.values()) == pytest.approx(min(able.values()))


def test_too_fast_by_how_much() -> None:
    found = propose(wish(height=192, width=168, rate=1e6, ratio=100, clock_mhz=250), PLANTED)
    assert isinstance(found, Impossible)
    # 8 lanes divide a row of 168, 16 do not: 192 * 168 / 8 clocks, and 250 there are.
    assert (found.lanes, found.frame_clocks, found.clocks) == (8, 4032, 250)
    assert found.factor == pytest.approx(4032 / 250) and found.clock_mhz == pytest.approx(4032)
    assert found.rate == pytest.approx(250e6 / 4032)
    assert isinstance(propose(wish(height=192, width=168, rate=found.rate, ratio=100, clock_mhz=250), PLANTED), Plan)
    slightly = wish(height=192, width=168, rate=1.001 * found.rate, ratio=100, clock_mhz=250)
    assert isinstance(propose(slightly, PLANTED), Impossible)


def test_a_rate_is_a_clock_over_clocks() -> None:
    # All of which floating point rounds, some of them downwards.
    for clock in (25, 100, 250, 333):
        for clocks in range(1, 200_000, 37):
            assert wish(clock_mhz=clock, rate=clock * 1e6 / clocks).clocks == clocks
            assert wish(clock_mhz=clock, rate=1.000001 * clock * 1e6 / clocks).clocks == clocks - 1


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        # 250 clocks by 8 lanes are 2000 pixels: 11 rows of 168, and 17 parts of them are not all 192.
        ({"height": 192, "width": 168, "rate": 1e6, "ratio": 100, "clock_mhz": 250}, 18),
        # 3000 components are three times as many as columns; half the frame has half as many, in two phases of three.
        ({"height": 64, "width": 64, "ratio": 4096 / 3000, "clock_mhz": 100, "rate": 1e8 / (128 * 3 / 3)}, 2),
        # A row of 16 by 16 lanes would do, but has no clocks for header and CRC.
        ({"height": 8, "width": 16, "rate": 1e8, "ratio": 32}, None),
    ],
)
def test_rows_are_shared_by_so_many_cores(changes: dict[str, Any], parts: int | None) -> None:
    asked = wish(**changes)
    found = propose(asked, PLANTED)
    assert isinstance(found, Impossible) and found.parts == parts

    def keeps_up(cores: int) -> bool:
        rows = ceil(asked.height / cores)
        try:
            share = propose(wish(**changes | {"height": rows, "ratio": min(asked.ratio, rows * asked.width)}), PLANTED)
        except ValueError:
            return False
        return isinstance(share, Plan)

    able = [cores for cores in range(1, asked.height + 1) if keeps_up(cores)]
    assert (able[0] if able else None) == parts


def test_limits_hold(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def asked(pixels: str, rate: str, clock: str = "250") -> tuple[int, str]:
        common = ["plan", "--pixels", pixels, "--ratio", "100", "--rate", rate, "--clock", clock]
        return told(monkeypatch, capsys, *common)[:2]

    _, text = asked("191x167", "1e4")
    found = re.search(r"by 1 lane;.*Possible: ([\d,.]+) frames/s; or a clock of ([\d,.]+) MHz", text, re.DOTALL)
    assert found is not None, text
    rate, clock = (value.replace(",", "") for value in found.groups())
    assert float(rate) == pytest.approx(250e6 / 31897, rel=1e-4)
    assert asked("191x167", rate)[0] == 0 and asked("191x167", "1e4", clock)[0] == 0
    # 250 MHz over 4032 clocks, rounded up.
    _, text = asked("192x168", "62004")
    assert "5e-05 % too fast" in text and "Possible: 62,003 frames/s" in text
    assert (cli_plan._limit(4032.0, ceil), cli_plan._limit(0.0123456, floor)) == ("4,032", "0.012345")
    assert (cli_plan._limit(288358.4, ceil), cli_plan._limit(1.0, floor)) == ("288,359", "1")


def test_what_no_core_can_do_says_why() -> None:
    with pytest.raises(ValueError, match=r"frame\.height: a frame of 1 pixels"):
        propose(wish(height=1, width=1, ratio=1), PLANTED)
    with pytest.raises(ValueError, match="--ratio 2000: expected 1 to 1536, the pixels"):
        wish(ratio=2000)
    with pytest.raises(ValueError, match="--pixels 0x48: expected a row"):
        wish(height=0)
    with pytest.raises(FileNotFoundError, match=r"none.json: no such file, expected a fit"):
        Fit.read(Path("none.json"))
    with pytest.raises(ValueError, match="--rate -1"):
        wish(rate=-1)


@pytest.mark.parametrize(
    "found", [b"\xea", b"[]", b'{"fit": 3}', {"projector": {}}, {"rest": 3}, {"rest": {"constant": None}}]
)
def test_a_file_without_a_fit_is_refused(tmp_path: Path, found: bytes | dict[str, Any]) -> None:
    path = tmp_path / "fit.json"
    good = {"fit": PLANTED.to_dict()}
    path.write_text(json.dumps(good))
    assert Fit.read(path) == PLANTED
    path.write_bytes(found if isinstance(found, bytes) else json.dumps({"fit": good["fit"] | found}).encode())
    with pytest.raises(ValueError, match=r"fit\.json: expected a fit"):
        Fit.read(path)


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["ptychopress", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_the_plan_is_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "core.toml"
    common = ["plan", "--pixels", "8x16", "--rate", "1e6", "--ratio", "32", "--clock", "100", "--count-bits", "10"]
    status, text, _ = told(monkeypatch, capsys, *common, "--out", str(out), "--json")
    plan = json.loads(text)
    made = CoreConfig.read(out)
    assert status == 0 and json.loads(json.dumps(made.to_dict())) == plan["configuration"]
    assert made.frame.pixels == 128 and made.projector.components == 4 and plan["frame_clocks"] <= 100
    status, text, _ = told(monkeypatch, capsys, *common, "--target", "ice40")
    assert status == 0 and "lanes P" in text and "gate equivalents, all" in text and "assumed" not in text
    status, text, _ = told(monkeypatch, capsys, "plan", "--pixels", "8x16", "--rate", "1e5", "--ratio", "32")
    assert status == 0 and "100 MHz are assumed" in text
    assert told(monkeypatch, capsys, "verilog", "--config", str(out), "--out", str(tmp_path / "core"))[0] == 0
    assert (tmp_path / "core" / "core_8x16.v").exists()


def test_the_impossible_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["plan", "--pixels", "192x168", "--rate", "1e6", "--ratio", "100"]
    status, text, _ = told(monkeypatch, capsys, *common)
    assert status == 1 and "40.3 times too fast" in text and "4032 clocks at least, by 8 lanes" in text
    # 64 lanes would divide 192, but header and CRC have no clocks then in packets of codes.
    assert "by rows of 192 pixels it is 10.1 times too fast: 32 lanes" in text
    assert json.loads(told(monkeypatch, capsys, *common, "--json")[1])["possible"] is False
    status, _, error = told(monkeypatch, capsys, "plan", "--pixels", "192", "--rate", "1e6", "--ratio", "100")
    assert status == 2 and "--pixels 192: expected rows x pixels" in error


@pytest.mark.slow
@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["verilator"], indirect=True)
def test_the_core_takes_the_clocks_that_were_promised(simulator: str) -> None:
    found = propose(wish(height=8, width=16, rate=1e6, ratio=32), Fit.read())
    assert isinstance(found, Plan) and found.frame_clocks == 64
    with BulkCore(found.config) as core:
        assert Soak(core, 1).run(100, lambda _: None).passed
        assert set(full_rate(core)[Mode.CODE_COEFFICIENTS]) == {found.frame_clocks}


@pytest.fixture(scope="module")
def scaling() -> Any:
    return benchmark("scaling")


def test_held_out_configurations_are_predicted(
    scaling: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scaling.main([]) == 0
    assert "Target 15% held out: met" in capsys.readouterr().out
    stored = json.loads(scaling.STORE.read_text())
    again = scaling.fit_to(stored["areas"], stored["library"])
    assert again.projector == pytest.approx(stored["fit"]["projector"], rel=1e-6)
    assert again.rest == pytest.approx(stored["fit"]["rest"], rel=1e-6)
    name = scaling.key("projector", scaling.HELD_OUT["projector"][0])
    stored["areas"][name] *= 1.3
    (tmp_path / "planted.json").write_text(json.dumps(stored))
    assert scaling.main(["--store", str(tmp_path / "planted.json")]) == 1
    assert "missed" in capsys.readouterr().out
    del stored["areas"][name]
    (tmp_path / "planted.json").write_text(json.dumps(stored))
    assert scaling.main(["--store", str(tmp_path / "planted.json")]) == 2


@pytest.mark.slow
def test_a_stored_area_is_that_of_today(scaling: Any) -> None:
    stored = json.loads(scaling.STORE.read_text())
    values = scaling.FITTED["projector"][1]
    area = scaling.measured_area("projector", values, scaling.YOSYS_GATES)
    assert area == pytest.approx(stored["areas"][scaling.key("projector", values)], rel=0.02)
