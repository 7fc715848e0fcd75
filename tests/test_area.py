# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import ptychopress
import pytest
from ptychopress.hdl.encoder import ShiftCore, ShiftEncoder
from ptychopress.model.codebook import Codebook
from ptychopress.synth.area import SCRIPTS, map_component, netlist_codes, rtl_codes, simulate_netlist
from ptychopress.synth.liberty import YOSYS_GATES, Function, Library
from script import benchmark

ROOT = Path(ptychopress.__file__).parent
SG13G2 = ROOT.parent / "shared" / "data" / "liberty" / "sg13g2_stdcell_typ_1p20V_25C.lib.gz"
"""IHP's cells, on the machines that have them; they are no part of the repository."""

FEW = {name: SCRIPTS[name] for name in ("default", "amap")}

TABLE = 'values ("0.01, 0.02", "0.02, 0.03");'


def gate(name: str, area: float, function: str) -> str:
    """A cell as ABC wants it: it refuses one without delay tables."""
    pins = [pin for pin in "AB" if pin in function]
    inputs = "".join(f"pin ({pin}) {{ direction : input; capacitance : 1; }}\n" for pin in pins)
    tables = "".join(
        f"{kind} (t) {{ {TABLE} }}\n" for kind in ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
    )
    arcs = "".join(f'timing () {{ related_pin : "{pin}"; timing_sense : non_unate;\n{tables} }}\n' for pin in pins)
    output = f'pin (Y) {{ direction : output; function : "{function}";\n{arcs} }}'
    return f"cell ({name}) {{ area : {area};\n{inputs} {output} }}\n"


TINY = f"""library (tiny) {{
  time_unit : "1ns";
  capacitive_load_unit (1, ff);
  lu_table_template (t) {{
    variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1 ("0.1, 1"); index_2 ("1, 10");
  }}
  {gate("BUF", 4, "A")} {gate("INV", 2, "A'")} {gate("NOR2", 3.0, "!(A|B)")}
  {gate('"NAND2_BIG"', 6.0, "(A B)'")} {gate("NAND2", 3.0, "!A + !B")}
  cell (DFF) {{ area : 12.0; ff (IQ, IQN) {{ clocked_on : "CK"; next_state : "D"; }}
    pin (CK) {{ direction : input; clock : true; }} pin (D) {{ direction : input; }}
    pin (Q) {{ direction : output; function : "IQ"; }} }}
}}
"""
# ABC's own reader of Liberty does not take these.
NOISY = TINY.replace(
    "cell (BUF)", '/* a } or a { in a comment, or in "a string" */ comment : "closing } and cell (none) {"; cell (BUF)'
)


@pytest.fixture(scope="module")
def encoder_area() -> Any:
    return benchmark("encoder_area")


@pytest.fixture(params=["yosys", "tiny"])
def library(request: pytest.FixtureRequest) -> Library:
    return YOSYS_GATES if request.param == "yosys" else Library.parse(TINY)


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("A", "a"),
        ("!A", "not a"),
        ("A'", "not a"),
        ("A''", "a"),
        ("!(A*B)", "not (a and b)"),
        ("A B", "a and b"),
        ("A B + C", "(a and b) or c"),
        ("A + B C'", "a or (b and not c)"),
        ("A ^ B & C", "(a != b) and c"),
        ("A B ^ C", "a and (b != c)"),
        ("!A ^ B", "(not a) != b"),
        ("(A + B)' C", "not (a or b) and c"),
        ("A !B", "a and not b"),
        ("A (B | 1)", "a"),
        ("0 | C", "c"),
    ],
)
def test_functions_follow_liberty_precedence(text: str, python: str) -> None:
    rows = np.array([[n >> k & 1 for k in range(3)] for n in range(8)], np.bool_)
    function = Function(text)
    got = np.broadcast_to(function(dict(zip("ABC", rows.T, strict=True))), 8)
    assert got.tolist() == [eval(python, {}, dict(zip("abc", map(bool, row), strict=True))) for row in rows]
    assert set(function.inputs) == {c for c in text if c in "ABC"}


@pytest.mark.parametrize(
    "text", ["", "A +", "(A", "A)", "A $ B", "__import__('os').getpid()", "A + 2", "'A", "A & & B"]
)
def test_what_is_no_function_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a Boolean function"):
        Function(text)


@pytest.mark.parametrize("suffix", [".lib", ".lib.gz"])
def test_liberty_files_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tiny{suffix}"
    path.write_bytes(gzip.compress(NOISY.encode()) if suffix.endswith("gz") else NOISY.encode())
    library = Library.read(path)
    assert library.name == "tiny"
    assert {name: cell.area for name, cell in library.cells.items()} == {
        "BUF": 4, "INV": 2, "NOR2": 3, "NAND2_BIG": 6, "NAND2": 3, "DFF": 12
    }  # fmt: skip
    assert [name for name, cell in library.cells.items() if cell.sequential] == ["DFF"]
    assert library.nand2.name == "NAND2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "not a Liberty file"),
        (b"module top(); endmodule", "not a Liberty file"),
        (TINY.encode()[:300], "not a Liberty file"),
        (TINY.encode() + b"}", "not a Liberty file"),
        (gzip.compress(TINY.encode(), mtime=0)[:60], "not a Liberty file"),
        (b"\xff\xfe\x00", "not a Liberty file"),
        (TINY.replace("!A + !B", "A + B").replace("(A B)'", "A B").encode(), "no two-input NAND"),
        (TINY.replace("cell (BUF)", "celx (BUF)").encode(), "no buffer"),
        (TINY.replace("A'", "A").encode(), "no inverter"),
        (TINY.replace("!(A|B)", "!(A|B").encode(), "cell NOR2: not a Boolean function"),
        (TINY.replace("area : 12.0", "area : big").encode(), "cell DFF: could not convert"),
    ],
)
def test_bad_liberty_files_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "cells.lib"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"cells.lib: .*{message}") as caught:
        Library.read(path)
    assert "\n" not in str(caught.value)


def test_a_directory_is_no_liberty_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        Library.read(tmp_path)


def test_netlists_are_the_codebook(library: Library) -> None:
    book = Codebook.named("sqrt-b", 8)
    for mapped in map_component(ShiftCore(book), library, FEW):
        np.testing.assert_array_equal(netlist_codes(mapped, library, 8), book.table)
        cells = [library.cells[cell["type"]] for cell in mapped.netlist["cells"].values()]
        assert mapped.area == pytest.approx(sum(cell.area for cell in cells))
        assert mapped.cells == len(cells) > 0
        assert mapped.gate_equivalents == pytest.approx(mapped.area / library.nand2.area)
        assert (mapped.delay_ps is None) == (library is YOSYS_GATES)


def test_every_script_maps_every_gate() -> None:
    book = Codebook.named("sqrt-c", 6)
    mapped = {result.script: result for result in map_component(ShiftCore(book))}
    assert list(mapped) == list(SCRIPTS) and len(SCRIPTS) == 12
    for result in mapped.values():
        np.testing.assert_array_equal(netlist_codes(result, YOSYS_GATES, 6), book.table)


def test_clocked_blocks_have_an_area(library: Library) -> None:
    book = Codebook.named("sqrt-b", 6)
    (block,) = map_component(ShiftEncoder(book, lanes=2, input_bits=7), library, {"amap": SCRIPTS["amap"]})
    (core,) = map_component(ShiftCore(book), library, {"amap": SCRIPTS["amap"]})
    kinds = [cell["type"] for cell in block.netlist["cells"].values()]
    # Two codes, two saturation flags, last and valid.
    assert sum(library.cells[kind].sequential for kind in kinds) == 2 * book.code_bits + 2 + 2
    assert block.gate_equivalents > 2 * core.gate_equivalents
    with pytest.raises(ValueError, match="not a combinational cell"):
        simulate_netlist(block.netlist, library, {})


def test_a_wrong_cell_or_codebook_shows() -> None:
    book = Codebook.named("sqrt-b", 8)
    (mapped,) = map_component(ShiftCore(book), scripts={"amap": SCRIPTS["amap"]})
    assert (netlist_codes(mapped, YOSYS_GATES, 8) != Codebook.named("sqrt-c", 8).table).any()
    assert (rtl_codes(ShiftCore(Codebook.named("sqrt-c", 8))) != book.table).any()
    noticed = 0
    swapped = {"$_NAND_": "$_NOR_", "$_NOR_": "$_NAND_", "$_AOI3_": "$_OAI3_", "$_OAI3_": "$_AOI3_"}
    for name, cell in mapped.netlist["cells"].items():
        if cell["type"] in swapped:
            netlist = copy.deepcopy(mapped.netlist)
            netlist["cells"][name]["type"] = swapped[cell["type"]]
            codes = simulate_netlist(netlist, YOSYS_GATES, {"count": np.arange(256)})["code"]
            assert (codes != book.table).any(), name
            noticed += 1
    assert noticed > 10


def test_loops_and_open_nets_show() -> None:
    (mapped,) = map_component(ShiftCore(Codebook.named("sqrt-b", 6)), scripts={"amap": SCRIPTS["amap"]})
    counts = {"count": np.arange(64)}
    loop = copy.deepcopy(mapped.netlist)
    cell = next(cell for cell in loop["cells"].values() if "A" in cell["connections"])
    cell["connections"]["A"] = cell["connections"]["Y"]
    with pytest.raises(ValueError, match="undriven input or form a loop"):
        simulate_netlist(loop, YOSYS_GATES, counts)
    open_net = copy.deepcopy(mapped.netlist)
    open_net["ports"]["code"]["bits"][1] = "x"
    with pytest.raises(ValueError, match=r"output code\[1\] is not driven"):
        simulate_netlist(open_net, YOSYS_GATES, counts)


def test_a_failing_script_says_so() -> None:
    with pytest.raises(RuntimeError, match="abc script broken failed"):
        list(map_component(ShiftCore(Codebook.named("sqrt-b", 4)), scripts={"broken": "strash;no_such_command"}))


@pytest.mark.parametrize(("name", "bits"), [("sqrt-a", 8), ("sqrt-b", 7), ("sqrt-b", 8), ("sqrt-c", 7), ("sqrt-c", 8)])
def test_every_structure_is_the_codebook(encoder_area: Any, name: str, bits: int) -> None:
    compared = encoder_area.structures(Codebook.named(name, bits))
    assert {"ShiftCore", "octave casez", "table as logic", "Argonne, plain"} <= compared.keys()
    for book, build in compared.values():
        np.testing.assert_array_equal(rtl_codes(build(book)), book.table)


def test_the_comparison_notices_a_wrong_structure(encoder_area: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Codebook.named("sqrt-b", 6)

    def wrong(m: Any, count: Any, code: Any, codebook: Codebook) -> None:
        m.d.comb += code.eq(Codebook.named("sqrt-c", 6).code_bits ^ count)

    monkeypatch.setattr(encoder_area, "SHIFT_STRUCTURES", {"wrong": wrong})
    rows = {row.structure: row for row in encoder_area.measure(book, YOSYS_GATES, {"amap": SCRIPTS["amap"]})}
    assert rows["wrong"].rtl_errors > 0 and rows["wrong"].netlist_errors["amap"] > 0
    assert [row.structure for row in rows.values() if not row.exact] == ["wrong"]
    assert "WRONG" in encoder_area.as_markdown(list(rows.values()), ["amap"])


def test_the_comparison_prints_what_it_measured(
    encoder_area: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(encoder_area, "SCRIPTS", {"amap": SCRIPTS["amap"]})
    monkeypatch.setattr(encoder_area, "SHIFT_STRUCTURES", {})
    assert encoder_area.main(["--count-bits", "6", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["structure"] for row in told["rows"]} == {
        "ShiftCore",
        "table as logic",
        "Argonne, plain",
        "Argonne, table",
    }
    assert all(row["rtl_errors"] == row["scripts"]["amap"]["netlist_errors"] == 0 for row in told["rows"])
    assert told["nand2"] == {"cell": "$_NAND_", "area": 4}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--codebook", "sqrt-z"], "unknown codebook 'sqrt-z'"),
        (["--count-bits", "17"], "goes up to 16"),
        (["--liberty", "nowhere.lib"], "nowhere.lib: no such file"),
    ],
)
def test_bad_input_is_one_line(
    encoder_area: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert encoder_area.main(arguments) == 2
    told = capsys.readouterr()
    assert message in told.err and told.err.count("\n") == 1 and not told.out


@pytest.mark.skipif(not SG13G2.exists(), reason="no sg13g2 library on this machine")
def test_the_core_meets_its_area_target() -> None:
    library = Library.read(SG13G2)
    book = Codebook.named("sqrt-b", 14)
    few = {name: SCRIPTS[name] for name in ("rs-amap1", "dc2-amap5")}
    results = list(map_component(ShiftCore(book), library, few))
    for mapped in results:
        np.testing.assert_array_equal(netlist_codes(mapped, library, 14), book.table)
    assert library.nand2.area == 7.2576
    assert min(mapped.gate_equivalents for mapped in results) <= 70


def test_the_timing_diagrams_are_simulations_of_today() -> None:
    assert benchmark("timing_diagrams").main(["--check"]) == 0


def test_a_stale_timing_diagram_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diagrams = benchmark("timing_diagrams")
    monkeypatch.setattr(diagrams, "OUT", tmp_path)
    assert diagrams.main([]) == 0
    assert diagrams.main(["--check"]) == 0
    path = tmp_path / "shift-encoder.svg"
    path.write_text(path.read_text().replace(">255<", ">254<"))
    assert diagrams.main(["--check"]) == 1


def test_the_timing_diagrams_hold_the_codebook() -> None:
    diagrams = benchmark("timing_diagrams")
    book = Codebook.named("sqrt-b")
    counts = [5, 100, 16383, 0, 1000]
    beats = [(clock, (count, 0)) for clock, count in enumerate(counts)]
    trace = diagrams.simulate(
        ShiftEncoder(book), [diagrams.Source("s_axis", beats)], lambda _: True, lambda _: False, len(counts) + 1
    )
    assert trace.values["m_axis_tdata"][1:] == book.encode(counts).tolist()
    assert trace.values["m_axis_tvalid"] == [0] + [1] * len(counts)


def test_the_figures_of_codebooks_are_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = benchmark("codebook_figures")
    books = figures.codebooks(8)
    assert {book.name.split()[0] for book in books} == set(Codebook.names())
    few = [Codebook.named("sqrt-b", 8), Codebook.named("nearest-sqrt", 8, scale=2)]
    monkeypatch.setattr(figures, "codebooks", lambda _: few)
    assert figures.main(["--count-bits", "8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(few) + 2
    assert len({line.count("|") for line in lines}) == 1
    assert len(books) == len(Codebook.names()) + len(figures.VARIANTS)


def test_figures_of_an_impossible_width_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark("codebook_figures").main(["--count-bits", "21"]) == 2
    assert "count_bits" in capsys.readouterr().err


def test_a_library_that_cannot_be_mapped_to_is_one_line(
    encoder_area: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "no_tables.lib"
    path.write_text(TINY.replace(TABLE, ""))
    assert encoder_area.main(["--liberty", str(path), "--count-bits", "4"]) == 2
    assert "encoder_area: abc script default failed in yosys" in capsys.readouterr().err
