# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Timing diagrams of the documentation, drawn from simulations of the blocks: ``python benchmarks/timing_diagrams.py``.

Every block runs behind its AXI4-Stream ports in Amaranth's simulator; what the ports did in each clock is what is
drawn. With ``--check`` nothing is written, and the exit status is 1 if a diagram in ``docs/timing`` is another one.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.sim import Simulator
from ptychopress.hdl.axi import AxiStreamTop
from ptychopress.hdl.decoder import ExpandDecoder
from ptychopress.hdl.encoder import ShiftEncoder, ThresholdEncoder
from ptychopress.hdl.projector import Projector
from ptychopress.model.codebook import Codebook
from ptychopress.model.projection import Projection, ProjectionFormat

OUT = Path(__file__).parent.parent / "docs" / "timing"

Beat = tuple[int, int]
"""tdata and tlast."""


@dataclass
class Source:
    """Beats for one stream input, each offered from the first of its clocks until it is taken.

    Parameters
    ----------
    prefix : str
        Name of the port without ``_tdata``.
    beats : list of (clock, (tdata, tlast))
        Earliest clock of each beat.
    """

    prefix: str
    beats: list[tuple[int, Beat]]


@dataclass
class Trace:
    """Value of each port in each clock, by name."""

    clocks: int
    values: dict[str, list[int]] = field(default_factory=dict)

    def after(self, clock: int) -> "Trace":
        """The same from a clock on, which becomes clock 0."""
        return Trace(self.clocks - clock, {name: values[clock:] for name, values in self.values.items()})


def simulate(
    block: Any, sources: list[Source], ready: Callable[[int], bool], resets: Callable[[int], bool], clocks: int
) -> Trace:
    """Run a block behind its AXI4-Stream ports.

    Parameters
    ----------
    block : amaranth.lib.wiring.Component
    sources : list of Source
    ready, resets : callable
        Whether m_axis_tready is high, and aresetn low, in a clock.
    clocks : int
    """
    top = AxiStreamTop(block)
    trace = Trace(clocks)
    names = [name for name, _ in top.signature.members.items() if name != "aclk"]

    async def bench(ctx: Any) -> None:
        waiting = {source.prefix: list(source.beats) for source in sources}
        for clock in range(-1, clocks):
            # Clock -1 is a reset that is not drawn.
            in_reset = clock < 0 or resets(clock)
            ctx.set(top.aresetn, not in_reset)
            ctx.set(top.m_axis_tready, clock >= 0 and ready(clock))
            for prefix, beats in waiting.items():
                offered = bool(beats) and beats[0][0] <= clock and not in_reset
                data, last = beats[0][1] if offered else (0, 0)
                ctx.set(getattr(top, f"{prefix}_tvalid"), offered)
                ctx.set(getattr(top, f"{prefix}_tdata"), data)
                ctx.set(getattr(top, f"{prefix}_tlast"), last)
            await ctx.delay(1e-9)
            if clock >= 0:
                for name in names:
                    trace.values.setdefault(name, []).append(ctx.get(getattr(top, name)))
            for prefix, beats in waiting.items():
                if ctx.get(getattr(top, f"{prefix}_tvalid")) and ctx.get(getattr(top, f"{prefix}_tready")):
                    beats.pop(0)
            ctx.set(top.aclk, 1)
            await ctx.delay(1e-9)
            ctx.set(top.aclk, 0)

    simulator = Simulator(top)
    simulator.add_testbench(bench)
    simulator.run()
    return trace


CLOCK, ROW, WAVE, LEFT, SLANT, TOP = 42, 27, 16, 178, 4, 30
INK, FAINT, FILL = "#1f2933", "#c3ccd5", "#e4effb"


def draw(trace: Trace, title: str, rows: list[str]) -> str:
    """SVG of some of a trace's ports.

    A name ending in ``_tdata`` or ``_tuser`` or ``_tlast`` is blank where its stream is not valid, and filled where
    the beat is transferred.
    """
    width, height = LEFT + CLOCK * trace.clocks + 12, TOP + ROW * (len(rows) + 1) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' font-family="ui-monospace, monospace" font-size="11" fill="{INK}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    bottom = TOP + ROW * (len(rows) + 1)
    for clock in range(trace.clocks + 1):
        x = LEFT + CLOCK * clock
        parts.append(f'<path d="M{x} {TOP - 8}V{bottom}" stroke="{FAINT}" stroke-dasharray="2 3"/>')
        if clock < trace.clocks:
            parts.append(
                f'<text x="{x + CLOCK // 2}" y="{TOP - 12}" text-anchor="middle" fill="#7b8794">{clock}</text>'
            )
    for place, name in enumerate(["aclk", *rows]):
        y = TOP + ROW * place
        parts.append(f'<text x="{LEFT - 10}" y="{y + WAVE - 3}" text-anchor="end">{escape(name)}</text>')
        if name == "aclk":
            half = CLOCK // 2
            edges = "".join(f"V{y}h{half}V{y + WAVE}h{CLOCK - half}" for _ in range(trace.clocks))
            parts.append(f'<path d="M{LEFT} {y + WAVE}{edges}" fill="none" stroke="{INK}"/>')
        elif name.endswith(("_tdata", "_tuser", "_tlast")):
            parts += _bus(trace, name, y)
        else:
            parts.append(_bit(trace.values[name], y))
    key = "clock numbers on top; filled: transferred in this clock"
    parts.append(f'<text x="{LEFT}" y="{bottom + 14}" fill="#7b8794">{key}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bit(values: list[int], y: int) -> str:
    level = [y if value else y + WAVE for value in values]
    path = f"M{LEFT} {level[0]}h{CLOCK}"
    for before, now in pairwise(level):
        path += f"h{CLOCK}" if now == before else f"l{SLANT} {now - before}h{CLOCK - SLANT}"
    return f'<path d="{path}" fill="none" stroke="{INK}"/>'


def _bus(trace: Trace, name: str, y: int) -> list[str]:
    """Draw a beat from the clock it is first offered in to the clock that takes it."""
    stream = name.rpartition("_")[0]
    valid, ready = trace.values[f"{stream}_tvalid"], trace.values[f"{stream}_tready"]
    parts, start = [], 0
    middle = y + WAVE // 2
    for clock in range(trace.clocks):
        x = LEFT + CLOCK * clock
        if not valid[clock]:
            parts.append(f'<path d="M{x} {middle}h{CLOCK}" stroke="{FAINT}"/>')
            start = clock + 1
            continue
        if ready[clock]:
            parts.append(f'<path d="M{x + 1} {y}h{CLOCK - 2}v{WAVE}h{2 - CLOCK}z" fill="{FILL}"/>')
        last = clock + 1 == trace.clocks
        if ready[clock] or last or not valid[clock + 1]:
            left, right = LEFT + CLOCK * start, x + CLOCK
            parts.append(
                f'<path d="M{left} {middle}l{SLANT} {-WAVE // 2}H{right - SLANT}L{right} {middle}'
                f'L{right - SLANT} {y + WAVE}H{left + SLANT}z" fill="none" stroke="{INK}"/>'
            )
            value = trace.values[name][clock]
            parts.append(f'<text x="{(left + right) // 2}" y="{y + WAVE - 4}" text-anchor="middle">{value}</text>')
            start = clock + 1
    return parts


def _always(clock: int) -> bool:
    return True


def _never(clock: int) -> bool:
    return False


INPUT = [f"s_axis_{name}" for name in ("tvalid", "tready", "tdata", "tlast")]
OUTPUT = [f"m_axis_{name}" for name in ("tvalid", "tready", "tdata", "tuser", "tlast")]
TABLE = [f"s_axis_table_{name}" for name in ("tvalid", "tready", "tdata", "tlast")]


def shift_encoder() -> str:
    """Single beats, a gap, a stalled output, a saturated count, a frame's end."""
    block = ShiftEncoder(Codebook.named("sqrt-b"), input_bits=16)
    beats = [(1, (5, 0)), (2, (100, 0)), (3, (16383, 0)), (4, (20000, 0)), (8, (0, 0)), (9, (1000, 1))]
    trace = simulate(block, [Source("s_axis", beats)], lambda clock: clock not in (3, 4), _never, 13)
    return draw(trace, "ShiftEncoder, sqrt-b, 16 bit input, one lane", [*INPUT, *OUTPUT])


def threshold_encoder() -> str:
    """Latency and a stall of the whole pipeline."""
    block = ThresholdEncoder(Codebook.named("sqrt-b", 4))
    beats = [(1, (3, 0)), (2, (9, 0)), (3, (15, 0)), (6, (6, 1))]
    trace = simulate(block, [Source("s_axis", beats)], lambda clock: clock != 5, _never, 13)
    return draw(trace, "ThresholdEncoder, sqrt-b with 4 bit counts and 3 bit codes, one lane", [*INPUT, *OUTPUT])


def threshold_table() -> str:
    """A new table while the old one works, then one that ends early."""
    block = ThresholdEncoder(Codebook.named("sqrt-b", 4))
    words = Codebook.from_edges(range(0, 17, 2)).thresholds().tolist()
    table = [(1, (word, int(place == len(words) - 1))) for place, word in enumerate(words)]
    table += [(12, (1, 0)), (12, (2, 1))]
    pixels = [(clock, (9, 0)) for clock in range(4, 12)]
    trace = simulate(block, [Source("s_axis", pixels), Source("s_axis_table", table)], _always, _never, 17)
    title = (
        "ThresholdEncoder, 3 bit codes: a table of 7 words arrives while pixels of 9 counts stream, then a short one"
    )
    return draw(trace, title, [*TABLE, "table_error", *INPUT[:3], *OUTPUT[:1], *OUTPUT[2:3]])


def threshold_asic() -> str:
    """Without preload: no pixel is taken between a reset and the end of a table."""
    block = ThresholdEncoder(Codebook.named("sqrt-b", 4), preload=False)
    words = block.codebook.thresholds().tolist()
    table = [(1, (word, int(place == len(words) - 1))) for place, word in enumerate(words)]
    pixels = [(2, (9, 0)), (2, (15, 0))]
    resets = {14, 15}
    trace = simulate(
        block,
        [Source("s_axis", [*pixels, (16, (6, 0))]), Source("s_axis_table", table)],
        _always,
        resets.__contains__,
        19,
    )
    title = "ThresholdEncoder without preload: pixels wait for a table, and again after a reset"
    return draw(trace, title, ["aresetn", *TABLE, *INPUT[:3], *OUTPUT[:1], *OUTPUT[2:3]])


def decoder() -> str:
    """Single beats, a stalled output, a code that the codebook does not have."""
    block = ExpandDecoder(Codebook.named("sqrt-c"), fraction_bits=1)
    beats = [(1, (1, 0)), (2, (20, 0)), (3, (191, 0)), (6, (200, 1))]
    trace = simulate(block, [Source("s_axis", beats)], lambda clock: clock != 3, _never, 9)
    return draw(trace, "ExpandDecoder, sqrt-c, levels in half counts, one lane", [*INPUT, *OUTPUT])


def _table(weights: list[list[int]]) -> list[Beat]:
    """Words that load weights for one lane, without bias and shift."""
    size = ProjectionFormat(pixels=len(weights[0]), components=len(weights), input_bits=4, weight_bits=4, output_bits=8)
    words = Projection(size, np.array(weights)).words(1).tolist()
    bits = size.bias_format.bits
    return [(word % (1 << bits), int(place == len(words) - 1)) for place, word in enumerate(words)]


def _projector(pixels: int, components: int) -> Projector:
    size = ProjectionFormat(pixels=pixels, components=components, input_bits=4, weight_bits=4, output_bits=8)
    return Projector(size, lanes=1, columns=1)


def projector() -> str:
    """Three frames without a gap, the second too short, and a sink that waits."""
    table = [(0, beat) for beat in _table([[1, 1], [2, -1]])]
    start = 10
    frames = [(5, 0), (3, 1), (6, 1), (9, 0), (4, 1)]
    trace = simulate(
        _projector(2, 2),
        [Source("s_axis_table", table), Source("s_axis", [(start + 1, beat) for beat in frames])],
        lambda clock: clock not in (start + 18, start + 19),
        _never,
        start + 28,
    ).after(start)
    title = "Projector of 2 pixels on 2 components, weights (1, 1) and (2, -1), one lane, one column"
    return draw(trace, title, [*INPUT, *OUTPUT])


def projector_table() -> str:
    """A new table while frames stream, then one that ends early."""
    table = [(0, beat) for beat in _table([[1, 1]])]
    start = 5
    second = [(start + 2, beat) for beat in _table([[2, 3]])]
    short = [(start + 16, beat) for beat in ((1, 0), (1, 1))]
    frames = [(start + 1, beat) for _ in range(6) for beat in ((1, 0), (2, 1))]
    trace = simulate(
        _projector(2, 1),
        [Source("s_axis_table", [*table, *second, *short]), Source("s_axis", frames)],
        _always,
        _never,
        start + 26,
    ).after(start)
    title = "Projector of 2 pixels on 1 component: weights (2, 3) replace (1, 1) while frames (1, 2) stream"
    return draw(trace, title, [*TABLE, "table_error", *INPUT, *OUTPUT[:1], *OUTPUT[2:3]])


DIAGRAMS = {
    "shift-encoder": shift_encoder,
    "threshold-encoder": threshold_encoder,
    "threshold-table": threshold_table,
    "threshold-asic": threshold_asic,
    "decoder": decoder,
    "projector": projector,
    "projector-table": projector_table,
}


def main(arguments: list[str] | None = None) -> int:
    """Write or compare the diagrams; return the exit status."""
    parser = argparse.ArgumentParser(description="Timing diagrams of the documentation, from simulation.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a diagram is not current")
    options = parser.parse_args(arguments)
    stale = []
    for name, diagram in DIAGRAMS.items():
        path, text = OUT / f"{name}.svg", diagram()
        if not path.exists() or path.read_text() != text:
            stale.append(path)
            if not options.check:
                path.write_text(text)
    for path in stale:
        print(f"{path.name}: {'not current' if options.check else 'written'}")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
