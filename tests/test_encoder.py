# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import re
from pathlib import Path

import pytest
from ptychopress.hdl.encoder import ShiftEncoder, TableEncoder, ThresholdEncoder
from ptychopress.model.codebook import Codebook
from ptychopress.sim.coverage import Coverage
from ptychopress.sim.faults import FAULTS, one_a_test
from ptychopress.sim.run import REGRESSIONS, SIMULATORS, Simulator, run_bench

ENCODERS = (ShiftEncoder, TableEncoder, ThresholdEncoder)
BENCHES = [name for name, regression in REGRESSIONS.items() if regression.bench == "encoder"]
ENCODER_FAULTS = [name for name, fault in FAULTS.items() if fault.bench == "encoder"]
QUICK_FAULTS = one_a_test({name: FAULTS[name] for name in ENCODER_FAULTS})
# Each build of Verilator takes seconds: there one fault a kind must do.
# Everywhere each bench runs on one simulator: on Verilator what is slower to run than to build.
WIDE = ("shift-a", "shift-b", "shift-c", "threshold-8-bits", "threshold-9-bits")
ON_VERILATOR = ("wrong shift", "dropped beat", "tvalid falls", "no reset", "table early", "takes without a table")


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        pytest.param(name, simulator, marks=() if (simulator == "verilator") == (name in WIDE) else pytest.mark.slow)
        for name in BENCHES
        for simulator in SIMULATORS
    ],
    indirect=["simulator"],
)
def test_encoder_equals_codebook_under_any_pauses(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    result = REGRESSIONS[name].run(simulator, seed, tmp_path)
    assert result.passed, str(result)
    assert "octave" in result.coverage_path.read_text()
    benches = {test.partition("/")[0] for test in result.tests}
    assert benches - {"coverage"} <= {fault.test.partition("/")[0] for fault in FAULTS.values()}


@pytest.mark.simulator
@pytest.mark.parametrize("more", [2, 3])
@pytest.mark.parametrize("name", ["threshold-2-lanes", "threshold-no-preload"])
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_tables_change_under_other_pauses(name: str, simulator: Simulator, more: int, tmp_path: Path) -> None:
    result = REGRESSIONS[name].run(simulator, more, tmp_path)
    assert result.passed, str(result)


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        *(
            pytest.param(name, "icarus", marks=() if name in QUICK_FAULTS else pytest.mark.slow)
            for name in ENCODER_FAULTS
        ),
        *(pytest.param(name, "verilator", marks=pytest.mark.slow) for name in ON_VERILATOR),
    ],
    indirect=["simulator"],
)
def test_planted_fault_is_caught(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    assert (missed := FAULTS[name].missed(simulator, seed, tmp_path)) is None, missed


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_bench_without_pauses_misses_its_coverage(simulator: Simulator, seed: int, tmp_path: Path) -> None:
    block = ShiftEncoder(Codebook.named("sqrt-b", 8), lanes=2, input_bits=10)
    tests = ["back_pressure/source=never/sink=never", "coverage"]
    result = run_bench(block, "encoder", simulator=simulator, seed=seed, tests=tests, directory=tmp_path)
    assert [failure.test for failure in result.failures] == ["coverage"], str(result)
    assert re.search(r"bins not hit: states: .*\('wait', 'wait'\)", result.failures[0].message), str(result)


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_seed_repeats_a_run(simulator: Simulator, tmp_path: Path) -> None:
    fault = FAULTS["swapped lanes"]
    first, again, other = (
        run_bench(
            fault.block(),
            fault.bench,
            simulator=simulator,
            seed=seed,
            tests=[fault.test],
            directory=tmp_path / str(k),
        ).failures
        for k, seed in enumerate((7, 7, 8))
    )
    assert first == again
    assert first != other


def test_coverage_names_what_was_not_hit() -> None:
    coverage = Coverage("test")
    coverage.declare("fruit", ["apple", "pear"])
    coverage.declare("fruit", ["ignored: a point keeps its first bins"])
    coverage.hit("fruit", ["apple", "apple", "plum"])
    with pytest.raises(AssertionError, match=r"^bins not hit: fruit: pear$"):
        coverage.check()
    coverage.hit("fruit", ["pear"])
    coverage.check()


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("lanes", [0, -1, 1.5, "2", 1025])
def test_bad_lanes_are_refused(encoder: type[TableEncoder], lanes: int) -> None:
    with pytest.raises(ValueError, match=rf"lanes must be a whole number from 1 .*, got {lanes!r}"):
        encoder(Codebook.named("sqrt-b", 8), lanes=lanes)


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("bits", [7, 33, 8.0])
def test_bad_input_bits_are_refused(encoder: type[TableEncoder], bits: int) -> None:
    with pytest.raises(ValueError, match=f"input_bits must lie between the codebook's 8 and 32, got {bits}"):
        encoder(Codebook.named("sqrt-b", 8), input_bits=bits)


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("name", ["sqrt-b-zero", "nearest-sqrt", "script-2020-fine", "noise-matched"])
def test_shift_encoder_refuses_what_takes_more_than_shifts(name: str) -> None:
    with pytest.raises(ValueError, match=f"codebook {name} cannot be encoded by shifts"):
        ShiftEncoder(Codebook.named(name))
