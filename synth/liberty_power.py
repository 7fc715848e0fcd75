# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What a Liberty file says of energy: capacitance of pins, energy of transitions, leakage, and how fast edges are."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .liberty import Function, Library


@dataclass
class Group:
    """A group of a Liberty text: ``kind (argument) { ... }``.

    Attributes
    ----------
    kind, argument : str
    values : dict of str to str
        Simple attributes, and complex ones with their arguments as they stand.
    groups : list of Group
    """

    kind: str
    argument: str
    values: dict[str, str] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    def of(self, kind: str) -> list["Group"]:
        """Groups of a kind."""
        return [group for group in self.groups if group.kind == kind]


_TOKEN = re.compile(
    r"""/\*.*?\*/
    | (?P<name>\w+) \s* : \s* (?P<value>"[^"]*"|[^;\n}"]+)
    | (?P<kind>\w+) \s* \( (?P<argument>[^()]*) \) \s* (?P<open>\{)?
    | (?P<close>\})""",
    re.VERBOSE | re.DOTALL,
)


def parse(text: str) -> Group:
    """The library of a Liberty text that `Library` has read before: its braces match."""
    top = Group("", "")
    path = [top]
    for token in _TOKEN.finditer(text):
        if token["name"]:
            path[-1].values[token["name"]] = token["value"].strip().strip('"')
        elif token["open"]:
            group = Group(token["kind"], token["argument"].strip().strip('"'))
            path[-1].groups.append(group)
            path.append(group)
        elif token["kind"]:
            path[-1].values[token["kind"]] = token["argument"]
        elif token["close"]:
            path.pop()
    return top.of("library")[0]


@dataclass(frozen=True)
class Table:
    """Values over the transition time at an input, and the load of the output.

    Parameters
    ----------
    axes : tuple of (str, numpy.ndarray)
        "transition" (s) or "load" (F), and the points; the first is the slowest.
    values : numpy.ndarray
    """

    axes: tuple[tuple[str, NDArray[np.float64]], ...]
    values: NDArray[np.float64]

    def __call__(self, transition: float, load: float) -> float:
        """Value, linearly interpolated; beyond the ends of an axis that at its end."""
        values = self.values
        for axis, points in reversed(self.axes):
            at = {"transition": transition, "load": load}[axis]
            high = int(np.clip(np.searchsorted(points, at), 1, len(points) - 1))
            part = np.clip((at - points[high - 1]) / (points[high] - points[high - 1]), 0, 1)
            values = values[..., high - 1] * (1 - part) + values[..., high] * part
        return float(values)


@dataclass(frozen=True)
class Energy:
    """Energy that a cell takes for a transition of a pin, beside that of its load.

    Parameters
    ----------
    related : tuple of str
        Inputs that the transition of an output may come from; empty for a transition of an input.
    when : Function or None
        State of the cell that it holds in.
    rail : str
        Supply that it comes from: energies of several add up.
    rise, fall : Table
        J.
    """

    related: tuple[str, ...]
    when: Function | None
    rail: str
    rise: Table
    fall: Table


@dataclass(frozen=True)
class CellPower:
    """What a cell takes.

    Parameters
    ----------
    capacitance : dict of str to float
        Of each input, F.
    energies : dict of str to list of Energy
        By pin that moves.
    edges : dict of str to list of (str, Table)
        By output: an input that moves it, and the transition time at the output, s.
    leakage : dict of str to list of (Function or None, float)
        By supply: W in a state; None for all others.
    """

    capacitance: dict[str, float]
    energies: dict[str, list[Energy]]
    edges: dict[str, list[tuple[str, Table]]]
    leakage: dict[str, list[tuple[Function | None, float]]]


@dataclass(frozen=True)
class PowerLibrary:
    """Energies of a library's cells.

    Parameters
    ----------
    volts : float
        Supply, the library's nominal voltage.
    cells : dict of str to CellPower
    """

    volts: float
    cells: dict[str, CellPower]

    @classmethod
    def of(cls, library: Library, names: Iterable[str]) -> "PowerLibrary":
        """Energies of these cells.

        Raises
        ------
        ValueError
            For a library without a Liberty text, voltage, units, or one of the cells.
        """
        wanted = set(names)
        volts: set[float] = set()
        cells: dict[str, CellPower] = {}
        for text in library.texts:
            group = parse(text)
            try:
                scale = _Scale(group)
                volts.add(float(group.values["nom_voltage"]))
            except (KeyError, ValueError) as error:
                raise ValueError(f"library {library.name}: no energies without units and voltage: {error}") from None
            cells |= {cell.argument: scale.cell(cell) for cell in group.of("cell") if cell.argument in wanted}
        if len(volts) != 1:
            raise ValueError(f"library {library.name} has {len(volts)} nominal voltages, energies take one")
        if missing := sorted(wanted - cells.keys()):
            raise ValueError(f"library {library.name} has no cell {missing[0]}")
        return cls(volts.pop(), cells)


_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}


class _Scale:
    """Units of a library, and its cells in SI units."""

    def __init__(self, library: Group) -> None:
        number, unit = (part.strip().strip('"') for part in library.values["capacitive_load_unit"].split(","))
        self.farad = float(number) * _PREFIXES[unit.lower().removesuffix("f")]
        self.second = _unit(library.values["time_unit"], "s")
        self.watt = _unit(library.values["leakage_power_unit"], "W")
        # Liberty has no unit of energy: it follows from those of capacitance and voltage.
        self.joule = self.farad * _unit(library.values["voltage_unit"], "V") ** 2
        self.default_capacitance = library.values.get("default_input_pin_cap", "0")
        templates = [*library.of("lu_table_template"), *library.of("power_lut_template")]
        self.templates = {template.argument: template for template in templates}

    def cell(self, cell: Group) -> CellPower:
        """A cell in SI units."""
        pins = {pin.argument: pin for pin in cell.of("pin")}
        inputs = {name: pin for name, pin in pins.items() if pin.values.get("direction") == "input"}
        leakage: dict[str, list[tuple[Function | None, float]]] = {}
        for group in cell.of("leakage_power"):
            value = float(group.values["value"]) * self.watt
            leakage.setdefault(group.values.get("related_pg_pin", ""), []).append((_when(group), value))
        if not leakage and "cell_leakage_power" in cell.values:
            leakage[""] = [(None, float(cell.values["cell_leakage_power"]) * self.watt)]
        return CellPower(
            {
                name: float(pin.values.get("capacitance", self.default_capacitance)) * self.farad
                for name, pin in inputs.items()
            },
            {name: list(self._energies(pin)) for name, pin in pins.items()},
            {name: list(self._edges(pin)) for name, pin in pins.items() if name not in inputs},
            leakage,
        )

    def _energies(self, pin: Group) -> Iterator[Energy]:
        for group in pin.of("internal_power"):
            tables = {part.kind: self._table(part, self.joule) for part in group.groups}
            both = tables.get("power")
            rise, fall = tables.get("rise_power", both), tables.get("fall_power", both)
            if rise is not None and fall is not None:
                related = tuple(group.values.get("related_pin", "").split())
                yield Energy(related, _when(group), group.values.get("related_pg_pin", ""), rise, fall)

    def _edges(self, pin: Group) -> Iterator[tuple[str, Table]]:
        for group in pin.of("timing"):
            for part in group.groups:
                if part.kind in ("rise_transition", "fall_transition"):
                    for related in group.values.get("related_pin", "").split():
                        yield related, self._table(part, self.second)

    def _table(self, group: Group, unit: float) -> Table:
        values = _numbers(group.values["values"]) * unit
        if values.size == 1:
            return Table((), values[0])
        template = self.templates[group.argument]
        axes = []
        for number in (1, 2):
            name, variable = f"index_{number}", template.values.get(f"variable_{number}")
            if variable is not None:
                points = _numbers(group.values.get(name, template.values.get(name, "")))
                load = "capacitance" in variable
                axes.append(("load" if load else "transition", points * (self.farad if load else self.second)))
        shape = [len(points) for _, points in axes]
        # An axis of one point says nothing.
        axes = [(kind, points) for kind, points in axes if len(points) > 1]
        return Table(tuple(axes), values.reshape(shape).reshape([len(points) for _, points in axes]))


def _unit(text: str, unit: str) -> float:
    found = re.fullmatch(rf"([\d.]+)\s*([munpf]?){unit}", text)
    if found is None:
        raise ValueError(f"unit {text!r}")
    return float(found[1]) * _PREFIXES[found[2]]


def _numbers(text: str) -> NDArray[np.float64]:
    return np.array([float(number) for number in re.findall(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?", text)])


def _when(group: Group) -> Function | None:
    return Function(group.values["when"]) if "when" in group.values else None
