# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress verilog``: Verilog of a detector core, an encoder, a decoder or a projector."""

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
from .options import CodebookName, CountBits, Edges, JsonOutput, Parameters, chosen_codebook, refuse
from .verilog_core import chosen_config, core_files
from .verilog_projector import ProjectorOptions, Target, chosen_hardwired, chosen_projector


class Architecture(StrEnum):
    """What is generated."""

    AUTO = "auto"
    SHIFT = "shift"
    THRESHOLD = "threshold"
    TABLE = "table"
    DECODER = "decoder"
    PROJECTOR = "projector"
    HARDWIRED = "hardwired"


_SIZES = ("pixels", "components", "input_bits", "weight_bits", "output_bits")
_CODEBOOK = ("codebook", "count_bits", "parameter", "edges")
_ENCODER = ("lanes", "input_bits", "method", *_CODEBOOK)
_TAKES = {
    Architecture.SHIFT: (*_ENCODER, "core"),
    Architecture.THRESHOLD: (*_ENCODER, "preload"),
    Architecture.TABLE: _ENCODER,
    Architecture.DECODER: ("lanes", "method", "fraction_bits", *_CODEBOOK),
    Architecture.PROJECTOR: (*_SIZES, "weights", "lanes", "columns", "encoder", "target", *_CODEBOOK),
    Architecture.HARDWIRED: ("weights", "adders_per_stage"),
}
"""Options of each architecture, beside those of all."""
_CORE = ("out", "config", "clock_mhz", "as_json")
"""Options that go with --config."""


class Method(StrEnum):
    """Rule of the decode levels."""

    MIDPOINT = "midpoint"
    POSTERIOR = "posterior"
    UNBIASED = "unbiased"


def verilog(
    out: Annotated[Path, typer.Option("--out", help="Directory for the files.", metavar="DIR")],
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            help="A whole detector core: a configuration in TOML, or cell-72, mhz-192x168, eiger-256.",
            metavar="FILE",
        ),
    ] = None,
    clock_mhz: Annotated[
        float | None, typer.Option("--clock-mhz", help="--config: clock of the constraints, 100 by default.")
    ] = None,
    codebook: CodebookName = None,
    count_bits: CountBits = None,
    parameter: Parameters = None,
    edges: Edges = None,
    lanes: Annotated[
        int | None, typer.Option("--lanes", help="Pixels a beat, 16 by default; 8 for a projector.")
    ] = None,
    input_bits: Annotated[
        int | None,
        typer.Option(
            "--input-bits",
            help="Width of an incoming count, if wider than the codebook: larger ones saturate. projector: of a value.",
        ),
    ] = None,
    architecture: Annotated[
        Architecture,
        typer.Option(
            "--architecture",
            help="shift: no adder, codebook wired in. threshold: any codebook, changed at run time. table: ROM."
            " decoder: codes back to counts. projector: values to coefficients, weights loaded at run time. hardwired:"
            " the same, weights wired in. auto: shift where the codebook allows it, threshold elsewhere.",
        ),
    ] = Architecture.AUTO,
    core: Annotated[
        bool,
        typer.Option("--core", help="Only the combinational core, module sqrt_encoder_core, ports count and code."),
    ] = False,
    preload: Annotated[
        bool | None,
        typer.Option(
            "--preload/--no-preload",
            help="threshold: keep the codebook in the memories' initial values (FPGA), or wait for a table (ASIC).",
        ),
    ] = None,
    method: Annotated[
        Method | None,
        typer.Option("--method", help="Rule of the decode levels, in the decoder and beside the Verilog: midpoint."),
    ] = None,
    fraction_bits: Annotated[
        int | None,
        typer.Option("--fraction-bits", help="decoder: bits of a level behind the binary point, 1 by default."),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="projector, hardwired: weights file of ptychopress train.", metavar="FILE"),
    ] = None,
    pixels: Annotated[int | None, typer.Option("--pixels", help="projector without --weights: of a frame.")] = None,
    components: Annotated[
        int | None, typer.Option("--components", help="projector without --weights: coefficients of a frame.")
    ] = None,
    weight_bits: Annotated[
        int | None, typer.Option("--weight-bits", help="projector without --weights: of a weight, 8 by default.")
    ] = None,
    output_bits: Annotated[
        int | None, typer.Option("--output-bits", help="projector without --weights: of a coefficient, 16 by default.")
    ] = None,
    columns: Annotated[
        int | None, typer.Option("--columns", help="projector: components at a time, 4 by default.")
    ] = None,
    encoder: Annotated[
        bool, typer.Option("--encoder/--no-encoder", help="projector: counts go in, with the codebook's encoder.")
    ] = False,
    target: Annotated[
        Target | None,
        typer.Option("--target", help="projector: multipliers and memories for any synthesis, or those of an ECP5."),
    ] = None,
    adders_per_stage: Annotated[
        int | None,
        typer.Option("--adders-per-stage", help="hardwired: adders between two registers; all by default."),
    ] = None,
    module: Annotated[
        str | None,
        typer.Option("--module", help="Name of the top module and of the files, for two in one design."),
    ] = None,
    as_json: JsonOutput = False,
) -> None:
    """Write Verilog of a detector core, or of one block: an encoder, a decoder or a projector.

    --config writes the core with registers, constraints, files for FuseSoC and Vivado, and a bench with vectors that
    needs only Icarus; README.md in DIR says what is what. What follows is about single blocks.

    A JSON file beside it holds what software needs to know: the codebook, or sizes, ports and scales of a projector;
    with --weights a third one the table to load. The top level speaks AXI4-Stream. The same options give the
    same files, byte for byte.
    """
    if config is not None:
        options = {name: value for name, value in locals().items() if name not in _CORE}
        options |= {"parameter": parameter or None, "preload": preload is not None}
        options["architecture"] = None if architecture is Architecture.AUTO else architecture
        refuse("not for --config, which says all", **options)
        chosen = chosen_config(config)
        files = core_files(chosen, 100.0 if clock_mhz is None else clock_mhz)
        _write(out, chosen.name, files, {f"{chosen.name}_{table}.hex" for table in ("thresholds", "weights")}, as_json)
        return
    refuse("only for --config", clock_mhz=clock_mhz)
    book = chosen_codebook(codebook, count_bits, parameter, edges)
    if architecture is Architecture.AUTO:
        architecture = Architecture.SHIFT if core or allows_shifts(book) else Architecture.THRESHOLD
    names = {"codebook": codebook, "count_bits": count_bits, "parameter": parameter or None, "edges": edges}
    sizes = {
        "pixels": pixels,
        "components": components,
        "input_bits": input_bits,
        "weight_bits": weight_bits,
        "output_bits": output_bits,
    }
    given = names | sizes
    given |= {"lanes": lanes, "core": core, "preload": preload is not None}
    given |= {"method": method, "fraction_bits": fraction_bits, "weights": weights, "columns": columns}
    given |= {"encoder": encoder, "target": target, "adders_per_stage": adders_per_stage}
    others = {name: value for name, value in given.items() if name not in _TAKES[architecture]}
    refuse(f"not for --architecture {architecture.value}", **others)
    if core:
        refuse("not for --core, which is combinational", lanes=lanes, input_bits=input_bits)
    method = Method.MIDPOINT if method is None else method
    projector = None
    if architecture in (Architecture.PROJECTOR, Architecture.HARDWIRED):
        options = ProjectorOptions(
            **sizes,
            weights=weights,
            lanes=lanes,
            columns=columns,
            encoder=encoder,
            target=Target.PORTABLE if target is None else target,
            adders_per_stage=adders_per_stage,
            codebook=book if any(value is not None for value in names.values()) else None,
        )
        chosen = chosen_projector if architecture is Architecture.PROJECTOR else chosen_hardwired
        projector = chosen(options)
        default, block = "ptychopress_projector", AxiStreamTop(projector.block)
    else:
        lanes = 16 if lanes is None else lanes
        fraction_bits = 1 if fraction_bits is None else fraction_bits
        default, block = _block(
            book, architecture, core, lanes, input_bits, preload is not False, method, fraction_bits
        )
    module = default if module is None else module
    if not re.fullmatch(r"[A-Za-z_]\w*", module, re.ASCII):
        raise ValueError(f"--module {module}: a Verilog name has letters, digits and _, and starts with no digit")
    summary = codebook_summary(book, method.value) if projector is None else projector.summary(module, block)
    header = _header(book, block) if projector is None else projector.header()
    files = {
        f"{module}.v": header + verilog_text(block, module),
        WAIVERS: waivers_text(),
        f"{module}.json": json.dumps(summary, indent=1) + "\n",
    }
    table = f"{module}_table.hex"
    if projector is not None and (words := projector.table()) is not None:
        files[table] = words
    _write(out, module, files, {table}, as_json)


def _write(out: Path, module: str, files: dict[str, str], optional: set[str], as_json: bool) -> None:
    """Write files, remove those of `optional` that are none of them, and say so."""
    with publish(out, *optional - files.keys()) as stage:
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
        return "sqrt_encoder_core", ShiftCore(book)
    if architecture is Architecture.DECODER:
        block = ExpandDecoder(book, lanes=lanes, method=method.value, fraction_bits=fraction_bits)
        return "sqrt_decoder", AxiStreamTop(block)
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
