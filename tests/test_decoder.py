# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
from pathlib import Path

import pytest
from ptychopress.hdl.decoder import ExpandDecoder
from ptychopress.model.codebook import Codebook
from ptychopress.sim.faults import FAULTS
from ptychopress.sim.run import REGRESSIONS, SIMULATORS, Simulator

BENCHES = [name for name, regression in REGRESSIONS.items() if regression.bench == "decoder"]
DECODER_FAULTS = [name for name, fault in FAULTS.items() if fault.bench == "decoder"]


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        pytest.param(name, simulator, marks=pytest.mark.slow if simulator == "verilator" else ())
        for name in BENCHES
        for simulator in SIMULATORS
    ],
    indirect=["simulator"],
)
def test_decoder_equals_levels_under_any_pauses(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    result = REGRESSIONS[name].run(simulator, seed, tmp_path)
    assert result.passed, str(result)
    assert "unknown" in result.coverage_path.read_text()
    benches = {test.partition("/")[0] for test in result.tests}
    assert benches - {"coverage"} <= {
        fault.test.partition("/")[0] for fault in FAULTS.values() if fault.bench == "decoder"
    }


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("name", "simulator"),
    [(name, "icarus") for name in DECODER_FAULTS] + [("wrong level", "verilator")],
    indirect=["simulator"],
)
def test_planted_fault_is_caught(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    assert (missed := FAULTS[name].missed(simulator, seed, tmp_path)) is None, missed


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("lanes", [0, -1, 1.5, 1025])
def test_bad_lanes_are_refused(lanes: int) -> None:
    with pytest.raises(ValueError, match=rf"lanes must be a whole number from 1 .*, got {lanes!r}"):
        ExpandDecoder(Codebook.named("sqrt-b", 8), lanes=lanes)


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("bits", [-1, 17])
def test_bad_fraction_bits_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match=f"fraction_bits must lie between 0 and 16, got {bits}"):
        ExpandDecoder(Codebook.named("sqrt-b", 8), fraction_bits=bits)
