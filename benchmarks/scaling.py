# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Area against lanes, columns, bits, components and pixels, and the fit to it: ``python benchmarks/scaling.py``.

Prints measured and predicted areas of what was fitted and of what was held out, and the cost of each term, from the
file that comes with the package; ``--measure`` synthesises again what the file lacks, half a minute of processor time
each. Exit status 1: a held-out configuration is off by more than the target; 2: bad input.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import ptychopress
from ptychopress.model.config import CoreConfig, Mode
from ptychopress.synth.asic import synthesise_asic
from ptychopress.synth.designs import design
from ptychopress.synth.liberty import YOSYS_GATES, Library
from ptychopress.synth.scaling import MACRO_BITS, Fit
from rich.console import Console
from rich.progress import Progress

TARGET = 0.15
"""Largest relative error of a configuration that was held out."""

STORE = Path(ptychopress.__file__).parent / "synth" / "scaling.json"


def projector(**sizes: Any) -> dict[str, Any]:
    """Core around a projector, of which that alone is measured."""
    sizes = {"height": 8, "width": 16, "x": 8, "w": 8, "lanes": 2, "columns": 2, "phases": 2, "protect": False} | sizes
    return {
        "frame": {
            "height": sizes["height"],
            "width": sizes["width"],
            "count_bits": sizes["x"],
            "lanes": sizes["lanes"],
        },
        "projector": {
            "components": sizes["columns"] * sizes["phases"],
            "columns": sizes["columns"],
            "weight_bits": sizes["w"],
        },
        "output": {"modes": ["count-coefficients"]},
        "protect": sizes["protect"],
    }


def core(lanes: int, count_bits: int, modes: tuple[str, ...] = ("codes",), **others: Any) -> dict[str, Any]:
    """Core, all of which is measured."""
    frame = {"height": 16, "width": 64, "count_bits": count_bits, "lanes": lanes}
    return {"frame": frame, "output": {"modes": list(modes)}, "protect": False, **others}


FITTED = {
    "projector": [
        projector(),
        projector(lanes=1, columns=1),
        projector(lanes=4, columns=1),
        projector(lanes=1, columns=4),
        projector(x=10),
        projector(x=12, lanes=1),
        projector(x=6, w=6),
        projector(w=12, lanes=1),
        projector(w=4),
        projector(phases=1),
        projector(phases=8, columns=1),
        projector(height=64, width=64, columns=1),
        projector(protect=True),
    ],
    "core": [
        core(1, 8),
        core(2, 10),
        core(2, 14),
        core(4, 10),
        core(8, 12),
        core(4, 14, ("raw",)),
        core(4, 10, ("raw", "codes")),
        core(1, 8, ("codes", "code-coefficients"), projector={"components": 2, "columns": 1, "weight_bits": 4}),
    ],
}
"""What is synthesised for the fit."""

HELD_OUT = {
    "projector": [
        projector(lanes=4, columns=4),
        projector(lanes=4, columns=2, x=9, w=7, phases=3),
        projector(lanes=2, columns=3, x=14, w=10, phases=5, height=32),
        projector(lanes=4, columns=2, protect=True, phases=4),
        projector(lanes=2, columns=4, protect=True, w=10),
        projector(lanes=4, columns=8, protect=True, phases=12, height=72, width=72),
    ],
    "core": [
        core(8, 14),
        core(2, 12, ("raw", "codes")),
        core(2, 10, ("codes", "code-coefficients"), projector={"components": 4, "columns": 2}),
        core(4, 8, ("codes", "code-coefficients"), projector={"components": 12, "columns": 3, "weight_bits": 6}),
    ],
}
"""What is synthesised to judge the fit by, and larger than most that it was fitted to."""


def key(kind: str, values: dict[str, Any]) -> str:
    """Name of a measurement."""
    return f"{kind} {json.dumps(values, sort_keys=True)}"


def measured_area(kind: str, values: dict[str, Any], library: Library) -> float:
    """Gate equivalents of a projector or a core."""
    made = design(CoreConfig.from_dict(values), kind)
    area = synthesise_asic(made, library, macro_bits=MACRO_BITS).gate_equivalents
    assert area is not None
    return area


def fit_to(areas: dict[str, float], library: str) -> Fit:
    """Fit to what was measured for it."""
    measured = {
        kind: [(CoreConfig.from_dict(values), areas[key(kind, values)]) for values in configurations]
        for kind, configurations in FITTED.items()
    }
    return Fit.of(library, measured["projector"], measured["core"])


def errors(fit: Fit, areas: dict[str, float], what: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Measured and predicted area of each configuration."""
    rows = []
    for kind, configurations in what.items():
        for values in configurations:
            parts = fit.area(CoreConfig.from_dict(values))
            predicted = parts["projector"] if kind == "projector" else sum(parts.values())
            area = areas[key(kind, values)]
            rows.append({"kind": kind, "configuration": values, "measured": area, "predicted": predicted})
            rows[-1]["error"] = predicted / area - 1
    return rows


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """Table of errors; with the clocks of a frame, which follow from the sizes exactly."""
    lines = [
        "| what | N | P | count bits | code bits | S' | C | weight bits | SECDED | modes | clocks | GE | predicted"
        " | error |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        config = CoreConfig.from_dict(row["configuration"])
        frame, made = config.frame, config.projector
        sizes = f"{made.components} | {made.columns} | {made.weight_bits}" if config.projects else "- | - | -"
        coded = any(mode in (Mode.CODES, Mode.CODE_COEFFICIENTS) for mode in config.modes)
        clocks = frame.beats * (-(-made.components // made.columns) if config.projects else 1)
        lines.append(
            f"| {row['kind']} | {frame.pixels} | {frame.lanes} | {frame.count_bits}"
            f" | {config.codebook.code_bits if coded else '-'} | {sizes} | {'yes' if config.protect else 'no'}"
            f" | {', '.join(config.output.modes)} | {clocks} | {row['measured']:.0f} | {row['predicted']:.0f}"
            f" | {100 * row['error']:+.1f} % |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for, print; return the exit status."""
    parser = argparse.ArgumentParser(description="Area of projectors and cores against their sizes, and a fit to it.")
    parser.add_argument("--measure", action="store_true", help="synthesise what the file lacks, and fit again")
    parser.add_argument("--store", type=Path, default=STORE, metavar="FILE", help="measurements and fit")
    parser.add_argument("--liberty", type=Path, nargs="+", default=[], metavar="FILE", help="with --measure: cells")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args(arguments)
    try:
        library = Library.read(*options.liberty) if options.liberty else YOSYS_GATES
        stored = json.loads(options.store.read_text()) if options.store.exists() else {}
        if options.measure:
            stored = measure(stored, library, options.store)
        fit = Fit(**stored["fit"])
        rows = {name: errors(fit, stored["areas"], what) for name, what in (("fitted", FITTED), ("held out", HELD_OUT))}
    except (KeyError, json.JSONDecodeError):
        print(f"scaling: {options.store}: holds no fit to these configurations, try --measure", file=sys.stderr)
        return 2
    except (RuntimeError, ValueError) as error:
        print(f"scaling: {error}", file=sys.stderr)
        return 2
    worst = max(abs(row["error"]) for row in rows["held out"])
    if options.json:
        print(json.dumps(rows | {"fit": fit.to_dict()}, indent=1))
    else:
        for name, table in rows.items():
            print(f"{name.capitalize()}, {fit.library}:\n\n{as_markdown(table)}\n")
        for part in ("projector", "rest"):
            print(f"| {part} | GE |\n| --- | ---: |")
            print("".join(f"| {term} | {cost:.4g} |\n" for term, cost in getattr(fit, part).items()))
        print(f"Target {TARGET:.0%} held out: {'met' if worst <= TARGET else 'missed'}, {worst:.1%} at most.")
    return 0 if worst <= TARGET else 1


def measure(stored: dict[str, Any], library: Library, path: Path) -> dict[str, Any]:
    """Synthesise what is not stored yet, and keep each result at once."""
    if stored and stored["library"] != library.name:
        raise ValueError(f"{path} holds areas of {stored['library']}, choose another --store for {library.name}")
    areas = dict(stored.get("areas", {}))
    wanted = [
        (kind, values)
        for what in (FITTED, HELD_OUT)
        for kind, configurations in what.items()
        for values in configurations
    ]
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("synthesising", total=len(wanted))
        for kind, values in wanted:
            name = key(kind, values)
            if name not in areas:
                areas[name] = measured_area(kind, values, library)
                path.write_text(json.dumps({"library": library.name, "areas": areas}, indent=1) + "\n")
            progress.advance(task)
    whole = {"library": library.name, "areas": areas, "fit": fit_to(areas, library.name).to_dict()}
    path.write_text(json.dumps(whole, indent=1) + "\n")
    return whole


if __name__ == "__main__":
    sys.exit(main())
