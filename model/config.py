# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Configuration of a detector core: one tree of frozen dataclasses, read from TOML, checked once."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from .codebook import Codebook
from .projection import ProjectionFormat
from .rice import RiceFormat
from .verilog_names import is_module_name


class Mode(IntEnum):
    """What a packet's payload is; the number is that of the packet's header and of the register."""

    RAW = 0
    """Counts, packed."""
    CODES = 1
    """Codes, packed."""
    ZEROMASK = 2
    """Codes, a bit mask of those that are not 0 in front of those that are not."""
    RICE = 3
    """Codes, Rice coded after CCSDS 121.0-B."""
    COUNT_COEFFICIENTS = 4
    """Coefficients of counts."""
    CODE_COEFFICIENTS = 5
    """Coefficients of codes."""

    @property
    def label(self) -> str:
        """Name in configurations and on the command line."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def labelled(cls, label: str) -> "Mode":
        """The mode of that `label`.

        Raises
        ------
        ValueError
            If there is none.
        """
        for mode in cls:
            if mode.label == label:
                return mode
        raise ValueError(f"mode {label!r}: known are {', '.join(mode.label for mode in cls)}")

    @property
    def projects(self) -> bool:
        """Whether the payload is coefficients."""
        return self >= Mode.COUNT_COEFFICIENTS


def payload_bits(
    mode: Mode,
    *,
    pixels: int,
    count_bits: int,
    code_bits: int,
    rice_block: int,
    coefficients: int,
    coefficient_bits: int,
) -> int:
    """Bits of the largest payload of a mode."""
    match mode:
        case Mode.RAW:
            return pixels * count_bits
        case Mode.CODES:
            return pixels * code_bits
        case Mode.ZEROMASK:
            # The mask is whole octets.
            return 8 * -(-pixels // 8) + pixels * code_bits
        case Mode.RICE:
            # Split with as many bits as a code has costs one more each; of 8 bits a code may go as it is.
            sample = 8 if code_bits <= 8 else 16
            return pixels // rice_block * ((3 if sample == 8 else 4) + rice_block * min(sample, code_bits + 1))
        case _:
            return coefficients * coefficient_bits


@dataclass(frozen=True, kw_only=True)
class FrameConfig:
    """The detector.

    Parameters
    ----------
    height, width : int
        Pixels of a frame.
    count_bits : int
        Of a count, 1 to 16.
    lanes : int
        P, pixels a clock, a power of two that divides the pixels of a row.
    """

    height: int
    width: int
    count_bits: int = 14
    lanes: int = 8

    def __post_init__(self) -> None:
        _check(self, height=(1, 4096), width=(1, 4096), count_bits=(1, 16), lanes=(1, 64))
        if self.lanes & (self.lanes - 1) or self.width % self.lanes:
            raise ValueError(f"frame.lanes: {self.lanes}, expected a power of two that divides the width {self.width}")

    @property
    def pixels(self) -> int:
        """N."""
        return self.height * self.width

    @property
    def beats(self) -> int:
        """Clocks of a frame at full rate."""
        return self.pixels // self.lanes


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The encoder.

    Parameters
    ----------
    codebook : str
        Name of a rule, see `Codebook.names`.
    parameters : mapping of str to float
        Of the rule.
    edges : tuple of int
        Bin edges of a codebook of your own, as `Codebook` has them; `codebook` is then its name.
    reloadable : bool
        Whether the codebook can be changed at run time: a `ThresholdEncoder`. Otherwise it is wired in.
    preload : bool
        Whether memories have initial values, as FPGAs allow: a reloadable encoder wakes up with that codebook, a wired
        one may keep it in protected memories. Otherwise the one waits for a table and the other is logic.
    """

    codebook: str = "sqrt-b"
    parameters: Mapping[str, float] = field(default_factory=dict)
    edges: tuple[int, ...] = ()
    reloadable: bool = False
    preload: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.edges, list | tuple) or any(type(edge) is not int for edge in self.edges):
            raise ValueError(f"encoder.edges: {self.edges!r}, expected a list of whole numbers")
        object.__setattr__(self, "edges", tuple(self.edges))
        _check(self)
        if self.edges and self.parameters:
            raise ValueError("encoder.parameters: they are for a rule, expected none beside encoder.edges")


@dataclass(frozen=True, kw_only=True)
class ProjectorConfig:
    """The projector.

    Parameters
    ----------
    components : int
        S', coefficients of a frame.
    columns : int
        C, components at a time.
    weight_bits, output_bits : int
        Of a weight and of a coefficient.
    """

    components: int = 94
    columns: int = 4
    weight_bits: int = 8
    output_bits: int = 16

    def __post_init__(self) -> None:
        _check(self, components=(1, 1 << 16), columns=(1, 1024), weight_bits=(2, 18), output_bits=(2, 32))


@dataclass(frozen=True, kw_only=True)
class OutputConfig:
    """What leaves the core.

    Parameters
    ----------
    modes : tuple of str
        What the core is built for, by label; it wakes up in the first.
    rice_block : int
        Codes of a block of the Rice coder: 8, 16 or 32, a divisor of the pixels of a row.
    buffer_frames : int
        Packets of the largest size that wait in the core at most, 2 or more.
    """

    modes: tuple[str, ...] = ("raw", "codes")
    rice_block: int = 8
    buffer_frames: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "modes", tuple(self.modes))
        _check(self, rice_block=(8, 32), buffer_frames=(2, 64))
        if not self.modes or len(set(self.modes)) < len(self.modes):
            raise ValueError(f"output.modes: {list(self.modes)}, expected one mode or more, each once")
        for label in self.modes:
            try:
                Mode.labelled(label)
            except ValueError as error:
                raise ValueError(f"output.modes: {error}") from None
        if self.rice_block not in (8, 16, 32):
            raise ValueError(f"output.rice_block: {self.rice_block}, expected 8, 16 or 32")


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """A detector core.

    Parameters
    ----------
    name : str
        Of the top module and of the files.
    frame, encoder, projector, output
        Its parts; `projector` matters only if a mode projects.
    protect : bool
        Whether memories of tables and weights carry SECDED check bits.
    reset_active_low : bool
        Whether the reset is ``aresetn``, as AXI has it, or ``areset``.
    target : str
        "portable", or "ecp5" for multipliers and memories of that family.

    Raises
    ------
    ValueError
        One line that names the field, the value and what would be accepted.
    """

    name: str = "ptychopress_core"
    frame: FrameConfig
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    projector: ProjectorConfig = field(default_factory=ProjectorConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    protect: bool = True
    reset_active_low: bool = True
    target: str = "portable"

    def __post_init__(self) -> None:
        _check(self)
        if not is_module_name(self.name):
            raise ValueError(
                f"name: {self.name!r}, expected a Verilog name of letters, digits and _, no digit first, no keyword"
            )
        if self.target not in ("portable", "ecp5"):
            raise ValueError(f"target: {self.target!r}, expected portable or ecp5")
        if Mode.RICE in self.modes and self.frame.width % self.output.rice_block:
            raise ValueError(
                f"output.rice_block: {self.output.rice_block}, expected a divisor of the width {self.frame.width}:"
                " a block of HDF5's SZIP filter ends with its row"
            )
        if Mode.RICE in self.modes and self.frame.lanes > self.output.rice_block:
            raise ValueError(
                f"frame.lanes: {self.frame.lanes}, expected at most output.rice_block, {self.output.rice_block}"
            )
        try:
            book = self.codebook
        except ValueError as error:
            raise ValueError(f"encoder.{'edges' if self.encoder.edges else 'codebook'}: {error}") from None
        if book.count_bits > self.frame.count_bits:
            raise ValueError(
                f"encoder.codebook: {book.name} takes {book.count_bits} bit counts, more than frame.count_bits"
            )
        if self.encoder.reloadable and set(self.modes) <= {Mode.RAW, Mode.COUNT_COEFFICIENTS}:
            raise ValueError("encoder.reloadable: true, expected false: none of output.modes sends codes")
        _ = self.word_octets

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        """What the core is built for; it wakes up in the first."""
        return tuple(Mode.labelled(label) for label in self.output.modes)

    @cached_property
    def codebook(self) -> Codebook:
        """That of the encoder; with a reloadable one, its first."""
        if self.encoder.edges:
            return Codebook.from_edges(self.encoder.edges, name=self.encoder.codebook)
        name, bits = self.encoder.codebook, self.frame.count_bits
        return Codebook.named(name, 10 if name == "argonne-10to7" else bits, **self.encoder.parameters)

    @property
    def projects(self) -> bool:
        """Whether there is a projector."""
        return any(mode.projects for mode in self.modes)

    @cached_property
    def projection(self) -> ProjectionFormat:
        """Sizes of the projector. With both kinds of coefficients codes go in as wide as counts."""
        counts, codes = self.frame.count_bits, self.codebook.code_bits
        return ProjectionFormat(
            pixels=self.frame.pixels,
            components=self.projector.components,
            input_bits=counts if Mode.COUNT_COEFFICIENTS in self.modes else codes,
            weight_bits=self.projector.weight_bits,
            output_bits=self.projector.output_bits,
        )

    @property
    def rice(self) -> RiceFormat:
        """Of the streams of the Rice mode."""
        return RiceFormat(width=self.frame.width, code_bits=self.codebook.code_bits, block=self.output.rice_block)

    def payload_bits(self, mode: Mode) -> int:
        """Bits of the largest payload of a mode."""
        return payload_bits(
            mode,
            pixels=self.frame.pixels,
            count_bits=self.frame.count_bits,
            code_bits=self.codebook.code_bits,
            rice_block=self.output.rice_block,
            coefficients=self.projector.components,
            coefficient_bits=self.projector.output_bits,
        )

    @cached_property
    def word_octets(self) -> int:
        """Bytes of a word of the output: the least power of two, 4 to 64, that keeps up with the input in each mode."""
        # Lanes divide a block: a run of zero blocks, which comes out at once, is to leave within the clocks of one.
        run_bits = self.rice.run_bits * self.frame.lanes / self.output.rice_block if Mode.RICE in self.modes else 0
        # The incomplete group of pixels at the end of a frame comes in fewer beats than others.
        incomplete = Mode.ZEROMASK in self.modes and self.frame.pixels % 8
        group_bits = 8 + self.frame.lanes * self.codebook.code_bits if incomplete else 0
        for octets in (4, 8, 16, 32, 64):
            words = max(-(-self.payload_bits(mode) // (8 * octets)) for mode in self.modes)
            if words + 64 // octets + 2 <= self.frame.beats and 8 * octets >= max(run_bits, group_bits):
                return octets
        if self.frame.lanes == 1:
            raise ValueError(f"frame.height: a frame of {self.frame.pixels} pixels is too small for a packet's header")
        raise ValueError(
            f"frame.lanes: {self.frame.lanes} pixels of {self.frame.count_bits} bits a clock in frames of"
            f" {self.frame.beats} clocks are more than an output of 64 bytes can carry: choose fewer lanes"
        )

    def to_dict(self) -> dict[str, Any]:
        """The tree as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, where: str = "configuration") -> Self:
        """Configuration of a tree of plain values, such as `to_dict` gives.

        Raises
        ------
        ValueError
            One line that names `where`, the field, the value and what would be accepted.
        """
        try:
            return _built(cls, values, "")
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Configuration of a TOML file.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If it is no TOML, or as `from_dict`.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file, expected a configuration in TOML")
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ValueError(f"{path}: no TOML: {error}") from None
        return cls.from_dict(values, where=str(path))

    @classmethod
    def named(cls, name: str) -> Self:
        """One of the configurations of `NAMED`.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        if name not in NAMED:
            raise ValueError(f"configuration {name!r}: known are {', '.join(NAMED)}")
        return cls.from_dict(NAMED[name], where=name)


NAMED: dict[str, dict[str, Any]] = {
    "cell-72": {
        "name": "cell_72",
        "frame": {"height": 72, "width": 72, "lanes": 4},
        "projector": {"components": 94, "columns": 8},
        "output": {"modes": [mode.label for mode in Mode]},
    },
    "mhz-192x168": {
        "name": "mhz_192x168",
        "frame": {"height": 192, "width": 168, "count_bits": 10, "lanes": 8},
        "encoder": {"codebook": "sqrt-b"},
        "projector": {"components": 60, "columns": 60},
        "output": {"modes": ["codes", "code-coefficients"]},
    },
    "eiger-256": {
        "name": "eiger_256",
        "frame": {"height": 256, "width": 256, "lanes": 8},
        "output": {"modes": ["raw", "codes", "zeromask", "rice"], "rice_block": 16},
    },
}
"""Configurations by name: the cell benchmark, the detector of Rasheedi et al., an EIGER module's quarter."""


def _built(kind: Any, values: Any, where: str) -> Any:
    """Dataclass of plain values; nested ones in turn."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{where.rstrip('.') or 'configuration'}: {values!r}, expected a table")
    known = {item.name: item for item in fields(kind)}
    given = {}
    for key, value in values.items():
        if key not in known:
            raise ValueError(f"{where}{key}: no such field, expected {', '.join(known)}")
        part = known[key].type
        given[key] = _built(part, value, f"{key}.") if is_dataclass(part) else value
    try:
        return kind(**given)
    except TypeError as error:
        raise ValueError(f"{where.rstrip('.') or 'configuration'}: {str(error).split('() ')[-1]}") from None


def _check(config: Any, **limits: tuple[int, int]) -> None:
    """Raise ValueError if a field is of the wrong type or out of its limits."""
    prefix = type(config).__name__.removesuffix("Config").lower()
    prefix = "" if prefix == "core" else f"{prefix}."
    for item in fields(config):
        value = getattr(config, item.name)
        if item.name in limits:
            low, high = limits[item.name]
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"{prefix}{item.name}: {value!r}, expected a whole number from {low} to {high}")
        elif item.type in (bool, str) and type(value) is not item.type:
            raise ValueError(
                f"{prefix}{item.name}: {value!r}, expected {'true or false' if item.type is bool else 'text'}"
            )
