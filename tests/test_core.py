# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import re
from pathlib import Path

import pytest
from ptychopress.sim.core_faults import CORE_FAULTS
from ptychopress.sim.run import REGRESSIONS, Simulator, run_bench

BENCHES = [name for name, regression in REGRESSIONS.items() if regression.bench == "core"]
QUICK = ("core-raw",)
QUICK_FAULTS = ("dropped frame untold",)


@pytest.mark.simulator
@pytest.mark.parametrize("name", QUICK)
def test_bench(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    if simulator == "verilator":
        pytest.skip("its build takes longer than the bench; the slow tests run it")
    result = REGRESSIONS[name].run(simulator, seed, tmp_path)
    assert result.passed, str(result)


@pytest.mark.slow
@pytest.mark.simulator
@pytest.mark.parametrize("name", BENCHES)
def test_bench_of_all_modes(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    result = REGRESSIONS[name].run(simulator, seed, tmp_path)
    assert result.passed, str(result)


@pytest.mark.simulator
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK_FAULTS else pytest.mark.slow) for name in CORE_FAULTS]
)
def test_bench_notices(name: str, tmp_path: Path) -> None:
    fault = CORE_FAULTS[name]
    result = run_bench(fault.block(), "core", simulator="icarus", tests=(fault.test,), directory=tmp_path)
    found = [failure for failure in result.failures if failure.kind == "AssertionError"]
    assert any(re.search(fault.message, failure.message) for failure in found), str(result)
