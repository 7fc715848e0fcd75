# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import json
import re
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import ptychopress
import pytest
from command import complaint, run
from ptychopress.hdl.encoder import ShiftEncoder, ThresholdEncoder
from ptychopress.model.codebook import Codebook
from ptychopress.sim.run import GATE_LEVEL, REGRESSIONS, BenchResult, run_bench
from ptychopress.synth.equivalence import Equivalence
from ptychopress.synth.gates import asic_netlist, cell_models, ecp5_netlist
from ptychopress.synth.liberty import YOSYS_GATES, FlipFlop, Function, Library
from ptychopress.synth.prove import Claim, prove

LIBERTY = Path(ptychopress.__file__).parent.parent / "shared" / "data" / "liberty"
SG13G2 = LIBERTY / "sg13g2_stdcell_typ_1p20V_25C.lib.gz"
"""IHP's cells, on the machines that have them; they are no part of the repository."""

TARGETS = {"asic": asic_netlist, "ecp5": ecp5_netlist}


def tiny() -> ShiftEncoder:
    return ShiftEncoder(Codebook.named("sqrt-b", 5), input_bits=6)


def on_gates(block: Any, *tests: str, spoil: Any = None, target: str = "asic") -> BenchResult:
    def netlist(verilog: str, top: str) -> str:
        made = TARGETS[target](verilog, top)
        return made.text if spoil is None else replace(made, verilog=spoil(made.verilog)).text

    return run_bench(block, "encoder", simulator="icarus", tests=tests, netlist=netlist)


def stuck_input(verilog: str) -> str:
    return re.sub(r"\.D\(.*?\)", ".D(1'h1)", verilog, count=1)


def nor_for_nand(verilog: str) -> str:
    assert "$_NAND_" in verilog
    return verilog.replace("$_NAND_", "$_NOR_", 1)


QUICK = ("every_count", "throughput", "reset_mid_stream", "back_pressure/source=random/sink=random")


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.parametrize("target", ["asic", pytest.param("ecp5", marks=pytest.mark.slow)])
def test_a_netlist_passes_the_bench_of_its_rtl(simulator: str, target: str) -> None:
    result = on_gates(tiny(), *QUICK, target=target)
    assert result.passed and len(result.tests) == len(QUICK), str(result)


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.parametrize("spoil", [nor_for_nand, pytest.param(stuck_input, marks=pytest.mark.slow)])
def test_the_bench_catches_a_wrong_cell(simulator: str, spoil: Any) -> None:
    result = on_gates(tiny(), *QUICK, spoil=spoil)
    assert {failure.kind for failure in result.failures} == {"AssertionError"}, str(result)


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.parametrize("preload", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_only_what_needs_no_initial_values_works_on_silicon(simulator: str, preload: bool) -> None:
    block = ThresholdEncoder(Codebook.named("floor-sqrt", 4), preload=preload)
    result = on_gates(block, "every_count")
    if preload:
        assert "undefined bits beside tvalid" in result.failures[0].message, str(result)
    else:
        assert result.passed, str(result)


@pytest.mark.slow
@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.parametrize(
    "target",
    [
        *TARGETS,
        pytest.param(
            "sg13g2", marks=pytest.mark.skipif(not SG13G2.exists(), reason="no sg13g2 library on this machine")
        ),
    ],
)
@pytest.mark.parametrize("name", GATE_LEVEL)
def test_encoders_and_a_projector_as_gates(simulator: Any, name: str, target: str, seed: int, tmp_path: Path) -> None:
    library = Library.read(SG13G2) if target == "sg13g2" else YOSYS_GATES
    make = TARGETS.get(target, partial(asic_netlist, library=library))
    result = REGRESSIONS[name].run(simulator, seed, tmp_path, netlist=lambda verilog, top: make(verilog, top).text)
    assert result.passed, str(result)


@pytest.mark.parametrize("target", TARGETS)
def test_a_netlist_is_proven_to_be_its_rtl(target: str, tmp_path: Path) -> None:
    verdict = prove(Claim("tiny", partial(Equivalence, tiny, TARGETS[target]), "equivalence"), tmp_path)
    assert verdict.outcome == "proven", verdict


@pytest.mark.parametrize("spoil", [nor_for_nand, stuck_input])
def test_a_wrong_cell_is_refuted(spoil: Any, tmp_path: Path) -> None:
    def netlist(verilog: str, top: str) -> Any:
        made = asic_netlist(verilog, top)
        return replace(made, verilog=spoil(made.verilog))

    verdict = prove(Claim("spoilt", partial(Equivalence, tiny, netlist), "equivalence"), tmp_path)
    assert verdict.outcome == "refuted"
    assert re.search(r"an output differs in clock \d+, by inputs .*clock 0: ", verdict.detail)


def test_a_fault_that_only_shows_out_of_reset_is_refuted(tmp_path: Path) -> None:
    # With reset held, or held too long, nothing would be valid in either.
    def netlist(verilog: str, top: str) -> Any:
        made = asic_netlist(verilog, top)
        dead, number = re.subn(r"assign m_axis_tvalid = .*?;", "assign m_axis_tvalid = 1'h0;", made.verilog)
        assert number == 1
        return replace(made, verilog=dead)

    verdict = prove(Claim("dead", partial(Equivalence, tiny, netlist), "equivalence"), tmp_path)
    assert verdict.outcome == "refuted"
    # Reset in clock 0, a beat in clock 1; the encoder's latency is one clock.
    assert "an output differs in clock 2, " in verdict.detail
    assert re.search(r"clock 1: .*\bs_axis_tvalid\b", verdict.detail)


def test_an_unfinished_comparison_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ptychopress.synth.equivalence._TRIES", "print_stats")
    verdict = prove(Claim("idle", partial(Equivalence, tiny, asic_netlist), "equivalence"), tmp_path)
    assert verdict.outcome == "unknown"


@pytest.mark.parametrize(
    "text", ["A", "!A", "A'", "!(A&B)", "(A B)'", "A*B+C", "A^B^C", "!((A&!S)|(B&S))", "A' B + A B'", "1", "A&0"]
)
def test_a_function_in_verilog_is_the_function(text: str) -> None:
    function = Function(text)
    expression = function.verilog.replace("1'b", "")
    for values in product([False, True], repeat=len(function.inputs)):
        pins = dict(zip(function.inputs, map(np.bool_, values), strict=True))
        # In Python ~ sets the bits above too.
        assert eval(expression, {}, {pin: int(value) for pin, value in pins.items()}) & 1 == function(pins)


def test_flip_flops_are_read_and_written() -> None:
    text = """library (l) {
      cell (N) { area : 1; pin (Y) { direction : output; function : "!(A B)"; } }
      cell (I) { area : 1; pin (Y) { direction : output; function : "!A"; } }
      cell (B) { area : 1; pin (Y) { direction : output; function : "A"; } }
      cell (F) { area : 4; ff (IQ, IQN) { clocked_on : "!CK"; next_state : "(S T) + (S' D)"; clear : "R'"; }
        pin (Q) { direction : output; function : "IQ"; } pin (QN) { direction : output; function : "IQN"; } }
      cell (P) { area : 4; ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; preset : "S"; }
        pin (Q) { direction : output; function : "IQ"; } }
      cell (L) { area : 4; latch (IQ, IQN) { enable : "G"; data_in : "D"; }
        pin (Q) { direction : output; function : "IQ"; } }
    }"""
    library = Library.parse(text)
    flip_flop = library.cells["F"].flip_flop
    assert flip_flop == FlipFlop("IQ", "IQN", Function("!CK"), Function("(S T) + (S' D)"), Function("R'"))
    assert library.cells["L"].sequential and library.cells["L"].flip_flop is None
    model = cell_models(library, ["F"])
    assert "(input CK, input R, input S, input T, input D, output Q, output QN)" in model
    assert "if (IQ_clear) IQ <= 1'b0; else" in model
    assert "if (IQ_preset) IQ <= 1'b1; else" in cell_models(library, ["P"])
    with pytest.raises(RuntimeError, match="library l states no function of cell L: it cannot be simulated"):
        cell_models(library, ["F", "L"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gates", "asic", "--simulator", "verilator"], "--gates runs on icarus"),
        (["--liberty", "x.lib"], "goes with --gates asic"),
        (["--gates", "ecp5", "--liberty", "x.lib"], "goes with --gates asic"),
        (["--gates", "asic", "--liberty", "none.lib"], "none.lib: no such file"),
    ],
)
def test_bad_input_is_refused(arguments: list[str], message: str) -> None:
    assert message in complaint(run("sim", *arguments))


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.slow
def test_command_line(simulator: str) -> None:
    done = run("sim", "--gates", "asic", "--only", "shift-1-lane", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["passed"] and row["simulator"] == "icarus"
    assert tuple(run("sim", "--gates", "asic", "--list").stdout.split()) == GATE_LEVEL
