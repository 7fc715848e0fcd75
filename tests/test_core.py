# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
from pathlib import Path

import pytest
from ptychopress.sim.core_faults import CORE_FAULTS
from ptychopress.sim.run import REGRESSIONS, Simulator

BENCHES = [name for name, regression in REGRESSIONS.items() if regression.bench == "core"]
QUICK = ("core-raw",)
QUICK_FAULTS = ("dropped frame untold",)


# On Verilator the build takes longer than the bench.
@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.parametrize("name", QUICK)
def test_bench(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    result = REGRESSIONS[name].run(simulator, seed, tmp_path)
    assert result.passed, str(result)


@pytest.mark.slow
@pytest.mark.simulator
@pytest.mark.parametrize("name", BENCHES)
def test_bench_of_all_modes(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    result = REGRESSIONS[name].run(simulator, seed, tmp_path)
    assert result.passed, str(result)


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK_FAULTS else pytest.mark.slow) for name in CORE_FAULTS]
)
def test_planted_fault_is_caught(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    assert (missed := CORE_FAULTS[name].missed(simulator, seed, tmp_path)) is None, missed
