# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from ptychopress.cli.coverage import JSON_FILE, TEXT_FILE, report
from ptychopress.hdl.encoder import ShiftEncoder
from ptychopress.model.codebook import Codebook
from ptychopress.sim.code_coverage import (
    COVERAGE_FILE,
    FUNCTIONAL_FILE,
    VERILOG_FILE,
    Line,
    Waiver,
    merged,
    read_counts,
    run_coverage,
    stale,
)
from ptychopress.sim.run import Simulator, run_bench

VERILOG = r"""
module \dut.block (clk, go);
  always @(posedge clk)
    \level  <= \$41 ;
  always @* begin
    if (\$auto$verilog_backend.cc:2355:dump_module$1 ) begin end
    \$41  = 3'h1;
    if (\$5 ) begin
      \$41  = 3'h2;
    end
  end
  assign \$5  = go != 3'h2;
  assign idle = go ? 1'h0 : 1'h1;
endmodule
"""
# Whatever the width of `go`, and the number of what has no name.
PLANTED = Line("dut.block level", "if", "if ((go != #)) begin")
OTHER_SIZE = VERILOG.replace("3'h2", "7'h55").replace(r"\$5 ", r"\$17 ").replace(r"\$41", r"\$99")


def point(page: str, line: int, what: str, count: int, hierarchy: str = "dut.block") -> str:
    """A line of a coverage file."""
    fields = {"f": "dut.v", "l": line, "n": 3, "page": f"{page}/dut.block", "o": what, "h": hierarchy}
    return "C '" + "".join(f"\1{name}\2{value}" for name, value in fields.items()) + f"' {count}\n"


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    """What a run leaves: a line and two bits that nothing moved."""
    directory = tmp_path / "planted"
    directory.mkdir()
    (directory / VERILOG_FILE).write_text(VERILOG)
    points = [
        point("v_line", 5, "block", 7),
        point("v_branch", 6, "if", 0),
        point("v_branch", 6, "else", 7),
        point("v_branch", 8, "if", 0),
        point("v_branch", 8, "else", 7),
        point("v_branch", 13, "cond_then", 3),
        point("v_branch", 13, "cond_else", 4),
        *(point("v_toggle", 3, f"a___05Fb__02ec[{bit}]:0->1", bit // 2) for bit in range(4)),
        *(point("v_toggle", 3, f"a___05Fb__02ec[{bit}]:1->0", 1) for bit in range(4)),
        point("v_toggle", 2, "go:0->1", 0),
        point("v_toggle", 2, "go:1->0", 2),
    ]
    (directory / COVERAGE_FILE).write_text("# SystemC::Coverage-3\n" + "".join(points))
    (directory / FUNCTIONAL_FILE).write_text(json.dumps({"states": {"idle": 3, "wait": 0}}))
    return directory


def test_counts_of_a_point_add_up(tmp_path: Path) -> None:
    path = tmp_path / COVERAGE_FILE
    path.write_text("# SystemC::Coverage-3\n" + point("v_line", 5, "block", 2) + point("v_line", 5, "block", 3))
    [(fields, count)] = read_counts(path).items()
    assert dict(fields)["l"] == "5" and count == 5


@pytest.mark.parametrize(
    ("text", "what"),
    [("", "no coverage file"), ("# SystemC::Coverage-3\nC 'x'\n", r"line 2: expected C '\.\.\.' COUNT")],
)
def test_another_file_is_refused(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / COVERAGE_FILE).write_text(text)
    with pytest.raises(ValueError, match=what):
        read_counts(tmp_path / COVERAGE_FILE)


def test_what_was_not_reached_is_named(run_directory: Path) -> None:
    found = run_coverage("planted", "encoder", run_directory)
    # Yosys' own line counts neither as a line nor as missed.
    assert len(found.lines) == 5 and found.numbers[PLANTED] == 8
    assert [line for line, count in found.lines.items() if not count] == [PLANTED]
    assert (found.toggles, found.toggled) == (10, 7)
    assert found.untoggled == ("dut.block a__b.c: no 0->1 [1:0]", "dut.block go: no 0->1")


def test_what_is_read_of_a_memory_has_the_name_of_where_it_goes(run_directory: Path) -> None:
    lines = ["if (go) begin", "  _203_ <= store[place];", "end", r"assign \data$28  = _203_;"]
    (run_directory / VERILOG_FILE).write_text("\n".join(["module dut;", *lines, "endmodule"]))
    (run_directory / COVERAGE_FILE).write_text("# SystemC::Coverage-3\n" + point("v_branch", 2, "else", 0))
    found = run_coverage("memory", "encoder", run_directory)
    assert [*found.lines] == [Line("dut.block data", "else", "if (go) begin")]


def test_a_line_is_reached_if_another_configuration_reaches_it(run_directory: Path) -> None:
    one = run_coverage("planted", "encoder", run_directory)
    counts = (run_directory / COVERAGE_FILE).read_text()
    (run_directory / COVERAGE_FILE).write_text(counts + point("v_branch", 8, "if", 2))
    (run_directory / VERILOG_FILE).write_text(OTHER_SIZE)
    other = run_coverage("other", "encoder", run_directory)
    [together] = merged([one, other])
    assert len(together.lines) == 5 and together.lines[PLANTED] == 2 and together.unreached == []
    apart = merged([one, replace(other, bench="decoder")])
    assert [(one.bench, one.unreached) for one in apart] == [("encoder", [PLANTED]), ("decoder", [])]


@pytest.mark.parametrize(
    ("bench", "where", "text", "waived"),
    [
        ("encoder", "dut.block level", "if ((go != #)) begin", 1),
        ("encoder", "dut.*", "*", 1),
        ("encoder", "dut.*", "if (go*", 0),
        ("encoder", "dut.other*", "*", 0),
        ("decoder", "*", "*", 0),
    ],
)
def test_a_waiver_excuses_its_lines_alone(run_directory: Path, bench: str, where: str, text: str, waived: int) -> None:
    [found] = merged([run_coverage("planted", "encoder", run_directory)])
    assert list(found.waived([Waiver(bench, where, text, "as a test")])) == [PLANTED] * waived


def test_a_stale_waiver_is_found(run_directory: Path) -> None:
    covered = merged([run_coverage("planted", "encoder", run_directory)])
    used, old = Waiver("encoder", "dut.block *", "*", "used"), Waiver("encoder", "other *", "*", "old")
    assert stale(covered, {"encoder"}, [used, old]) == [old]
    # Some runs of the bench are missing: theirs may be the line that it is for.
    assert stale(covered, set(), [used, old]) == []


def test_report_fails_for_a_line_that_was_not_reached(run_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = run_directory.parent  # of a bench without waivers, none of which is stale then
    assert not report(directory, {"planted": "decoder", "not run": "framer"}, as_json=False)
    assert "never reached: dut.block level, if of if ((go != #)) begin (line 8 of planted)" in capsys.readouterr().err
    [row] = json.loads((directory / JSON_FILE).read_text())["benches"]
    assert (row["bench"], row["runs"], row["lines"], row["waived"]) == ("decoder", ["planted"], 5, [])
    assert [(line["run"], line["line"]) for line in row["unreached"]] == [("planted", 8)]
    assert (row["toggles"], row["toggled"]) == (10, 7)
    assert row["bins"] == {"states": {"idle": 3, "wait": 0}}
    text = (directory / TEXT_FILE).read_text()
    assert "not toggled in planted: dut.block go: no 0->1" in text
    assert "states: idle 3, wait 0" in text
    (run_directory / COVERAGE_FILE).write_text((run_directory / COVERAGE_FILE).read_text().replace("' 0", "' 1"))
    assert report(directory, {"planted": "decoder"}, as_json=True)
    assert json.loads(capsys.readouterr().out)["benches"][0]["unreached"] == []


class PlantedEncoder(ShiftEncoder):
    """With a statement that waits for a register that nothing sets."""

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        never = Signal()
        planted = Signal(4)
        m.d.sync += never.eq(never & self.i.valid)
        with m.If(never):
            m.d.sync += planted.eq(planted + 1)
        return m


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["verilator"], indirect=True)
def test_planted_line_shows(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The simulator runs elsewhere than this process, and yet both mean the same directory.
    monkeypatch.chdir(tmp_path)
    directory = Path("run")
    block = PlantedEncoder(Codebook.named("sqrt-b", 4))
    result = run_bench(
        block, "encoder", simulator=simulator, tests=["reset_mid_stream"], directory=directory, code_coverage=True
    )
    assert result.passed, str(result)
    found = run_coverage("planted", "encoder", directory)
    assert [line for line, count in found.lines.items() if not count] == [
        Line("dut.block planted", "if", "if (never) begin")
    ]
    assert "dut.block never: no 0->1, no 1->0" in found.untoggled
