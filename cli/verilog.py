# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress verilog``: Verilog of an encoder or decoder."""

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ..hdl.axi import AxiStreamTop
from ..hdl.decoder import ExpandDecoder
from ..hdl.encoder import ShiftCore, ShiftEncoder, TableEncoder, ThresholdEncoder, allows_shifts
from ..hdl.verilog import WAIVERS, verilog_text, waivers_text
from ..model.codebook import Codebook, DecodeMethod
from .files import publish
from .options import CodebookName, CountBits, Edges, JsonOutput, Parameters, chosen_codebook


class Architecture(StrEnum):
    """What is generated."""

    AUTO = "auto"
    SHIFT = "shift"
    THRESHOLD = "threshold"
    TABLE = "table"
    DECODER = "decoder"


class Method(StrEnum):
    """Rule of the decode levels."""

    MIDPOINT = "midpoint"
    POSTERIOR = "posterior"
    UNBIASED = "unbiased"


def verilog(
    out: Annotated[Path, typer.Option("--out", help="Directory for the files.", metavar="DIR")],
    codebook: CodebookName = None,
    count_bits: CountBits = None,
    parameter: Parameters = None,
    edges: Edges = None,
    lanes: Annotated[int, typer.Option("--lanes", help="Pixels a clock.")] = 16,
    input_bits: Annotated[
        int | None,
        typer.Option(
            "--input-bits", help="Width of an incoming count, if wider than the codebook: larger ones saturate."
        ),
    ] = None,
    architecture: Annotated[
        Architecture,
        typer.Option(
            "--architecture",
            help="shift: no adder, codebook wired in. threshold: any codebook, changed at run time. table: ROM."
            " decoder: codes back to counts. auto: shift where the codebook allows it, threshold elsewhere.",
        ),
    ] = Architecture.AUTO,
    core: Annotated[
        bool,
        typer.Option("--core", help="Only the combinational core, module sqrt_encoder_core, ports count and code."),
    ] = False,
    preload: Annotated[
        bool,
        typer.Option(
            help="threshold: keep the codebook in the memories' initial values (FPGA), or wait for a table (ASIC)."
        ),
    ] = True,
    method: Annotated[
        Method, typer.Option("--method", help="Rule of the decode levels, in the decoder and beside the Verilog.")
    ] = Method.MIDPOINT,
    fraction_bits: Annotated[
        int, typer.Option("--fraction-bits", help="decoder: bits of a level behind the binary point.")
    ] = 1,
    module: Annotated[
        str | None,
        typer.Option("--module", help="Name of the top module and of the files, for two in one design."),
    ] = None,
    as_json: JsonOutput = False,
) -> None:
    """Write Verilog of the streaming encoder, its core or the decoder, with its codebook and Verilator waivers.

    The top level speaks AXI4-Stream. The same options give the same files, byte for byte.
    """
    book = chosen_codebook(codebook, count_bits, parameter, edges)
    default, block = _block(book, architecture, core, lanes, input_bits, preload, method, fraction_bits)
    module = default if module is None else module
    if not re.fullmatch(r"[A-Za-z_]\w*", module, re.ASCII):
        raise ValueError(f"--module {module}: a Verilog name has letters, digits and _, and starts with no digit")
    files = {
        f"{module}.v": _header(book, block) + verilog_text(block, module),
        WAIVERS: waivers_text(),
        f"{module}.json": json.dumps(codebook_summary(book, method.value), indent=1) + "\n",
    }
    with publish(out) as stage:
        for name, text in files.items():
            (stage / name).write_text(text, encoding="utf-8")
    if as_json:
        typer.echo(json.dumps({"module": module, "files": [str(out / name) for name in files]}))
    else:
        typer.echo(f"module {module}: " + ", ".join(str(out / name) for name in files))


def _block(
    book: Codebook,
    architecture: Architecture,
    core: bool,
    lanes: int,
    input_bits: int | None,
    preload: bool,
    method: Method,
    fraction_bits: int,
) -> tuple[str, Any]:
    """Name of the top module, and the component."""
    if core:
        if architecture not in (Architecture.AUTO, Architecture.SHIFT):
            raise ValueError(f"--core is the combinational core of the shift encoder, not of {architecture.value}")
        return "sqrt_encoder_core", ShiftCore(book)
    if architecture is Architecture.DECODER:
        block = ExpandDecoder(book, lanes=lanes, method=method.value, fraction_bits=fraction_bits)
        return "sqrt_decoder", AxiStreamTop(block)
    if architecture is Architecture.AUTO:
        architecture = Architecture.SHIFT if allows_shifts(book) else Architecture.THRESHOLD
    if architecture is Architecture.THRESHOLD:
        encoder = ThresholdEncoder(book, lanes=lanes, input_bits=input_bits, preload=preload)
    else:
        kind = ShiftEncoder if architecture is Architecture.SHIFT else TableEncoder
        encoder = kind(book, lanes=lanes, input_bits=input_bits)
    return "sqrt_encoder", AxiStreamTop(encoder)


def _header(book: Codebook, block: Any) -> str:
    inner = getattr(block, "block", block)
    lanes = f", {inner.lanes} lanes" if hasattr(inner, "lanes") else ""
    return (
        f"// {type(inner).__name__} of codebook {book.name}: {book.count_bits} bit counts,"
        f" {book.code_bits} bit codes{lanes}\n"
        "// Written by ptychopress; Verilator waivers are in ptychopress.vlt\n"
    )


def codebook_summary(book: Codebook, method: DecodeMethod) -> dict[str, Any]:
    """Everything that software needs to decode by midpoints and by `method`, as plain JSON values."""
    return {
        "name": book.name,
        "count_bits": book.count_bits,
        "code_bits": book.code_bits,
        "edges": list(book.edges),
        "levels": {name: book.decode_levels(name).tolist() for name in dict.fromkeys(("midpoint", method))},
        "thresholds": book.thresholds().tolist(),
    }
