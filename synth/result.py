# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What came of a synthesis: one type for all targets, its JSON, and the comparison of two of them."""

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self, get_args, get_origin, get_type_hints

NOISE = 0.02
"""Part by which an area moves when the same logic is merely written in another order: ABC's heuristics do that."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Cells of an FPGA, in the family's own kinds.

    Parameters
    ----------
    lut : int
        Look-up tables, those in carry chains and those that are memory among them.
    carry : int
        Of `lut`, those in carry chains; of a family whose carry cells stand beside the tables, these cells.
    memory_lut : int
        Of `lut`, those that are memory or shift registers.
    flip_flops, dsp, block_ram : int
    large_ram : int
        Memories of a second, larger kind, where there is one.
    """

    lut: int = 0
    carry: int = 0
    memory_lut: int = 0
    flip_flops: int = 0
    dsp: int = 0
    block_ram: int = 0
    large_ram: int = 0


@dataclass(frozen=True, kw_only=True)
class Result:
    """A design on a target.

    Parameters
    ----------
    design : str
        Name of configuration and block.
    configuration : dict
        What was synthesised, as plain values.
    target : str
        Family, device and speed grade, or library.
    tools : dict of str to str
        Versions of all that had a hand in it.
    options : dict
        Of the run: seeds, clock.
    resources : Resources or None
        FPGA.
    capacity : Resources or None
        Of the device.
    area : float or None
        ASIC: cells, in `area_unit`, without the memories of `memory_bits`.
    area_unit : str
    gate_equivalents : float or None
        `area` over that of the library's smallest two-input NAND.
    memory_bits : dict of str to int
        ASIC: memories that would be macros, by their place, with their bits.
    hierarchy : dict of str to float
        ASIC: gate equivalents of every block, those inside it among them, by its place; "" is the whole.
    fmax : dict of int to float
        FPGA: clock rate by seed, MHz, from register to register.
    path_ns : float or None
        Longest path: of the median seed; of an ASIC before layout.
    critical_path : str
        Its parts, one a line.
    frame_clocks : dict of str to int
        Clocks of a frame at full rate, by mode; of a single block under its own name.
    """

    design: str
    configuration: dict[str, Any]
    target: str
    tools: dict[str, str]
    options: dict[str, Any] = field(default_factory=dict)
    resources: Resources | None = None
    capacity: Resources | None = None
    area: float | None = None
    area_unit: str = ""
    gate_equivalents: float | None = None
    memory_bits: dict[str, int] = field(default_factory=dict)
    hierarchy: dict[str, float] = field(default_factory=dict)
    fmax: dict[int, float] = field(default_factory=dict)
    path_ns: float | None = None
    critical_path: str = ""
    frame_clocks: dict[str, int] = field(default_factory=dict)

    @property
    def mhz(self) -> float | None:
        """Clock rate: that of the median seed, the lower of two; without placement that of the longest path."""
        if self.fmax:
            return statistics.median_low(self.fmax.values())
        return 1000 / self.path_ns if self.path_ns else None

    @property
    def frames_per_second(self) -> dict[str, float]:
        """Frame rate at that clock, by mode."""
        return {mode: 1e6 * self.mhz / clocks for mode, clocks in self.frame_clocks.items()} if self.mhz else {}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the figures that follow from the others."""
        return asdict(self) | {"mhz": self.mhz, "frames_per_second": self.frames_per_second}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Result of what `to_dict` gave, after a way through JSON.

        Raises
        ------
        ValueError
            If it is no such thing.
        """
        known = {item.name for item in fields(cls)}
        try:
            given = {name: value for name, value in values.items() if name in known}
            given["fmax"] = {int(seed): float(rate) for seed, rate in given.get("fmax", {}).items()}
            for name in ("resources", "capacity"):
                if given.get(name) is not None:
                    given[name] = Resources(**given[name])
            made = cls(**given)
            for one in (made, made.resources, made.capacity):
                _check(one)
            return made
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise ValueError(f"not a result of a synthesis: {error}") from None


def _check(made: Any) -> None:
    """Raise a TypeError if a field of a dataclass holds what its annotation does not allow."""
    for name, kind in {} if made is None else get_type_hints(type(made)).items():
        if not _allowed(getattr(made, name), kind):
            raise TypeError(f"{name}: {getattr(made, name)!r}")


def _allowed(value: Any, kind: Any) -> bool:
    inside = get_args(kind)
    if kind is Any:
        return True
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(
            _allowed(key, inside[0]) and _allowed(item, inside[1]) for key, item in value.items()
        )
    if inside:
        return any(_allowed(value, one) for one in inside)
    return isinstance(value, (int, float) if kind is float else kind)


@dataclass(frozen=True)
class Change:
    """One figure of two runs.

    Parameters
    ----------
    figure : str
    before, now : float
    noise : float
        Difference up to which the two count as equal.
    more_is_better : bool
    """

    figure: str
    before: float
    now: float
    noise: float
    more_is_better: bool = False

    @property
    def verdict(self) -> str:
        """better, worse, or within noise."""
        difference = self.now - self.before
        if abs(difference) <= self.noise:
            return "equal" if difference == 0 else "within noise"
        return "better" if (difference > 0) == self.more_is_better else "worse"


def compare(before: Result, now: Result) -> list[Change]:
    """Figures that both runs have.

    The noise of a clock rate is half the spread of the seeds, of the run that has the larger one. Cells are what
    synthesis made, in which nothing is drawn; but the same logic in another order moves an area by `NOISE` of it.
    """
    changes = []
    if before.mhz and now.mhz:
        spread = [max(run.fmax.values()) - min(run.fmax.values()) if run.fmax else 0.0 for run in (before, now)]
        noise = max(spread) / 2 if now.fmax else NOISE * before.mhz
        changes.append(Change("MHz", before.mhz, now.mhz, noise, more_is_better=True))
    if before.resources and now.resources:
        for item in fields(Resources):
            old, new = getattr(before.resources, item.name), getattr(now.resources, item.name)
            # What is counted by the dozen is exact, and has no order that would move it.
            noise = NOISE * old if item.name in ("lut", "carry", "flip_flops") else 0
            if old or new:
                changes.append(Change(item.name.replace("_", " "), old, new, noise))
    if before.gate_equivalents is not None and now.gate_equivalents is not None:
        old = before.gate_equivalents
        changes.append(Change("gate equivalents", old, now.gate_equivalents, NOISE * old))
        changes.append(Change("memory bits", sum(before.memory_bits.values()), sum(now.memory_bits.values()), 0))
    for mode in before.frame_clocks.keys() & now.frame_clocks.keys():
        changes.append(Change(f"clocks a frame, {mode}", before.frame_clocks[mode], now.frame_clocks[mode], 0))
    return changes


def differences(before: Result, now: Result) -> list[str]:
    """What was not the same in two runs of one design: configuration, options, tools; one line each."""
    lines = []
    for title in ("configuration", "options", "tools"):
        old, new = (_flat(getattr(run, title)) for run in (before, now))
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                lines.append(f"{title} {key}: {old.get(key, 'none')} before, {new.get(key, 'none')} now")
    return lines


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat
