# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from ptychopress.hdl.encoder import ShiftEncoder
from ptychopress.model.codebook import Codebook
from ptychopress.sim.mutants import run_mutants
from ptychopress.sim.run import Failure, Simulator, top_of
from ptychopress.synth.mutation import Mutants, equal, plant
from script import benchmark


class Redundant(wiring.Component):
    """Some faults of `inner` are hidden by `plain`, some of `late` by `o_valid`, which says when `o_data` counts."""

    def __init__(self) -> None:
        super().__init__({**dict.fromkeys("abc", In(1)), **dict.fromkeys(("o_valid", "o_data", "plain"), Out(1))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        a, b, c = self.a, self.b, self.c
        wires = {name: Signal(name=name) for name in GATES}
        for name, (operation, inputs) in GATES.items():
            operands = [{"a": a, "b": b, "c": c, **wires}[one] for one in inputs]
            m.d.comb += wires[name].eq(operation(*operands))
        m.d.comb += [self.o_valid.eq(wires["both"]), self.o_data.eq(wires["data"]), self.plain.eq(wires["sum"])]
        return m


GATES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "both": (lambda x, y: x & y, ("a", "b")),
    "within": (lambda x, y: x & y, ("b", "c")),
    "inner": (lambda x, y: x & y, ("a", "within")),
    "sum": (lambda x, y: x | y, ("both", "inner")),
    "late": (lambda x, y: x & y, ("c", "unlike")),
    "unlike": (lambda x, y: x ^ y, ("both", "b")),
    "data": (lambda x, y: x | y, ("a", "late")),
}
FAULTS = {"inv": lambda bit: 1 - bit, "const0": lambda bit: 0, "const1": lambda bit: 1}


def outputs(bits: tuple[int, ...], fault: tuple[str, str, str] | None = None) -> tuple[int, ...]:
    """What a stream's other side sees of `Redundant`, with a fault of a gate's port A, B or Y."""
    values = dict(zip("abc", bits, strict=True))

    def seen(gate: str, port: str, bit: int) -> int:
        return FAULTS[fault[2]](bit) if fault and fault[:2] == (gate, port) else bit

    def value(name: str) -> int:
        if name not in values:
            operation, inputs = GATES[name]
            operands = [seen(name, port, value(one)) for port, one in zip("AB", inputs, strict=True)]
            values[name] = seen(name, "Y", operation(*operands))
        return values[name]

    return value("sum"), value("both"), value("data") & value("both")


@pytest.fixture(scope="module")
def redundant() -> Mutants:
    return plant(Redundant(), 200, seed=1)


def invisible(mutants: Mutants) -> dict[int, bool]:
    """By number, whether nobody can see the fault: found by trying all inputs."""
    cells = sorted({mutation.cell for mutation in mutants.mutations}, key=lambda cell: int(cell[1:]))
    # Amaranth numbers the gates as they are written down.
    gate = dict(zip(cells, GATES, strict=True))
    inputs = list(product((0, 1), repeat=3))
    right = [outputs(bits) for bits in inputs]
    return {
        mutation.number: [outputs(bits, (gate[mutation.cell], mutation.port, mutation.mode)) for bits in inputs]
        == right
        for mutation in mutants.mutations
    }


def test_every_bit_is_wrong_in_every_way_once(redundant: Mutants) -> None:
    planted = [(mutation.cell, mutation.port, mutation.mode) for mutation in redundant.mutations]
    # Of a gate's two inputs and its output, of one bit each.
    assert len(planted) == len(set(planted)) == len(GATES) * 3 * len(FAULTS)
    assert [mutation.number for mutation in redundant.mutations] == list(range(1, len(planted) + 1))
    assert {source for mutation in redundant.mutations for source in mutation.sources} >= {"tests/test_mutation.py:43"}
    assert f"input [{redundant.select_bits - 1}:0] mutant;" in redundant.verilog


def test_a_seed_plants_the_same_mutants() -> None:
    first, again, other = (plant(Redundant(), 9, seed).mutations for seed in (1, 1, 2))
    assert first == again and first != other


@pytest.mark.parametrize("share", [pytest.param(9, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)])
def test_a_mutant_is_proven_equal_if_nobody_can_see_it(redundant: Mutants, share: int) -> None:
    truth = invisible(redundant)
    hidden = [number for number, same in truth.items() if same]
    shown = [number for number, same in truth.items() if not same]
    assert len(hidden) > 9 and len(shown) > 27
    for number in (*hidden[::share], *shown[:: 3 * share]):
        assert equal(redundant, number) == ("equal" if truth[number] else "different"), redundant.mutations[number - 1]


def test_the_block_itself_is_equal(redundant: Mutants) -> None:
    assert equal(redundant, 0) == "equal"


class Late(wiring.Component):
    """A count that nobody has reset, and whose highest bit shows after four clocks alone."""

    def __init__(self) -> None:
        super().__init__({"seen": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        count = Signal(3)
        with m.If(~count[2]):
            m.d.sync += count.eq(count + 1)
        m.d.comb += self.seen.eq(count[2])
        return m


def test_mutants_differ_however_late() -> None:
    mutants = plant(Late(), 200)
    stuck = [
        mutation.number
        for mutation in mutants.mutations
        if (mutation.mode, mutation.port, mutation.bit) == ("const0", "Q", 2)
    ]
    assert [equal(mutants, number) for number in stuck] == ["different"]


def encoder() -> ShiftEncoder:
    return ShiftEncoder(Codebook.named("sqrt-b", 4))


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_bench_kills_mutants_that_differ(simulator: Simulator, tmp_path: Path) -> None:
    mutants = plant(top_of(encoder()), 8, seed=1)
    numbers = range(len(mutants.mutations) + 1)
    found = run_mutants(mutants.verilog, encoder(), "encoder", numbers, tmp_path)
    assert list(found) == list(numbers) and found[0] is None
    killed = [number for number, failure in found.items() if failure is not None]
    assert len(killed) >= 6
    # A bench that failed on a mutant that is none would be wrong itself.
    assert [equal(mutants, number) for number in killed[:2]] == ["different"] * 2


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_a_mutant_that_hangs_is_killed(simulator: Simulator, tmp_path: Path) -> None:
    mutants = plant(top_of(encoder()), 1, seed=1)
    loop = "reg spin = 0; always @* if (mutant == 1) forever spin = ~spin;"
    spoilt = mutants.verilog.replace("endmodule", f"{loop}\nendmodule", 1)
    found = run_mutants(spoilt, encoder(), "encoder", [0, 1], tmp_path, tests=["capacity"], seconds=4)
    assert found[0] is None
    assert found[1] is not None and found[1].kind == "hang"


def test_campaign_keeps_only_what_holds_for_this_rtl(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = benchmark("mutation")
    path = tmp_path / "results.jsonl"
    common = {"target": "encoder/shift", "count": 3, "mutation": "inv here", "proof": "different"}
    rows = [
        common | {"key": "old", "number": 1, "outcome": "survived"},
        common | {"key": "new", "number": 1, "outcome": "killed"},
        common | {"key": "new", "number": 2, "outcome": "equal"},
        common | {"key": "new", "number": 3, "outcome": "survived"},
        common | {"key": "new", "number": 1, "outcome": "killed", "count": 9},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = campaign.current(path, {"encoder/shift": 3})
    assert found == rows[1:4]
    campaign.show(found, {"encoder/shift": 3})
    said = capsys.readouterr().out
    assert "| encoder/shift | 3 | 3 | 1 | 1 | 1 | 50.0% |" in said
    assert "survived, different: encoder/shift 3: inv here" in said


def test_campaign_stops_if_the_block_itself_fails(redundant: Mutants) -> None:
    campaign = benchmark("mutation")
    assert campaign.judged(redundant, 0, None) == {"outcome": "healthy"}
    with pytest.raises(ValueError, match="the block itself fails its bench"):
        campaign.judged(redundant, 0, Failure("capacity", "AssertionError", "full"))


def test_campaign_is_large_enough() -> None:
    assert sum(target.mutants for target in benchmark("mutation").TARGETS.values()) >= 300


def test_verdicts_of_mutmut_are_read() -> None:
    text = (
        "    ptychopress.model.rice.x_f__mutmut_3: survived\n"
        "    ptychopress.model.rice.x_f__mutmut_13: killed\n"
        "    ptychopress.model.rice.x_f__mutmut_14: survived\n"
        "    ptychopress.model.rice.x_f__mutmut_7: no tests\n"
        "    ptychopress.model.rice.x_f__mutmut_23: not checked\n"
    )
    models = benchmark("model_mutation")
    assert list(models.verdicts(text, "37").values()) == ["survived", "killed", "no tests"]
    assert models.left(text, "37") == ["ptychopress.model.rice.x_f__mutmut_23"]


def test_what_the_models_tests_read_is_laid_out(tmp_path: Path) -> None:
    benchmark("model_mutation").lay_out(tmp_path, "packet")
    for name in ("docs/packet.md", "benchmarks/fuzz_packets.py", "model/registers.rdl"):
        assert (tmp_path / "ptychopress" / name).exists(), name
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "tests/test_packet.py"]
    environment = os.environ | {"PYTHONPATH": "."}
    collected = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert collected.returncode == 0, collected.stdout


@pytest.mark.slow
def test_mutmut_finds_its_way_in_this_layout(tmp_path: Path) -> None:
    pytest.importorskip("mutmut", reason="pip install 'mutmut>=3.8,<4'")
    models = benchmark("model_mutation")
    models.lay_out(tmp_path, "fixed")
    models.mutmut(tmp_path, "run", "--max-children", "1", "ptychopress.model.fixed.*__mutmut_*7")
    found = models.verdicts(models.mutmut(tmp_path, "results", "--all", "true"), "7")
    assert len(found) > 10 and "no tests" not in found.values()
    assert sum(verdict == "killed" for verdict in found.values()) > 0.8 * len(found)
