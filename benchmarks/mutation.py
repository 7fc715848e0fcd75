# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Faults of one bit planted all over the generated RTL, and how many the benches notice.

Usage: python benchmarks/mutation.py RESULTS.jsonl [--only PATTERN] [--sample 20] [--minutes 7] [--seed 1] [--json]

Each mutant meets the bench of its block in Icarus until the first test fails. One that passes all is handed to ABC:
"equal" is a proof that no input can tell it from the block, at any time. What is left has survived. Results are kept
in the file, a line a mutant; a second run goes on where the first stopped. Exit status 1 if less than 95 % of those
that are not equal are killed.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ptychopress.cli.console import progress_bar
from ptychopress.hdl.code_projector import CodeProjector
from ptychopress.hdl.encoder import ShiftEncoder, TableEncoder, ThresholdEncoder
from ptychopress.hdl.packer import Packer
from ptychopress.hdl.packetizer import Packetizer
from ptychopress.hdl.projector import Projector
from ptychopress.hdl.registers import RegisterFile
from ptychopress.model.codebook import Codebook
from ptychopress.model.config import CoreConfig
from ptychopress.model.packet import Sizes
from ptychopress.model.projection import ProjectionFormat
from ptychopress.model.registers import core_registers
from ptychopress.sim.mutants import run_mutants
from ptychopress.sim.packetizer_port import PacketizerPort
from ptychopress.sim.run import REGRESSIONS, SMALL_CORES, top_of
from ptychopress.synth.mutation import Mutants, equal, plant

ENOUGH = 0.95
AT_A_TIME = 25
# By bench, tests that find most faults in a fraction of the time; who passes them meets all.
PRESSURE = "back_pressure/source=random/sink=random"
FIRST = {
    "encoder": ("every_count", PRESSURE, "reset_mid_stream"),
    "projector": ("extremes", PRESSURE, "reset_mid_stream"),
    "packer": (PRESSURE,),
    "framer": ("every_length", PRESSURE, "reset_mid_stream"),
    "core": ("frames/.*",),
    "registers": ("reset_values", "every_address", "shown", "accesses/master=random/answers=random"),
}


@dataclass(frozen=True)
class Target:
    """A block in its smallest size that has everything, its bench, how many mutants, and in which modules."""

    bench: str
    block: Callable[[], Any]
    mutants: int
    modules: str = "*"


def projector() -> Projector:
    """Three beats a frame, two steps a beat; the last of each is not full."""
    size = ProjectionFormat(pixels=5, components=3, input_bits=2, weight_bits=3, output_bits=4)
    return Projector(size, lanes=2, columns=2)


def code_projector() -> CodeProjector:
    """An encoder of 4 bit codes before it."""
    size = ProjectionFormat(pixels=3, components=2, input_bits=4, weight_bits=2, output_bits=3)
    encoder = ShiftEncoder(Codebook.named("sqrt-b", 6), lanes=2, input_bits=7)
    return CodeProjector(encoder, Projector(size, lanes=2, columns=2))


def packetizer() -> PacketizerPort:
    """Two payloads of up to 12 octets wait."""
    sizes = Sizes(word_octets=4, count_bits=14, code_bits=8, width=72, height=36, components=65536)
    return PacketizerPort(Packetizer(sizes, largest=12, frames=2))


TARGETS = {
    "encoder/shift": Target("encoder", lambda: ShiftEncoder(Codebook.named("sqrt-b", 6), lanes=2, input_bits=8), 50),
    "encoder/threshold": Target(
        "encoder", lambda: ThresholdEncoder(Codebook.from_edges([0, 1, 5, 8], name="tiny"), lanes=2, input_bits=4), 60
    ),
    "encoder/table": Target("encoder", lambda: TableEncoder(Codebook.named("sqrt-c", 6), lanes=2, input_bits=7), 15),
    "projector/counts": Target("projector", projector, 70),
    "projector/codes": Target("projector", code_projector, 10),
    "packet/packer": Target("packer", lambda: Packer(5, 2, 2), 20),
    "packet/packetizer": Target("framer", packetizer, 60),
    "packet/frame guard": Target("core", REGRESSIONS["core-raw"].block, 10, "dut.*guard*"),
    "registers/core": Target(
        "registers", lambda: RegisterFile(core_registers(CoreConfig.from_dict(SMALL_CORES["core-all-modes"]))), 60
    ),
}


def campaign(name: str, target: Target, count: int, seed: int, path: Path, deadline: float) -> None:
    """Judge the mutants of a target that the results do not have yet."""
    mutants = plant(top_of(target.block()), count, seed, target.modules)
    key = identity(mutants)
    done = {row["number"] for row in read(path) if row["target"] == name and row["key"] == key}
    waiting = [number for number in range(len(mutants.mutations) + 1) if number not in done]
    with progress_bar() as bars, tempfile.TemporaryDirectory(prefix="ptychopress-mutants-") as directory:
        bar = bars.add_task(name, total=len(mutants.mutations) + 1, completed=len(done))
        while waiting and time.monotonic() < deadline:
            some, waiting = waiting[:AT_A_TIME], waiting[AT_A_TIME:]
            failures = {}
            for tests in (FIRST[target.bench], ()):
                left = [number for number in some if failures.get(number) is None]
                if left:
                    failures |= run_mutants(
                        mutants.verilog, target.block(), target.bench, left, Path(directory), tests=tests, seed=seed
                    )
            for number, failure in failures.items():
                row = {"target": name, "key": key, "count": count, "number": number, **judged(mutants, number, failure)}
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                bars.advance(bar)


def identity(mutants: Mutants) -> str:
    """What the results hold for: logic and faults, but not the lines of the sources that they come from."""
    text = mutants.verilog + "".join(mutation.command for mutation in mutants.mutations)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def judged(mutants: Mutants, number: int, failure: Any) -> dict[str, Any]:
    """What became of a mutant; number 0 is the block as it is."""
    if number == 0:
        if failure is not None:
            raise ValueError(f"the block itself fails its bench: {failure}")
        return {"outcome": "healthy"}
    row = {"mutation": str(mutants.mutations[number - 1])}
    if failure is not None:
        return row | {"outcome": "killed", "test": failure.test, "message": failure.message[:200]}
    return row | {"outcome": {"equal": "equal"}.get(verdict := equal(mutants, number), "survived"), "proof": verdict}


def read(path: Path) -> list[dict[str, Any]]:
    """All rows of the results."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def current(path: Path, planned: dict[str, int]) -> list[dict[str, Any]]:
    """Rows of these targets, without those of RTL that has changed since."""
    rows = [row for row in read(path) if planned.get(row["target"]) == row["count"]]
    key = {row["target"]: row["key"] for row in rows}
    return [row for row in rows if row["key"] == key[row["target"]]]


def show(rows: list[dict[str, Any]], planned: dict[str, int]) -> None:
    """Print the table, and who survived."""
    print("| block | planted | judged | killed | equal (proven) | survived | killed of those not equal |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    total: Counter[str] = Counter()
    for name, count in planned.items():
        found = Counter(row["outcome"] for row in rows if row["target"] == name)
        total += found + Counter(planted=count)
        print(line(name, found, count))
    print(line("all", total, total["planted"]))
    for row in rows:
        if row["outcome"] == "survived":
            print(f"survived, {row['proof']}: {row['target']} {row['number']}: {row['mutation']}")


def line(name: str, found: Counter[str], planted: int) -> str:
    """Return a row of the table."""
    killed, same, survived = (found[outcome] for outcome in ("killed", "equal", "survived"))
    rate = f"{killed / (killed + survived):.1%}" if killed else "-"
    return f"| {name} | {planted} | {killed + same + survived} | {killed} | {same} | {survived} | {rate} |"


def main() -> int:
    """Run what is missing, print the table, return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="JSON lines; made, or gone on with")
    parser.add_argument("--only", default="*", help=f"pattern of targets: {', '.join(TARGETS)}")
    parser.add_argument("--sample", type=int, help="mutants of each target, instead of the full number")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after about so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * options.minutes
    planned = {name: options.sample or one.mutants for name, one in TARGETS.items() if fnmatchcase(name, options.only)}
    for name, count in planned.items():
        if time.monotonic() < deadline:
            campaign(name, TARGETS[name], count, options.seed, options.results, deadline)
    rows = current(options.results, planned)
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        show(rows, planned)
    found = Counter(row["outcome"] for row in rows)
    return int(found["killed"] < ENOUGH * (found["killed"] + found["survived"]))


if __name__ == "__main__":
    sys.exit(main())
