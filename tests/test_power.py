# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import ptychopress
import pytest
from amaranth.sim import Simulator
from command import complaint, run
from ptychopress.hdl.code_tile import CodeTile
from ptychopress.hdl.hardwired import HardwiredProjector
from ptychopress.model.codebook import Codebook
from ptychopress.model.projection import Projection, ProjectionFormat
from ptychopress.sim.activity import Recording, record
from ptychopress.synth.gates import Netlist, cell_models
from ptychopress.synth.liberty import Library
from ptychopress.synth.liberty_power import PowerLibrary, Table, parse
from ptychopress.synth.power import Circuit, Power, power
from ptychopress.synth.sta_power import StaPower, run_script, write_script
from ptychopress.synth.waveforms import Waveforms

SG13G2 = (
    Path(ptychopress.__file__).parent.parent / "shared" / "data" / "liberty" / "sg13g2_stdcell_typ_1p20V_25C.lib.gz"
)
"""IHP's cells, on the machines that have them; they are no part of the repository."""

approx = partial(pytest.approx, rel=1e-6, abs=0)
"""Energies are far below pytest's absolute tolerance of 1e-12."""

# pJ, pF, ns, V. Each figure is a different one, so that none can stand in for another.
DELAYS = "".join(
    f'{kind} (d) {{ values ("{value}, {value}", "{value}, {value}"); }}\n'
    for kind, value in {"cell_rise": 0.1, "cell_fall": 0.1, "rise_transition": 0.1, "fall_transition": 0.1}.items()
)


def energy(rise: float, fall: float, more: str = "", *, of_input: bool = False) -> str:
    table, values = ("q", '"{0}, {0}"') if of_input else ("p", '"{0}, {0}", "{0}, {0}"')
    parts = {"rise_power": rise, "fall_power": fall}
    texts = [f"{kind} ({table}) {{ values ({values.format(value)}); }}" for kind, value in parts.items()]
    return f"internal_power () {{ {more} {' '.join(texts)} }}\n"


def gate(name: str, function: str, capacitance: float, leakage: float, powers: str) -> str:
    pins = sorted(set(re.findall("[AB]", function)))
    inputs = "".join(f"pin ({pin}) {{ direction : input; capacitance : {capacitance}; }}\n" for pin in pins)
    arcs = "".join(f'timing () {{ related_pin : "{pin}"; timing_sense : non_unate; {DELAYS} }}\n' for pin in pins)
    output = f'pin (Y) {{ direction : output; function : "{function}"; max_capacitance : 1;\n{arcs}{powers} }}'
    return f"cell ({name}) {{ area : 2; cell_leakage_power : {leakage};\n{inputs}{output} }}\n"


FLIP_FLOP = f"""cell (DFF) {{ area : 8; cell_leakage_power : 100;
  ff (IQ, IQN) {{ clocked_on : "CK"; next_state : "D"; }}
  pin (CK) {{ direction : input; clock : true; capacitance : 0.004; {energy(0.007, 0.009, of_input=True)} }}
  pin (D) {{ direction : input; capacitance : 0.001; {energy(0.011, 0.013, of_input=True)} }}
  pin (Q) {{ direction : output; function : "IQ"; max_capacitance : 1;
    timing () {{ related_pin : "CK"; timing_type : rising_edge; timing_sense : non_unate; {DELAYS} }}
    {energy(0.017, 0.019, 'related_pin : "CK";')} }} }}
"""
LIBERTY = f"""library (known) {{
  time_unit : "1ns"; voltage_unit : "1V"; current_unit : "1mA"; leakage_power_unit : "1nW"; nom_voltage : 2.0;
  capacitive_load_unit (1, pf); delay_model : table_lookup; default_max_transition : 1;
  input_threshold_pct_rise : 50; input_threshold_pct_fall : 50;
  output_threshold_pct_rise : 50; output_threshold_pct_fall : 50;
  slew_lower_threshold_pct_rise : 20; slew_lower_threshold_pct_fall : 20;
  slew_upper_threshold_pct_rise : 80; slew_upper_threshold_pct_fall : 80;
  operating_conditions (oc) {{ process : 1; temperature : 25; voltage : 2.0; }}
  default_operating_conditions : oc;
  lu_table_template (d) {{ variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1 ("0.01, 1"); index_2 ("0.001, 1"); }}
  power_lut_template (p) {{ variable_1 : input_transition_time; variable_2 : total_output_net_capacitance;
    index_1 ("0.01, 1"); index_2 ("0.001, 1"); }}
  power_lut_template (q) {{ variable_1 : input_transition_time; index_1 ("0.01, 1"); }}
  {gate("INV", "!A", 0.002, 10, energy(0.003, 0.005, 'related_pin : "A";'))}
  {gate("BUF", "A", 0.003, 11, energy(0.004, 0.006, 'related_pin : "A";'))}
  {gate("NOR2", "!(A|B)", 0.002, 12, energy(0.006, 0.007, 'related_pin : "A B";'))}
  {
    gate(
        "NAND2",
        "!(A&B)",
        0.005,
        13,
        energy(0.021, 0.023, 'related_pin : "A";')
        + energy(0.031, 0.033, 'related_pin : "B"; when : "A";')
        + energy(0.041, 0.043, 'related_pin : "B";'),
    )
}
  {FLIP_FLOP}
}}
"""
LIBRARY = Library.parse(LIBERTY)

TOGGLE = """module top (input clk, output q); wire n, m;
  DFF f (.CK(clk), .D(n), .Q(m)); INV i (.A(m), .Y(n)); INV j (.A(m), .Y(q));
endmodule
"""


def netlist(verilog: str, **cells: int) -> Netlist:
    return Netlist("top", verilog, cell_models(LIBRARY, cells), cells)


def vcd(path: Path, signals: dict[str, list[int]]) -> Waveforms:
    """Waveforms of one value a step of 5 ns."""
    lines = ["$timescale 1ns $end", "$scope module top $end"]
    lines += [f"$var wire 1 {chr(40 + k)} {name} $end" for k, name in enumerate(signals)]
    lines += ["$upscope $end", "$enddefinitions $end"]
    steps = list(zip(*signals.values(), strict=True))
    for step, values in enumerate(steps):
        lines += [f"#{5 * step}", *(f"{value}{chr(40 + k)}" for k, value in enumerate(values))]
    path.write_text("\n".join([*lines, f"#{5 * len(steps)}", ""]))
    return Waveforms.read(path)


def taken(
    block: Netlist, waves: Waveforms, library: Library = LIBRARY, period: float = 1e-8, delayed: bool = False
) -> Power:
    return power(Circuit.read(block, waves), library, clock="clk", period=period, delayed=delayed)


def toggling(path: Path, clocks: int, moves: bool = True) -> Waveforms:
    """A clock that is low and high in turns, and a flip-flop that changes at each rising edge, or not at all."""
    clk = [0, *[1, 0] * clocks]
    m = [(step + 1) // 2 % 2 if moves else 0 for step in range(len(clk))]
    return vcd(path, {"clk": clk, "m": m, "n": [1 - bit for bit in m], "q": [1 - bit for bit in m]})


def test_a_toggling_flip_flop_takes_what_can_be_added_up_by_hand(tmp_path: Path) -> None:
    found = taken(netlist(TOGGLE, DFF=1, INV=2), toggling(tmp_path / "t.vcd", 10))
    # C V^2 / 2 with V = 2 is 2 C a transition. The clock goes up and down 10 times, the rest up or down.
    clock = 10 * (0.007 + 0.009) + 20 * 2 * 0.004
    registers = 5 * (0.017 + 0.019) + 5 * (0.011 + 0.013) + 10 * 2 * (0.002 + 0.002)
    logic = 2 * 5 * (0.003 + 0.005) + 10 * 2 * 0.001
    assert found.clock == approx(clock * 1e-12)
    assert found.registers == approx(registers * 1e-12)
    assert found.logic == approx(logic * 1e-12)
    assert found.leakage == approx(120e-9)
    assert found.seconds == approx(1e-7)
    assert found.energy == approx((clock + registers + logic) * 1e-12 + 120e-9 * 1e-7)


def test_only_leakage_depends_on_the_period(tmp_path: Path) -> None:
    waves = toggling(tmp_path / "t.vcd", 6)
    fast, slow = (taken(netlist(TOGGLE, DFF=1, INV=2), waves, period=p) for p in (1e-9, 4e-9))
    assert (fast.clock, fast.registers, fast.logic, fast.leakage) == (slow.clock, slow.registers, slow.logic, 120e-9)
    assert slow.energy - fast.energy == approx(120e-9 * (slow.seconds - fast.seconds))
    assert slow.seconds == approx(4 * fast.seconds)


def test_what_stands_still_takes_its_clock_and_leakage(tmp_path: Path) -> None:
    block = netlist(TOGGLE, DFF=1, INV=2)
    still = taken(block, toggling(tmp_path / "t.vcd", 6, moves=False))
    assert still.registers == still.logic == 0 and still.leakage == approx(120e-9)
    assert still.clock == approx(6 * (0.007 + 0.009 + 4 * 0.004) * 1e-12)
    with pytest.raises(ValueError, match="clk does not rise in the run"):
        taken(block, vcd(tmp_path / "s.vcd", {"clk": [0, 0], "m": [0, 1], "n": [1, 0], "q": [1, 0]}))


GATE = """module top (input clk, input a, input b, output y);
  NAND2 g (.A(a), .B(b), .Y(y)); DFF f (.CK(clk), .D(a));
endmodule
"""


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ([0, 1, 0], [1, 1, 1], 0.023 + 0.021),  # by A
        ([1, 1, 1], [0, 1, 0], 0.033 + 0.031),  # by B, while A is high
        (
            [0, 1, 0],
            [0, 1, 0],
            (0.023 + 0.033) / 2 + (0.021 + 0.041) / 2,
        ),  # by both: A is high behind the first move, low behind the second
        ([0, 0, 0], [0, 1, 0], 0.0),
    ],
)
def test_energy_is_that_of_the_input_that_moved(tmp_path: Path, a: list[int], b: list[int], wanted: float) -> None:
    clk, y = [0, 1, 0], [1 - (p & q) for p, q in zip(a, b, strict=True)]
    waves = vcd(tmp_path / "t.vcd", {"clk": clk, "a": a, "b": b, "y": y})
    found = taken(netlist(GATE, NAND2=1, DFF=1), waves)
    charges = 2 * (sum(np.diff(a) != 0) * (0.005 + 0.001) + sum(np.diff(b) != 0) * 0.005)
    assert found.logic * 1e12 == approx(wanted + charges)


def test_a_cell_that_takes_time_moves_a_step_behind_its_cause(tmp_path: Path) -> None:
    # y falls for a when b moves already, and rises for b.
    waves = vcd(tmp_path / "t.vcd", {"clk": [0, 1, 0, 1], "a": [0, 1, 1, 1], "b": [1, 1, 0, 0], "y": [1, 1, 0, 1]})
    found = taken(netlist(GATE, NAND2=1, DFF=1), waves, delayed=True)
    assert found.logic * 1e12 == approx(0.023 + 0.031 + 2 * (0.005 + 0.001 + 0.005))


def test_energy_depends_on_how_long_the_edge_takes(tmp_path: Path) -> None:
    constant = energy(0.003, 0.005, 'related_pin : "A";')
    assert LIBERTY.count(constant) == 1
    # 0 at 0.01 ns, 0.99 pJ at 1 ns, for a rise and for a fall.
    rising = re.sub(r'"[\d.]+, [\d.]+", "[\d.]+, [\d.]+"', '"0, 0", "0.99, 0.99"', constant)
    library = Library.parse(LIBERTY.replace(constant, rising))
    verilog = """module top (input clk, input a, output q, output y); wire m;
      DFF f (.CK(clk), .D(a), .Q(m)); INV i (.A(m), .Y(q)); INV j (.A(a), .Y(y)); endmodule
    """
    still, moving = [0, 0, 0], [0, 1, 1]
    for a, m, nanoseconds in ((moving, still, 0.05), (still, moving, 0.1)):
        signals = {"clk": [0, 1, 0], "a": a, "m": m, "q": [1 - k for k in m], "y": [1 - k for k in a]}
        found = taken(netlist(verilog, DFF=1, INV=2), vcd(tmp_path / "t.vcd", signals), library)
        charge = 2 * (0.001 + 0.002) if a is moving else 0
        assert found.logic * 1e12 == approx(nanoseconds - 0.01 + charge)


def test_leakage_is_that_of_the_state(tmp_path: Path) -> None:
    values = {' when : "A&B";': 3, ' when : "!A";': 5, "": 7}
    states = "".join(f"leakage_power () {{ value : {value};{when} }}\n" for when, value in values.items())
    library = Library.parse(LIBERTY.replace("cell_leakage_power : 13;", states))
    # A and B high for a quarter of the time, A low for half of it.
    waves = vcd(tmp_path / "t.vcd", {"clk": [0, 1, 0, 1], "a": [0, 0, 1, 1], "b": [0, 1, 1, 0], "y": [1, 1, 0, 1]})
    found = taken(netlist(GATE, NAND2=1, DFF=1), waves, library)
    assert found.leakage == approx((3 / 4 + 5 / 2 + 7 / 4 + 100) * 1e-9)


def test_an_edge_of_the_clock_costs_what_the_state_before_it_says(tmp_path: Path) -> None:
    states = energy(0.1, 0.3, 'when : "Q";', of_input=True) + energy(0.2, 0.7, 'when : "!Q";', of_input=True)
    before = energy(0.007, 0.009, of_input=True)
    assert LIBERTY.count(before) == 1
    library = Library.parse(LIBERTY.replace(before, states))
    m = [0, 1, 1, 1, 1]
    signals = {"clk": [0, 1, 0, 1, 0], "m": m, "n": [1 - k for k in m], "q": [1 - k for k in m]}
    found = taken(netlist(TOGGLE, DFF=1, INV=2), vcd(tmp_path / "t.vcd", signals), library)
    # The first rise finds Q low, the second one and both falls find it high; the net's charge comes to it.
    assert found.clock == approx((0.2 + 0.1 + 2 * 0.3 + 4 * 2 * 0.004) * 1e-12)


def test_an_unknown_pin_is_refused(tmp_path: Path) -> None:
    waves = vcd(tmp_path / "t.vcd", {"clk": [0, 1], "m": ["x", 1], "n": [1, 0], "q": [1, 0]})  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"pin . of a (DFF|INV) is unknown at some time of the run"):
        Circuit.read(netlist(TOGGLE, DFF=1, INV=2), waves)


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_cells_that_take_time_have_glitches(simulator: str, tmp_path: Path) -> None:
    """An input and its inverse meet in a NOR that is never high, but for the time of the inverter."""
    ports = "input aclk, input aresetn, input s_axis_tdata, input s_axis_tlast, input s_axis_tvalid"
    ports += ", output s_axis_tready, output m_axis_tdata, output m_axis_tvalid, input m_axis_tready"
    cells = ["INV a (.A(s_axis_tdata), .Y(n))", "NOR2 b (.A(s_axis_tdata), .B(n), .Y(m))"]
    cells += ["DFF c (.CK(aclk), .D(m), .Q(m_axis_tdata))", "DFF d (.CK(aclk), .D(s_axis_tvalid), .Q(m_axis_tvalid))"]
    cells += ["BUF e (.A(m_axis_tready), .Y(s_axis_tready))"]
    text = f"module dut ({ports}); wire n, m; {'; '.join(cells)}; endmodule\n"
    found = {}
    for delayed in (False, True):
        folder = tmp_path / str(delayed)
        folder.mkdir()
        models = cell_models(LIBRARY, ("INV", "NOR2", "DFF", "BUF"), delayed=delayed)
        run = record(f"{text}{models}", [0, 1] * 10, folder, in_bits=1, out_bits=1, settle=2)
        assert run.outputs == [0] * 20
        circuit = Circuit.read(Netlist("dut", text, models, {}), Waveforms.read(run.waveforms))
        (pins,) = [pins for kind, pins in circuit.cells if kind == "NOR2"]
        found[delayed] = circuit.transitions(pins["Y"]), circuit.transitions(pins["A"])
    # A glitch goes up and down at each fall of the input.
    assert found[False][0] == 0 and found[True][1] == found[False][1] > 15
    assert found[True][0] == approx(found[True][1], abs=1)


def test_waveforms_are_read(tmp_path: Path) -> None:
    text = """$var wire 1 ! clk $end
$var wire 5 " \\block.x  [4:0] $end
$var reg 2 # \\block.words[3]  [1:0] $end
$enddefinitions $end
#0
$dumpvars
0!
b0 "
bx #
$end
#5
1!
b10011 "
#7
0!
b1 "
bz1 #
#9
$dumpoff
x!
bx "
$end
#11
"""
    (tmp_path / "t.vcd").write_text(text)
    waves = Waveforms.read(tmp_path / "t.vcd")
    assert waves.times.tolist() == [0, 5, 7, 9]
    assert waves.bits["clk"].tolist() == [[False, True, False]]
    values = (waves.bits["block.x"] << np.arange(5)[:, None]).sum(axis=0)
    assert values.tolist() == [0, 0b10011, 1]
    assert waves.unknown["block.words[3]"].tolist() == [True, True] and not waves.unknown["block.x"].any()
    assert waves.bits["block.words[3]"].tolist() == [[False, False, True], [False, False, False]]


def test_tables_are_interpolated() -> None:
    axes = (("transition", np.array([1.0, 3.0])), ("load", np.array([10.0, 20.0, 40.0])))
    table = Table(axes, np.array([[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]]))
    assert table(1, 10) == 0 and table(3, 40) == 12
    assert table(2, 30) == approx(6.5)
    assert table(0, 100) == 2 and table(9, 0) == 10


def test_axes_may_come_in_any_order_and_units_count() -> None:
    swapped = LIBERTY.replace(
        "variable_1 : input_transition_time; variable_2 : total_output_net_capacitance;\n"
        '    index_1 ("0.01, 1"); index_2 ("0.001, 1");',
        "variable_1 : total_output_net_capacitance; variable_2 : input_transition_time;\n"
        '    index_1 ("1, 3"); index_2 ("10, 20");',
    )
    assert swapped != LIBERTY
    swapped = swapped.replace("(1, pf)", "(1, ff)").replace('voltage_unit : "1V"', 'voltage_unit : "10mV"')
    swapped = swapped.replace(
        'rise_power (p) { values ("0.003, 0.003", "0.003, 0.003")', 'rise_power (p) { values ("1, 2", "5, 6")'
    )
    cell = PowerLibrary.of(Library.parse(swapped), ["INV"]).cells["INV"]
    (entry,) = cell.energies["Y"]
    assert cell.capacitance == {"A": approx(0.002e-15)}
    # 1 fF (10 mV)^2 = 1e-19 J; 2 fF is half way down, 10 ns the first column.
    assert entry.rise(10e-9, 2e-15) == approx(3e-19)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("nom_voltage : 2.0;", ""), "no energies without units and voltage: 'nom_voltage'"),
        (('time_unit : "1ns"', 'time_unit : "1 day"'), "no energies without units and voltage: unit '1 day'"),
        (("cell (DFF)", "cell (DFG)"), "has no cell DFF"),
    ],
)
def test_a_library_without_energies_is_refused(change: tuple[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PowerLibrary.of(Library.parse(LIBERTY.replace(*change)), ["DFF", "INV"])


@pytest.mark.parametrize(
    ("change", "dynamic", "leakage"),
    [
        (("(1, pf)", "(1, ff)"), 1e-3, 1),
        (('leakage_power_unit : "1nW"', 'leakage_power_unit : "1pW"'), 1, 1e-3),
        (('voltage_unit : "1V"', 'voltage_unit : "1mV"'), None, 1),
    ],
)
def test_units_count(tmp_path: Path, change: tuple[str, str], dynamic: float | None, leakage: float) -> None:
    block, waves = netlist(TOGGLE, DFF=1, INV=2), toggling(tmp_path / "t.vcd", 6)
    before, after = (taken(block, waves, Library.parse(text)) for text in (LIBERTY, LIBERTY.replace(*change)))
    assert after.leakage == approx(leakage * before.leakage)
    # Energies are in units of capacitance times voltage squared; the supply is always in volts.
    assert after.internal == approx((dynamic or 1e-6) * before.internal)
    assert after.switching == approx((dynamic or 1) * before.switching)


def test_twice_the_transitions_take_twice_the_energy(tmp_path: Path) -> None:
    block = netlist(TOGGLE, DFF=1, INV=2)
    clk, found = [0, *[1, 0] * 8], {}
    for every in (1, 2):
        m = [(step + 1) // 2 // every % 2 for step in range(len(clk))]
        waves = vcd(tmp_path / f"{every}.vcd", {"clk": clk, "m": m, "n": [1 - k for k in m], "q": [1 - k for k in m]})
        found[every] = taken(block, waves)
    assert found[1].registers == approx(2 * found[2].registers)
    assert found[1].logic == approx(2 * found[2].logic)
    assert found[1].switching == approx(2 * found[2].switching) and found[1].switching > 0
    assert (found[1].clock, found[1].leakage) == (found[2].clock, found[2].leakage)


def by_opensta(block: Netlist, waves: Waveforms, folder: Path, library: Library = LIBRARY) -> StaPower:
    write_script(Circuit.read(block, waves), library, folder, clock="clk", period=1e-8)
    return run_script(folder)


@pytest.mark.skipif(shutil.which("sta") is None, reason="no OpenSTA")
def test_opensta_finds_the_same_but_for_what_its_release_counts_twice(tmp_path: Path) -> None:
    block, waves = netlist(TOGGLE, DFF=1, INV=2), toggling(tmp_path / "t.vcd", 10)
    ours, theirs = taken(block, waves), by_opensta(block, waves, tmp_path)
    assert theirs.switching == approx(2 * (0.002 + 0.002 + 0.001) * 1e-12 / 1e-8, rel=1e-4)
    assert theirs.switching == approx(ours.switching / ours.seconds, rel=1e-4)
    assert theirs.leakage == approx(ours.leakage, rel=1e-4) and ours.leakage == approx(120e-9)
    # A clock: pins of outputs and of the clock, and D, whose mean 2.0 takes.
    outputs, clock, data = 0.017 + 0.019 + 2 * (0.003 + 0.005), 0.007 + 0.009, (0.011 + 0.013) / 2
    once = outputs / 2 + clock + data
    assert ours.internal == approx(10 * once * 1e-12)
    twice = theirs.version.startswith("2.0.")
    counted = outputs + 2 * clock + data if twice else once
    assert theirs.internal == approx(counted * 1e-12 / 1e-8, rel=1e-4)


BUS = """module top (input clk, input [1:0] a, output y); wire n, k;
  NAND2 g (.A(a[0]), .B(a[1]), .Y(n)); BUF \\b.c[1] (.A(n), .Y(k)); INV i (.A(k), .Y(y)); DFF f (.CK(clk), .D(a[1]));
endmodule
"""


@pytest.mark.skipif(shutil.which("sta") is None, reason="no OpenSTA")
def test_opensta_is_told_of_every_transition(tmp_path: Path) -> None:
    rng, steps = np.random.default_rng(8), 400
    a = np.repeat(rng.integers(0, 4, steps // 2), 2)
    n = (a != 3).astype(int)
    lines = ["$var wire 1 ! clk $end", "$var wire 2 a a [1:0] $end", "$var wire 1 n n $end"]
    lines += ["$var wire 1 k k $end", "$var wire 1 y y $end", "$enddefinitions $end"]
    for step in range(steps):
        lines += [f"#{step}", f"{step % 2}!", f"b{a[step]:b} a", f"{n[step]}n", f"{n[step]}k", f"{1 - n[step]}y"]
    (tmp_path / "t.vcd").write_text("\n".join([*lines, f"#{steps}", ""]))
    block, waves = netlist(BUS, NAND2=1, BUF=1, INV=1, DFF=1), Waveforms.read(tmp_path / "t.vcd")
    ours, theirs = taken(block, waves), by_opensta(block, waves, tmp_path)
    moves = int(np.count_nonzero(np.diff(n)))
    assert 0.3 * steps / 2 < moves < 0.6 * steps / 2
    assert ours.switching == approx(moves * 2 * (0.003 + 0.002) * 1e-12)
    assert theirs.switching == approx(ours.switching / ours.seconds, rel=1e-4)
    assert theirs.leakage == approx((10 + 11 + 13 + 100) * 1e-9, rel=1e-4)


@pytest.mark.skipif(shutil.which("sta") is None, reason="no OpenSTA")
def test_opensta_adds_no_wires(tmp_path: Path) -> None:
    wires = """default_wire_load : "w"; default_wire_load_capacitance : 1; default_wire_load_resistance : 0;
      wire_load ("w") { resistance : 0; capacitance : 1; area : 0; slope : 1; fanout_length (1, 1); }
      default_operating_conditions : oc;"""
    library = Library.parse(LIBERTY.replace("default_operating_conditions : oc;", wires))
    block, waves = netlist(TOGGLE, DFF=1, INV=2), toggling(tmp_path / "t.vcd", 10)
    found = by_opensta(block, waves, tmp_path, library).switching
    assert found == approx(2 * (0.002 + 0.002 + 0.001) * 1e-12 / 1e-8, rel=1e-4)
    script = tmp_path / "opensta.tcl"
    script.write_text(script.read_text().replace("set_load 0", "#"))
    assert run_script(tmp_path).switching > 100 * found


@pytest.mark.skipif(shutil.which("sta") is None, reason="no OpenSTA")
def test_an_error_of_opensta_is_told(tmp_path: Path) -> None:
    (tmp_path / "opensta.tcl").write_text("link_design none\n")
    with pytest.raises(RuntimeError, match="sta failed: Error: "):
        run_script(tmp_path)


@pytest.mark.skipif(not SG13G2.exists(), reason="no sg13g2")
def test_a_foundry_library_is_read() -> None:
    library = Library.read(SG13G2)
    cells = PowerLibrary.of(library, ["sg13g2_nand2_1", "sg13g2_dfrbpq_1"])
    nand = cells.cells["sg13g2_nand2_1"]
    assert cells.volts == 1.2
    (text,) = library.texts
    area = text[text.index("cell (sg13g2_nand2_1)") : text.index("cell (sg13g2_nand2_2)")]
    capacitances = re.findall(r"^\s+capacitance : ([\d.]+);", area, re.MULTILINE)
    assert list(nand.capacitance.values()) == approx([float(value) * 1e-12 for value in capacitances])
    leakage = re.findall(r"value : ([\d.]+);\s+when : \"(.*?)\"", area)
    assert [watt for _, watt in nand.leakage[""]] == approx([float(value) * 1e-12 for value, _ in leakage])
    first = float(re.findall(r"rise_power.*?values \( \\\s+\"([\d.]+)", area, re.DOTALL)[0])
    assert nand.energies["Y"][0].rise(0.0186e-9, 0.001e-12) == approx(first * 1e-12)
    assert {pin: len(entries) > 0 for pin, entries in cells.cells["sg13g2_dfrbpq_1"].energies.items()} == {
        "Q": True,
        "CLK": True,
        "D": True,
        "RESET_B": True,
    }
    assert len(parse(text).of("cell")) == len(re.findall(r"^  cell \(", text, re.MULTILINE))


def test_a_tile_of_codes_is_the_projection_of_the_codes() -> None:
    pytest.importorskip("da4ml")
    rng = np.random.default_rng(3)
    book = Codebook.named("sqrt-b", 6)
    size = ProjectionFormat(pixels=4, components=2, input_bits=book.code_bits, weight_bits=4, output_bits=8)
    projection = Projection(size, rng.integers(-8, 8, (2, 4)), [3, -20], [1, 2])
    tile = CodeTile(book, HardwiredProjector(projection))
    counts = rng.integers(0, 64, (40, 4))
    found = []

    async def bench(ctx: Any) -> None:
        ctx.set(tile.i.valid, 1)
        ctx.set(tile.i.p.last, 1)
        ctx.set(tile.o.ready, 1)
        for row in counts:
            for lane, count in enumerate(row):
                ctx.set(tile.i.p.values[lane], int(count))
            await ctx.tick()
            found.append([ctx.get(tile.o.p.coefficients[column]) for column in range(2)])

    simulator = Simulator(tile)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert tile.latency == 1
    np.testing.assert_array_equal(found, projection.project(book.encode(counts))[0])


@pytest.mark.usefixtures("refused")
def test_a_tile_of_other_codes_is_refused() -> None:
    pytest.importorskip("da4ml")
    size = ProjectionFormat(pixels=1, components=1, input_bits=5, weight_bits=2, output_bits=8)
    projector = HardwiredProjector(Projection(size, [[1]], [0], [0]))
    with pytest.raises(ValueError, match="codes of sqrt-b have 8 bits, the projector takes 5: they must agree"):
        CodeTile(Codebook.named("sqrt-b"), projector)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library, and frames of few photons in which all places move."""
    folder = tmp_path_factory.mktemp("power")
    (folder / "known.lib").write_text(LIBERTY)
    with h5py.File(folder / "frames.h5", "w") as file:
        file["entry/data/data"] = np.random.default_rng(5).poisson(20, (12, 4, 6)).astype(np.uint16)
    return folder


def tiny(files: Path, *more: str) -> list[str]:
    arguments = ["power", "--liberty", str(files / "known.lib"), "--data", str(files / "frames.h5"), "--tile", "2"]
    return [*arguments, "--components", "1", "--frames", "6", *more]


def pairs(frames: Any) -> Iterator[tuple[int, int]]:
    """Counts of a pixel in a beat and in the next: tiles of 2 x 2, each frame after frame."""
    beats = [
        [int(frames[k, 2 * row + i, 2 * column + j]) for i in range(2) for j in range(2)]
        for row in range(frames.shape[1] // 2)
        for column in range(frames.shape[2] // 2)
        for k in range(len(frames))
    ]
    for before, after in pairwise(beats):
        yield from zip(before, after, strict=True)


@pytest.mark.slow
@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_command_line(simulator: str, files: Path) -> None:
    pytest.importorskip("da4ml")
    done = run(*tiny(files, "--json"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    blocks = {block["name"]: block["joule_a_pixel"] for block in found["blocks"]}
    for joule in blocks.values():
        assert joule["total"] == approx(sum(joule[part] for part in joule if part != "total"))
        assert all(part > 0 for part in joule.values())
    assert list(blocks) == [
        "register of counts",
        "encoder",
        "projector of counts",
        "projector of codes",
        "encoder cores and projector of codes",
    ]
    routes = {route["sent"]: route for route in found["routes"]}
    sizes = {"counts": 14, "codes": 8, "coefficients of counts": 4, "coefficients of codes": 4}
    assert {name: route["link_bits_a_pixel"] for name, route in routes.items()} == sizes
    # Codes take fewer flip-flops than counts, and so pay whatever a bit costs.
    assert routes["codes"]["on_chip_joule_a_pixel"] == blocks["encoder"]["total"]
    assert routes["codes"]["pays_from_joule_a_bit"] == 0 and routes["counts"]["pays_from_joule_a_bit"] is None
    costs = [blocks[name]["total"] for name in ("encoder cores and projector of codes", "register of counts")]
    pays = routes["coefficients of codes"]["pays_from_joule_a_bit"]
    assert pays == approx(max(0, costs[0] - costs[1]) / (14 - 4))
    with h5py.File(files / "frames.h5") as file:
        frames = file["entry/data/data"][3:9].astype(int)
    flips = [bin(x ^ y).count("1") for x, y in pairs(frames)]
    assert routes["counts"]["link_transitions_a_pixel"] == approx(sum(flips) / len(flips))
    # An encoder has the 8 bits of 4 codes, valid and last; the clock goes up and down for each.
    flip_flops = (4 * 8 + 2) / 4
    assert blocks["encoder"]["clock"] * 1e12 == approx(flip_flops * (0.007 + 0.009 + 4 * 0.004), rel=0.03)
    if shutil.which("sta"):
        for block in found["blocks"]:
            assert block["opensta"]["switching"] == approx(block["kinds"]["switching"], rel=1e-4)
            # The library's cells leak alike in all states.
            assert block["opensta"]["leakage"] == approx(block["joule_a_pixel"]["leakage"], rel=1e-4)
    else:
        assert found["opensta"] is None
    slow = json.loads(run(*tiny(files, "--json", "--clock", "25")).stdout)["blocks"]
    for block in slow:
        ours = blocks[block["name"]]
        assert block["joule_a_pixel"]["leakage"] == approx(10 * ours["leakage"])
        assert block["joule_a_pixel"]["logic"] == approx(ours["logic"])
    glitches = json.loads(run(*tiny(files, "--json", "--glitches")).stdout)["blocks"]
    for block in glitches:
        assert block["joule_a_pixel"]["logic"] > blocks[block["name"]]["logic"]
        assert block["joule_a_pixel"]["clock"] == approx(blocks[block["name"]]["clock"], rel=0.03)


@pytest.mark.slow
@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_report_for_people_without_opensta(
    simulator: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("da4ml")
    monkeypatch.setattr("ptychopress.cli.power.sta_installed", lambda: False)
    done = run(*tiny(files, "--keep", str(tmp_path / "kept"), "--link", "2"))
    assert done.returncode == 0, done.stderr
    assert "OpenSTA (sta) is not installed: the energies stand alone" in done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    sent = rows[next(k for k, row in enumerate(rows) if row[0] == "sent") :]
    assert sent[0][4] == "with 2 pJ a bit" and "OpenSTA" not in done.stdout
    # 14, 8 and 4 bits at 2 pJ; a frame has 24 pixels.
    for row, bits in zip(sent[2:], (14, 8, 4, 4), strict=True):
        assert float(row[4]) == approx(float(row[3]) + 2 * bits, abs=2e-4)
        assert float(row[5]) == approx(1e-3 * 24 * float(row[4]), abs=1e-3)
    kept = {folder.name: {path.name for path in folder.iterdir()} for folder in (tmp_path / "kept").iterdir()}
    assert len(kept) == 5 and all({"netlist.v", "run.vcd", "opensta.tcl"} <= names for names in kept.values())


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.parametrize("missing", ["iverilog", "da4ml"])
def test_what_is_missing_is_said_first(
    simulator: str, missing: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing == "iverilog":
        monkeypatch.setenv("PATH", str(files))
    else:
        monkeypatch.setattr("ptychopress.cli.power.find_spec", lambda name: None)
    assert missing in complaint(run(*tiny(files)))


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_energy_of_a_wrong_netlist_is_not_told(simulator: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("da4ml")

    def spoilt(*arguments: Any, **options: Any) -> str:
        made = cell_models(*arguments, **options)
        assert "~(A | B)" in made
        return made.replace("~(A | B)", "~(A & B)")

    def one_bit(*arguments: Any, **options: Any) -> Recording:
        made = record(*arguments, **options)
        return replace(made, outputs=[made.outputs[0] ^ 1, *made.outputs[1:]])

    with monkeypatch.context() as patched:
        patched.setattr("ptychopress.cli.power.cell_models", spoilt)
        assert "the netlist does not work: stalled instead of a beat" in complaint(run(*tiny(files)))
    monkeypatch.setattr("ptychopress.cli.power.record", one_bit)
    done = run(*tiny(files))
    assert done.returncode == 1 and done.stdout == ""
    assert "register of counts: the netlist's values are not the golden model's" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--tile", "5"), "--tile 5, --frames 6: there are 12 frames of 4 x 6 pixels"),
        (("--frames", "13"), "--tile 2, --frames 13: there are 12 frames of 4 x 6 pixels"),
        (("--components", "5"), "--components 5: a tile of 2 x 2 pixels has 4 at most"),
        (("--clock", "0"), "--clock must be more than 0 MHz and --link 0 pJ or more, got 0 and 0"),
        (("--link", "-1"), "--clock must be more than 0 MHz and --link 0 pJ or more, got 250 and -1"),
        (("--clock", "inf"), "--clock must be more than 0 MHz and --link 0 pJ or more, got inf and 0"),
        (("--link", "inf"), "--clock must be more than 0 MHz and --link 0 pJ or more, got 250 and inf"),
        (("--codebook", "none"), "none"),
        (("--codebook", "nearest-sqrt"), "--codebook nearest-sqrt: expected sqrt-a, sqrt-b or sqrt-c"),
    ],
)
def test_bad_input_is_refused(files: Path, change: tuple[str, str], message: str) -> None:
    assert message in complaint(run(*tiny(files, *change)))
