# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ptychopress.cli import main, sim
from ptychopress.hdl.verilog import verilog_text
from ptychopress.model.codebook import Codebook
from ptychopress.model.config import CoreConfig, Mode
from ptychopress.model.core import Core
from ptychopress.model.secded import Secded
from ptychopress.sim import soak
from ptychopress.sim.core_faults import CORE_FAULTS
from ptychopress.sim.core_model import BulkCore, Frame, core_verilog
from ptychopress.sim.core_upsets import CoreUpsets
from ptychopress.sim.soak import ENDS, SMALL, Soak, full_rate
from ptychopress.sim.upsets import drawn, every

# Each builds a compiled model, which takes longer than what is asked of it.
pytestmark = [pytest.mark.simulator, pytest.mark.slow]


@pytest.fixture(scope="module")
def verilog() -> str:
    return core_verilog(SMALL)


@pytest.fixture(scope="module")
def core(verilog: str) -> BulkCore:
    return BulkCore(SMALL, verilog, optimise=0, memories=True)


@pytest.fixture(scope="module")
def upsets(verilog: str) -> CoreUpsets:
    return CoreUpsets(SMALL, verilog, optimise=0)


def test_soak_and_full_rate(core: BulkCore) -> None:
    with core:
        result = Soak(core, seed=1).run(224)
        assert result.passed, (result.mismatches[:3], result.complaints)
        assert result.frames == result.modes.total() == result.ends.total() == 224
        assert set(result.modes) == {mode.label for mode in Mode}
        assert set(result.ends) == set(ENDS)
        assert result.changes > 150 and set(result.tables) == {"thresholds", "weights"}
        beats = SMALL.frame.beats
        for mode, clocks in full_rate(core).items():
            # Five components, three at a time.
            assert clocks == [beats * 2 if mode.projects else beats] * 8, mode.label


def test_another_seed_gives_other_frames(core: BulkCore) -> None:
    runs = []
    for seed in (1, 2, 1):
        with core:
            runs.append(Soak(core, seed).run(20))
    assert runs[0].octets == runs[2].octets != runs[1].octets
    assert runs[0].clocks == runs[2].clocks


def test_soak_notices_a_wrong_model(core: BulkCore) -> None:
    with core:
        run = Soak(core, seed=1)
        run.model = Core(SMALL, Codebook.from_edges([*range(31), 200, 256]))
        result = run.run(32)
    assert not result.passed
    assert {found.mode for found in result.mismatches} <= {"codes", "zeromask", "rice", "code-coefficients"}


def test_soak_notices_bits_beyond_the_code(upsets: CoreUpsets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three wrong bits in a word may pass for one: the packets are wrong, and only the comparison knows."""
    draw = soak.draw_counts
    with upsets as bench:
        # Of each threshold, whatever is in force.
        for memory in bench.memories["thresholds"]:
            for word in range(memory.words):
                for bit in (0, 1, 2):
                    memory.flip(word, bit)
        monkeypatch.setattr(soak, "draw_counts", lambda rng, pixels, bits: np.maximum(draw(rng, pixels, bits), 1))
        run = Soak(bench.core, seed=1)
        run.run(32)
    assert run.result.mismatches or run.result.complaints


@pytest.mark.slow
@pytest.mark.parametrize("name", ["last beat clips alone", "saturation forgotten", "mode of the frame before"])
def test_soak_notices_a_planted_fault(name: str) -> None:
    block = CORE_FAULTS[name].block()
    with BulkCore(block.config, verilog_text(block, block.config.name), optimise=0) as core:
        assert not Soak(core, seed=1).run(200).passed


def test_lost_packets_are_no_success(core: BulkCore) -> None:
    with core:
        frame = Frame(np.zeros(SMALL.frame.pixels, np.uint16), Mode.RAW)
        core.send([frame])
        with pytest.raises(RuntimeError, match="stuck"):
            core.drain(2)
        core.send([frame, frame])
        with pytest.raises(RuntimeError, match="more than the 1 packets"):
            core.drain(1, silent=2000)


def stored_bits(part: str) -> int:
    """Bits of a table in force, with their check bits."""
    size, book = SMALL.projection, SMALL.codebook
    match part:
        case "thresholds":
            return ((1 << book.code_bits) - 1) * Secded(book.count_bits).word_bits
        case "weights":
            return size.components * size.pixels * Secded(size.weight_bits).word_bits
        case "preload":
            return size.components * Secded(size.bias_format.bits).word_bits
        case _:
            return size.components * Secded(size.largest_shift.bit_length()).word_bits


@pytest.mark.parametrize("everything", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_any_single_upset_of_the_core_is_corrected(upsets: CoreUpsets, everything: bool) -> None:
    rng = np.random.default_rng(3)
    with upsets as bench:
        assert set(bench.memories) == {"thresholds", "weights", "preload", "shift"}
        for bank in range(1 + everything):
            for part, found in bench.memories.items():
                tally = bench.campaign(part, lambda found: every(found) if everything else drawn(found, 60, rng))
                assert tally.outcomes.keys() == {"corrected", "unused"}, (part, bank, tally.examples)
                if everything:
                    assert tally.outcomes["corrected"] == stored_bits(part), (part, bank)
                    assert tally.outcomes.total() == sum(memory.words * memory.bits for memory in found)
            bench.load()


def test_thresholds_beyond_repair_are_flagged_in_every_mode_that_has_codes(upsets: CoreUpsets) -> None:
    rng = np.random.default_rng(4)
    with upsets as bench:
        for mode in Mode:
            tally = bench.campaign("thresholds", lambda found: drawn(found, 12, rng, 2), mode)
            # The encoder reports an upset in any mode; only packets of codes are wrong for it.
            assert tally.outcomes.keys() <= {"flagged", "unused"}, (mode, tally.examples)
            coded = mode not in (Mode.RAW, Mode.COUNT_COEFFICIENTS)
            assert ("flagged" in tally.outcomes) == coded, (mode, tally.examples)


def test_pairs_of_bits_are_flagged(upsets: CoreUpsets) -> None:
    rng = np.random.default_rng(5)
    with upsets as bench:
        for part in bench.memories:
            tally = bench.campaign(part, lambda found: drawn(found, 25, rng, 2))
            assert tally.outcomes.keys() == {"flagged", "unused"}, (part, tally.examples)


@pytest.mark.slow
def test_a_table_that_is_wired_in_is_protected_too() -> None:
    # Of codes of 4 bits 15 thresholds stand in memories of two banks; only one is ever read.
    encoder, output = {"codebook": "nearest-sqrt", "parameters": {"scale": 0.9}}, {"modes": ["codes"]}
    config = CoreConfig.from_dict(SMALL.to_dict() | {"name": "wired", "encoder": encoder, "output": output})
    book = config.codebook
    with CoreUpsets(config, optimise=0) as bench:
        assert set(bench.memories) == {"thresholds"}
        single = bench.campaign("thresholds", every)
        bits = ((1 << book.code_bits) - 1) * Secded(book.count_bits).word_bits
        assert single.outcomes["corrected"] == bits and single.outcomes.keys() <= {"corrected", "unused"}
        double = bench.campaign("thresholds", lambda found: every(found, 2))
        assert double.outcomes["flagged"] > 0 and double.outcomes.keys() <= {"flagged", "unused"}


@pytest.mark.slow
def test_without_protection_frames_are_silently_wrong() -> None:
    rng = np.random.default_rng(6)
    with CoreUpsets(replace(SMALL, protect=False), optimise=0) as bench:
        assert set(bench.memories) == {"thresholds", "weights", "preload", "shift"}
        for part in bench.memories:
            tally = bench.campaign(part, lambda found: drawn(found, 60, rng))
            assert tally.outcomes.keys() == {"silent", "unused"}, (part, tally.examples)


def test_command(
    verilog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[CoreConfig] = []

    def small(config: CoreConfig) -> BulkCore:
        made.append(config)
        return BulkCore(SMALL, verilog, optimise=0, memories=True)

    monkeypatch.setattr("ptychopress.sim.core_model.BulkCore", small)
    sim.sim(soak=64, seed=3, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] and found["frames"] == 64 and found["clocks_a_frame"]["raw"] == [40] * 8
    sim.sim(soak=3, config="cell-72")
    assert "3 frames" in capsys.readouterr().out
    assert made == [SMALL, CoreConfig.named("cell-72")]
    for arguments, message in (
        (["--soak", "3", "--only", "core"], "--only"),
        (["--config", "cell-72"], "--config"),
        (["--soak", "3", "--config", "nothing"], "configuration 'nothing'"),
        (["--soak", "3", "--config", str(tmp_path / "none.toml")], "no such file"),
    ):
        monkeypatch.setattr("sys.argv", ["ptychopress", "sim", *arguments])
        with pytest.raises(SystemExit) as left:
            main.main()
        assert left.value.code == 2
        assert message in capsys.readouterr().err
