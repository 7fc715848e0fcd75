# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The projectors of ``ptychopress verilog``: which one the options name, and what goes beside its Verilog."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Value
from numpy.typing import NDArray

from ..hdl.axi import AxiStreamTop, lane_bytes
from ..hdl.block_memory import BlockMemory, Ecp5BlockMemory
from ..hdl.code_projector import CodeProjector
from ..hdl.encoder import ShiftEncoder, TableEncoder, allows_shifts
from ..hdl.hardwired import HardwiredProjector
from ..hdl.multiplier import Ecp5Multiplier, Multiplier
from ..hdl.projector import Projector
from ..model.codebook import Codebook
from ..model.projection import ProjectionFormat
from ..model.quantise import Compressor
from ..model.weights import fingerprint, load


class Target(StrEnum):
    """What a projector multiplies with and keeps its weights in."""

    PORTABLE = "portable"
    ECP5 = "ecp5"


PARTS = {
    Target.PORTABLE: {"multiplier": Multiplier, "memory": BlockMemory},
    Target.ECP5: {"multiplier": Ecp5Multiplier, "memory": Ecp5BlockMemory},
}

TABLE_ORDER = (
    "component by component: its weights, pixel 0 first, filled up with zeros to whole beats; its preload, which is"
    " bias + half a step; its shift. tlast on the final word"
)


@dataclass(frozen=True, kw_only=True)
class ProjectorOptions:
    """Options of a projector, as on the command line; None for those that were not given."""

    weights: Path | None
    pixels: int | None
    components: int | None
    input_bits: int | None
    weight_bits: int | None
    output_bits: int | None
    lanes: int | None
    columns: int | None
    encoder: bool
    target: Target
    adders_per_stage: int | None
    codebook: Codebook | None


@dataclass(frozen=True, kw_only=True)
class ProjectorFiles:
    """A projector, and what is known of the weights it is for.

    Attributes
    ----------
    block : Projector, CodeProjector or HardwiredProjector
    compressor : Compressor or None
    target : Target or None
    """

    block: Any
    compressor: Compressor | None
    target: Target | None

    @property
    def format(self) -> ProjectionFormat:
        """Sizes and widths."""
        return getattr(self.block, "projector", self.block).format

    def header(self) -> str:
        """Comment for the head of the Verilog."""
        size, inner = self.format, getattr(self.block, "projector", self.block)
        lines = [
            f"{type(self.block).__name__}: {size.pixels} pixels, {size.components} coefficients,"
            f" {size.input_bits} bit values, {size.weight_bits} bit weights, {size.output_bits} bit coefficients,"
            f" {inner.lanes} lanes, {inner.columns} columns"
        ]
        if isinstance(self.block, CodeProjector):
            book = self.block.encoder.codebook
            lines.append(f"{self.block.input_bits} bit counts go in; codebook {book.name}")
        if self.compressor is not None:
            lines.append(f"Weights {fingerprint(self.compressor)}")
        lines.append("Written by ptychopress; Verilator waivers are in ptychopress.vlt")
        return "".join(f"// {line}\n" for line in lines)

    def summary(self, module: str, top: AxiStreamTop) -> dict[str, Any]:
        """Everything that integration and software need to know, as plain JSON values; `top` is around the block."""
        size, block = self.format, self.block
        inner = getattr(block, "projector", block)
        told: dict[str, Any] = {
            "block": type(block).__name__,
            "pixels": size.pixels,
            "components": size.components,
            "input_bits": getattr(block, "input_bits", size.input_bits),
            "value_bits": size.input_bits,
            "weight_bits": size.weight_bits,
            "output_bits": size.output_bits,
            "accumulator_bits": size.accumulator_format.bits,
            "lanes": inner.lanes,
            "columns": inner.columns,
            "beats_in": inner.beats,
            "beats_out": inner.phases,
            "frame_clocks": inner.frame_clocks,
            "latency": block.latency,
            "ports": _ports(top),
        }
        if isinstance(block, CodeProjector):
            told |= {"codebook": block.encoder.codebook.name, "encoder": type(block.encoder).__name__}
        if self.target is not None:
            rows = inner.phases * inner.columns
            told |= {
                "target": self.target.value,
                # Two banks of each.
                "memory_bits": {
                    "weights": 2 * inner.beats * inner.lanes * rows * size.weight_bits,
                    "preloads": 2 * rows * size.bias_format.bits,
                    "shifts": 2 * rows * size.largest_shift.bit_length(),
                    "sums": (inner.phases - 1) * inner.columns * size.accumulator_format.bits,
                },
                "table": {
                    "words": size.components * (inner.beats * inner.lanes + 2),
                    "word_bits": size.bias_format.bits,
                    "order": TABLE_ORDER,
                },
            }
            if self.compressor is not None:
                told["table"]["file"] = f"{module}_table.hex"
        if self.compressor is not None:
            told["weights"] = {
                "sha256": fingerprint(self.compressor),
                "transform": str(self.compressor.transform),
                "frame_shape": list(self.compressor.frame_shape),
                "scale": self.compressor.scale.tolist(),
                "shift": self.compressor.projection.shift.tolist(),
                "step": self.compressor.step.tolist(),
            }
        return told

    def table(self) -> str | None:
        """The table to load, a word a line in hexadecimal for $readmemh; None if there is none."""
        if self.compressor is None or self.target is None:
            return None
        projector = getattr(self.block, "projector", self.block)
        return hex_lines(self.compressor.projection.words(projector.lanes), self.format.bias_format.bits)


def chosen_projector(options: ProjectorOptions) -> ProjectorFiles:
    """Streaming projector that the options name."""
    compressor = None if options.weights is None else load(options.weights)
    book = options.codebook
    if compressor is not None:
        sizes = ("pixels", "components", "weight_bits", "output_bits") + (() if options.encoder else ("input_bits",))
        given = [f"--{name.replace('_', '-')}" for name in sizes if getattr(options, name) is not None]
        if given or book is not None:
            raise ValueError(f"--weights says all: leave out {', '.join(given or ['options of the codebook'])}")
        size, book = compressor.projection.format, compressor.transform.codebook
        if options.encoder and book is None:
            raise ValueError(f"--encoder: the weights of {options.weights} are for counts, which take none")
    else:
        if options.encoder:
            book = book or Codebook.named("sqrt-b")
        elif book is not None:
            raise ValueError("options of the codebook are for --encoder")
        value_bits = book.code_bits if book else options.input_bits
        if options.pixels is None or options.components is None or value_bits is None:
            raise ValueError("a projector needs --weights FILE, or --pixels, --components and --input-bits")
        size = ProjectionFormat(
            pixels=options.pixels,
            components=options.components,
            input_bits=value_bits,
            weight_bits=8 if options.weight_bits is None else options.weight_bits,
            output_bits=16 if options.output_bits is None else options.output_bits,
        )
    lanes = 8 if options.lanes is None else options.lanes
    columns = 4 if options.columns is None else options.columns
    block: Any = Projector(size, lanes=lanes, columns=columns, **PARTS[options.target])
    if options.encoder and book is not None:
        encoder = ShiftEncoder if allows_shifts(book) else TableEncoder
        block = CodeProjector(encoder(book, lanes=lanes, input_bits=options.input_bits), block)
    return ProjectorFiles(block=block, compressor=compressor, target=options.target)


def chosen_hardwired(options: ProjectorOptions) -> ProjectorFiles:
    """Hard-wired projector that the options name."""
    if options.weights is None:
        raise ValueError("a hard-wired projector needs --weights FILE: its weights are constants")
    compressor = load(options.weights)
    size = compressor.projection.format
    if size.pixels > 1024 or size.components > 1024:
        raise ValueError(
            f"{size.pixels} pixels and {size.components} components: a hard-wired projector has at most 1024 of each;"
            " larger ones take --architecture projector"
        )
    block = HardwiredProjector(compressor.projection, adders_per_stage=options.adders_per_stage)
    return ProjectorFiles(block=block, compressor=compressor, target=None)


def hex_lines(words: NDArray[np.int64], bits: int) -> str:
    """Words in hexadecimal, two's complement of so many bits, a line each."""
    digits = -(-bits // 4)
    unsigned = words & ((1 << bits) - 1)
    letters = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = np.full((len(words), digits + 1), ord("\n"), np.uint8)
    # Digit by digit: all at once takes many times the memory of the text.
    for k in range(digits):
        text[:, k] = letters[(unsigned >> 4 * (digits - 1 - k)) & 15]
    return text.tobytes().decode()


def _ports(top: AxiStreamTop) -> dict[str, Any]:
    """Widths of the ports of the top level, and what lies where."""
    block = top.block
    ports: dict[str, Any] = {}
    for prefix, stream in (("s_axis", block.i), ("m_axis", block.o), ("s_axis_table", getattr(block, "table", None))):
        if stream is None:
            continue
        name, _ = next(iter(stream.p.shape()))
        field = stream.p[name]
        lanes = [field] if isinstance(field, Value) else list(field)
        bits = len(Value.cast(lanes[0]))
        ports[prefix] = {
            "tdata_bits": len(getattr(top, f"{prefix}_tdata")),
            "values": len(lanes),
            "value_bits": bits,
            "value_bytes": lane_bytes(bits),
            "signed": prefix != "s_axis",
        }
    columns = ports["m_axis"]["values"]
    flags = {"saturated": [0, columns - 1], "short": columns, "long": columns + 1, "clipped": columns + 2}
    ports["m_axis"]["tuser_bits"] = flags
    return ports
