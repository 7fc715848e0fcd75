# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Code coverage: which lines and bits of the generated Verilog the benches have moved, as Verilator counts them.

Lines are merged over the runs of a bench: a line that one configuration cannot reach, as the other half of a counter
that never counts, counts as reached where another configuration reaches it.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

VERILOG_FILE = "dut.v"
"""The Verilog, in the directory of a run."""

COVERAGE_FILE = "coverage.dat"
"""Verilator's counts, in the directory of a run."""

FUNCTIONAL_FILE = "coverage.json"
"""Functional coverage, in the directory of a run; see `ptychopress.sim.coverage`."""

COVERAGE_OPTIONS = ("--coverage-line", "--coverage-toggle")
"""What makes Verilator count."""


@dataclass(frozen=True, order=True)
class Line:
    """A statement or a branch, the same in all configurations of a block.

    Parameters
    ----------
    where : str
        Module, and the signal that it is for.
    branch : str
        Verilator's word: block, if, else, elsif, case, cond_then, cond_else.
    text : str
        The line with its numbered signals replaced by what they are, and ``#`` for widths, constants and indices.
    """

    where: str
    branch: str
    text: str


@dataclass(frozen=True)
class Waiver:
    """Lines that need not be reached.

    Parameters
    ----------
    bench : str
    where, text : str
        Patterns of what a `Line` says.
    reason : str
    """

    bench: str
    where: str
    text: str
    reason: str

    def covers(self, bench: str, line: Line) -> bool:
        """Whether it excuses that line."""
        return bench == self.bench and fnmatchcase(line.where, self.where) and fnmatchcase(line.text, self.text)


WAIVERS: tuple[Waiver, ...] = (
    Waiver("core", "dut.registers*", "*", "the bench registers reads and writes every register, bit by bit"),
    Waiver("core", "dut.intake.encoder overrun", "if (((& word))) begin", "not reloadable: no table comes"),
    Waiver(
        "core",
        "dut.payloads descriptor",
        "if (((*r_data# >= #) & *r_data#)) begin",
        "`sim/core_upsets.py` upsets two bits",
    ),
    Waiver("core", "dut.payloads w_data", "(i__payload >= #) ? (*weights) : #;", "raw only: no mode projects"),
    Waiver("core", "dut.payloads.projector *", "if (excess) begin", "no frame behind the frame guard is too long"),
    Waiver("core", "dut.payloads.projector row_end", "(row_end) ? # : #;", "one step a beat: each ends one"),
    Waiver("core", "dut.payloads.projector $like", "?'h?:", "the bench projector shifts by every number of bits"),
    Waiver("core", "dut.payloads.projector.memory *", r"if ((\$signal# )) begin", "one lane: `lane != 0` never holds"),
    Waiver("core", "dut.payloads.rice.chooser o__payload", "(run < #) ? *", "the bench rice has runs as long as any"),
    Waiver("core", "dut.payloads.rice.collector place", "((! place) | i__payload) ? # : *", "one block a row"),
    Waiver("encoder", "dut.block valid_7", "if (advance) begin", "9 bits run without stalls; fewer stages have them"),
    Waiver("projector", "dut.block.memory *", "if ((beat)) begin", "one beat a frame: `beat != 0` never holds"),
    Waiver("projector", "dut.block.memory *", r"if ((\$signal# )) begin", "one column: `column != 0` never holds"),
    Waiver("projector", "dut.block beat_end", "(i__payload | beat_end) ? # : #;", "one beat a frame: each ends one"),
    Waiver("projector", "dut.block* row_end", "(row_end) ? # : #;", "one step a beat: each ends one"),
    Waiver("rice", "dut.block.collector o__payload", "2'h3:", "two codes of 1 bit add up to 2 at most"),
    Waiver("rice", "dut.block.former register", "2'h3:", "two codes of 1 bit add up to 2 at most"),
    Waiver("rice", "dut.block.collector step", "step ? (step + #) : #;", "a block a beat: the step is always 0"),
    Waiver("rice", "dut.block.collector place", "if ((! step)) begin", "a block a beat: the step is always 0"),
)
"""All that the benches leave out, and why."""


@dataclass(frozen=True)
class RunCoverage:
    """Coverage of one run.

    Parameters
    ----------
    run, bench : str
        Names.
    lines : Counter of Line
        How often each was reached.
    numbers : dict of Line to int
        Where it stands in the Verilog of this run.
    toggles, toggled : int
        Bits times two directions, and those that were seen.
    untoggled : tuple of str
        Signals with bits that did not go up, or not down.
    bins : dict of str to dict of str to int
        Functional coverage: hits of each bin of each point.
    """

    run: str
    bench: str
    lines: Counter[Line]
    numbers: dict[Line, int]
    toggles: int
    toggled: int
    untoggled: tuple[str, ...]
    bins: dict[str, dict[str, int]]


@dataclass(frozen=True)
class BenchCoverage:
    """Coverage of a bench.

    Parameters
    ----------
    bench : str
    runs : tuple of RunCoverage
    """

    bench: str
    runs: tuple[RunCoverage, ...]

    @cached_property
    def lines(self) -> Counter[Line]:
        """How often each line was reached in all runs."""
        total: Counter[Line] = Counter()
        for one in self.runs:
            total.update(one.lines)
        return total

    @cached_property
    def unreached(self) -> list[Line]:
        """Lines that no run reached, waived or not."""
        return sorted(line for line, count in self.lines.items() if not count)

    @property
    def toggles(self) -> int:
        """Bits times two directions, of all runs."""
        return sum(one.toggles for one in self.runs)

    @property
    def toggled(self) -> int:
        """Those that were seen."""
        return sum(one.toggled for one in self.runs)

    @cached_property
    def bins(self) -> dict[str, Counter[str]]:
        """Hits of each bin of each point in all runs."""
        total: dict[str, Counter[str]] = defaultdict(Counter)
        for one in self.runs:
            for point, hits in one.bins.items():
                total[point].update(hits)
        return dict(total)

    def place(self, line: Line) -> tuple[str, int]:
        """Name of a run that has the line, and where."""
        one = next(one for one in self.runs if line in one.numbers)
        return one.run, one.numbers[line]

    def waived(self, waivers: Sequence[Waiver] = WAIVERS) -> dict[Line, Waiver]:
        """Lines that were not reached and need not be."""
        found = {}
        for line in self.unreached:
            for waiver in waivers:
                if waiver.covers(self.bench, line):
                    found[line] = waiver
                    break
        return found


def merged(runs: Iterable[RunCoverage]) -> list[BenchCoverage]:
    """Runs by the bench that they share."""
    groups: dict[str, list[RunCoverage]] = defaultdict(list)
    for one in runs:
        groups[one.bench].append(one)
    return [BenchCoverage(bench, tuple(group)) for bench, group in groups.items()]


def stale(
    covered: Sequence[BenchCoverage], complete: Collection[str], waivers: Sequence[Waiver] = WAIVERS
) -> list[Waiver]:
    """Waivers that no longer excuse anything, of the benches all of whose runs were covered."""
    used = {waiver for one in covered for waiver in one.waived(waivers).values()}
    return [waiver for waiver in waivers if waiver not in used and waiver.bench in complete]


def read_counts(path: Path) -> Counter[tuple[tuple[str, str], ...]]:
    """Read what Verilator wrote: the count of every point, a point being its sorted fields.

    Raises
    ------
    ValueError
        If the file is none of Verilator's.
    """
    lines = path.read_text(encoding="latin-1").splitlines()
    if not lines or not lines[0].startswith("# SystemC::Coverage"):
        raise ValueError(f"{path}: no coverage file of Verilator's, which begins with '# SystemC::Coverage'")
    counts: Counter[tuple[tuple[str, str], ...]] = Counter()
    for number, line in enumerate(lines[1:], start=2):
        match = re.fullmatch(r"C '(.*)' (\d+)", line)
        if match is None:
            raise ValueError(f"{path}, line {number}: expected C '...' COUNT, got {line[:60]!r}")
        # Each field is \1 name \2 value.
        fields = [field.partition("\2") for field in match[1].split("\1")[1:]]
        counts[tuple(sorted((name, value) for name, _, value in fields))] += int(match[2])
    return counts


def run_coverage(run: str, bench: str, directory: Path) -> RunCoverage:
    """Coverage of a run from the files in its directory.

    Raises
    ------
    FileNotFoundError, ValueError
        If the run has left no counts, or others.
    """
    verilog = _Verilog((directory / VERILOG_FILE).read_text())
    lines: Counter[Line] = Counter()
    numbers: dict[Line, int] = {}
    toggles, toggled = 0, 0
    still: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for point, count in read_counts(directory / COVERAGE_FILE).items():
        fields = dict(point)
        what, module = _decoded(fields["o"]), _decoded(fields["h"])
        if fields["page"].startswith("v_toggle"):
            toggles += 1
            toggled += count > 0
            if not count:
                signal, direction = what.rsplit(":", 1)
                name, bit = _bit(signal)
                still[f"{module} {name}"][direction].add(bit)
            continue
        number = int(fields["l"])
        if not _WAKE.fullmatch(verilog.lines[number - 1].strip()):
            line = Line(f"{module} {verilog.signal(number)}", what, verilog.expanded(number))
            # Of several that look the same the one that was not reached shows.
            lines[line] = min(lines.get(line, count), count)
            numbers[line] = number
    functional = directory / FUNCTIONAL_FILE
    return RunCoverage(
        run=run,
        bench=bench,
        lines=lines,
        numbers=numbers,
        toggles=toggles,
        toggled=toggled,
        untoggled=tuple(f"{name}: {_directions(bits)}" for name, bits in sorted(still.items())),
        bins=json.loads(functional.read_text()) if functional.exists() else {},
    )


# Yosys' own line, without a statement: it starts a process at time 0.
_WAKE = re.compile(r"if \(\\\$auto\$verilog_backend.*\) begin end")
_ASSIGNED = re.compile(r"\s*(?:assign )?(\\?[^\s=(]+)(?: +\[[\d:]+\])? *<?= (.*);")
# Amaranth's are \$12 , yosys' own _12_: what is read of a memory.
_NUMBERED = re.compile(r"\\\$\d+(?:\$\d+)? |\b_\d+_\b ?")
_LONGEST = 200


class _Verilog:
    """Text as yosys writes it: an always block drives one signal, and what has no name has a number."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()
        self._begin = [0] * len(self.lines)
        # Of each module, by its first line: what numbered signals are, and where they go.
        self._meaning: dict[int, dict[str, str]] = defaultdict(dict)
        self._target: dict[int, dict[str, str]] = defaultdict(dict)
        begin = 0
        for k, line in enumerate(self.lines):
            if line.startswith("module "):
                begin = k
            self._begin[k] = begin
            if match := _ASSIGNED.match(line):
                name, value = match[1], match[2]
                if line.lstrip().startswith("assign "):
                    self._meaning[begin][name] = value
                for used in _NUMBERED.findall(value):
                    self._target[begin].setdefault(used.strip(), name)

    def signal(self, number: int) -> str:
        """Name of the signal that a line is for: what its block assigns, or where that goes."""
        numbers = range(number - 1, len(self.lines))
        ahead = (match for k in numbers if (match := _ASSIGNED.match(self.lines[k])))
        match = next(ahead, None)
        name = match[1] if match else ""
        targets, seen = self._target[self._begin[number - 1]], set()
        while _NUMBERED.fullmatch(f"{name} ") and name not in seen:
            seen.add(name)
            name = targets.get(name, name)
        return re.sub(r"\$\d+$|\[[\d:]+\]$", "", name.lstrip("\\"))

    def expanded(self, number: int) -> str:
        """The line in terms of signals that have names, without numbers; a case as it is."""
        meaning = self._meaning[self._begin[number - 1]]
        text = re.sub(r"^assign .*? = ", "", self.lines[number - 1].strip())
        for _ in range(4):
            longer = _NUMBERED.sub(lambda match: f"({meaning.get(match[0].strip(), '#')})", text)
            if longer == text or len(longer) > _LONGEST:
                break
            text = longer
        if text.endswith(":"):
            return text
        text = re.sub(r" ?\[\d+(?::\d+)?\]", "", _NUMBERED.sub("# ", text))
        return re.sub(r"\$\d+|\d+'s?[hd][0-9a-fx]+", "#", text)[:_LONGEST]


def _decoded(name: str) -> str:
    """Verilator writes what is not a letter or digit as __0 and two hexadecimal digits."""
    return re.sub(r"__0([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), name)


def _bit(signal: str) -> tuple[str, int]:
    """A signal's name without its last index, and the index: -1 if it has none."""
    match = re.fullmatch(r"(.*)\[(\d+)\]", signal)
    return (match[1], int(match[2])) if match else (signal, -1)


def _directions(bits: dict[str, set[int]]) -> str:
    return ", ".join(f"no {direction}{_ranges(found)}" for direction, found in sorted(bits.items()))


def _ranges(bits: set[int]) -> str:
    """Bits as Verilog slices, highest first; nothing for a signal of one bit."""
    if bits == {-1}:
        return ""
    text: list[str] = []
    for bit in sorted(bits, reverse=True):
        if bit + 1 not in bits:
            low = bit
            while low - 1 in bits:
                low -= 1
            text.append(f"{bit}:{low}" if low < bit else str(bit))
    return f" [{', '.join(text)}]"
