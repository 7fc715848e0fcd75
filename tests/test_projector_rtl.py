# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import re
from pathlib import Path
from typing import Any

import pytest
from ptychopress.hdl.code_projector import CodeProjector
from ptychopress.hdl.encoder import ShiftEncoder
from ptychopress.hdl.projector import Projector
from ptychopress.model.codebook import Codebook
from ptychopress.model.projection import ProjectionFormat
from ptychopress.sim.faults import FAULTS, one_a_test
from ptychopress.sim.run import REGRESSIONS, Simulator, run_bench

SIZE = ProjectionFormat(pixels=5, components=5, input_bits=4, weight_bits=4, output_bits=6)
BENCHES = [name for name, regression in REGRESSIONS.items() if regression.bench == "projector"]
PROJECTOR_FAULTS = [name for name, fault in FAULTS.items() if fault.bench == "projector"]
QUICK_FAULTS = one_a_test({name: FAULTS[name] for name in PROJECTOR_FAULTS})
# Each build of Verilator takes seconds: there some sizes and one fault a kind must do; `ptychopress sim` runs them all.
SIZES_ON_VERILATOR = ("projector-14x12", "projector-table-codes")
FAULTS_ON_VERILATOR = ("old weights",)


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        *(
            pytest.param(name, "icarus", marks=pytest.mark.slow if name in SIZES_ON_VERILATOR else ())
            for name in BENCHES
        ),
        *((name, "verilator") for name in SIZES_ON_VERILATOR),
    ],
    indirect=["simulator"],
)
def test_projector_equals_projection_under_any_pauses(
    name: str, simulator: Simulator, seed: int, tmp_path: Path
) -> None:
    result = REGRESSIONS[name].run(simulator, seed, tmp_path)
    assert result.passed, str(result)
    assert "last_word" in result.coverage_path.read_text()
    benches = {test.partition("/")[0] for test in result.tests}
    caught = {fault.test.partition("/")[0] for fault in FAULTS.values() if fault.bench == "projector"}
    assert benches - {"coverage"} <= caught


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        *(
            pytest.param(name, "icarus", marks=() if name in QUICK_FAULTS else pytest.mark.slow)
            for name in PROJECTOR_FAULTS
        ),
        *(pytest.param(name, "verilator", marks=pytest.mark.slow) for name in FAULTS_ON_VERILATOR),
    ],
    indirect=["simulator"],
)
def test_planted_fault_is_caught(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    assert (missed := FAULTS[name].missed(simulator, seed, tmp_path)) is None, missed


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_bench_without_pauses_misses_its_coverage(simulator: Simulator, seed: int, tmp_path: Path) -> None:
    tests = ["back_pressure/source=never/sink=never", "coverage"]
    block = Projector(SIZE, lanes=2, columns=2)
    result = run_bench(block, "projector", simulator=simulator, seed=seed, tests=tests, directory=tmp_path)
    assert [failure.test for failure in result.failures] == ["coverage"], str(result)
    assert re.search(r"bins not hit: states: .*\('wait', 'wait'\)", result.failures[0].message), str(result)


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("name", ["lanes", "columns"])
@pytest.mark.parametrize("number", [0, -1, 1.5, "2", 1025])
def test_bad_lanes_and_columns_are_refused(name: str, number: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be a whole number from 1 .*, got {number!r}"):
        Projector(SIZE, **{name: number})


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize(
    ("lanes", "code_bits", "message"),
    [
        (4, 4, "the encoder has 4 lanes, the projector 2"),
        (2, 8, "codes of sqrt-b have 5 bits, the projector takes 4"),
    ],
)
def test_encoder_and_projector_that_do_not_fit_are_refused(lanes: int, code_bits: int, message: str) -> None:
    encoder = ShiftEncoder(Codebook.named("sqrt-b", code_bits), lanes=lanes)
    with pytest.raises(ValueError, match=message):
        CodeProjector(encoder, Projector(SIZE, lanes=2, columns=2))
