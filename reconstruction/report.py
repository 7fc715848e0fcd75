# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The report of a comparison: one HTML file with its pictures inside."""

import base64
import html
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..model.codebook import Codebook, DecodeMethod
from .judgement import Judgement
from .metrics import phase_of
from .scene import Scene

_COLOURS = {"none": "#222222", "sqrt-a": "#1b7837", "sqrt-b": "#2166ac", "sqrt-c": "#b2182b"}

# Huang, Deng, Noonan, Tran, Fahim, Jacobsen, "Matrix factorization approaches to lossy compression of ptychography
# data": their PCA at 2e7 photons, components from the noisy data; read off their plots.
AUTHORS = {
    "smse": {10: 1.1e-2, 100: 3.4e-3, 300: 2.1e-3, 1000: 1.9e-3, 1500: 1.5e-3, 2000: 1.2e-3, 4000: 1.1e-3},
    "frc_crossing": {10: 0.19, 100: 0.48, 300: 0.83, 1000: 0.73, 1500: 0.69, 2000: 0.74, 4000: 1.0},
}
AUTHORS_SCENE = "2e7"

_THRESHOLDS = {"two": "two full data sets (SNR 0.4142)", "split": "one data set split in half (SNR 0.2071)"}

_EXACT = {None: "", True: '<span class="good">yes</span>', False: '<span class="bad">NO</span>'}

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 76rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.7rem } h2 { font-size: 1.3rem; margin-top: 2.2rem; border-bottom: 1px solid #ccc }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd }
.wide { font-size: .8rem } .wide th, .wide td { padding: .2rem .4rem }
th { text-align: right; font-weight: 600 } td { text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left } img { max-width: 100% }
.good { color: #1b7837; font-weight: 600 } .bad { color: #b2182b; font-weight: 600 }
figure { margin: 1rem 0 } figcaption, .note { color: #555; font-size: .9rem }
pre { background: #f6f6f6; padding: 1rem; overflow: auto; font-size: .8rem }
"""


@dataclass
class Report:
    """Collects scenes and their judgements, and renders them.

    Parameters
    ----------
    title
        What was looked at.
    codebooks
        The encoders that were compared.
    decode
        Rule that turned codes back into counts.
    verilog
        Text of an encoder's core, shown at the end.
    pictures
        PNG files that `add` has drawn, by name.
    """

    title: str
    codebooks: list[Codebook]
    decode: DecodeMethod = "midpoint"
    verilog: str = ""
    pictures: dict[str, bytes] = field(default_factory=dict)
    _parts: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, scene: Scene, judgements: dict[str, Judgement]) -> None:
        """Draw one scene: images side by side, their differences, correlation curves."""
        phases, curves = _png(_images(scene, judgements)), _png(_curves(judgements))
        self.pictures |= {f"phase-{scene.name}.png": phases, f"frc-{scene.name}.png": curves}
        text = f"Fourier ring correlation of the two instances; half-bit threshold: {_THRESHOLDS[scene.frc_kind]}."
        figures = _figure(phases, "Reconstructed phase, first noise instance (rad).", "100%") + _figure(curves, text)
        self._parts.append((scene.name, scene.title, figures))

    def add_projections(
        self, scene: Scene, rows: list[dict[str, Any]], judgements: list[Judgement], unencoded: Judgement
    ) -> None:
        """Draw the projectors of one scene: error and correlation over the number of coefficients, and images.

        Parameters
        ----------
        scene
            As for `add`.
        rows
            As `results.json` has them.
        judgements
            One a row.
        unencoded
            Of the image without compression.
        """
        shown: dict[str, Judgement] = {"none": unencoded}
        for row, judgement in zip(rows, judgements, strict=True):
            if row["weight_bits"] is not None and 50 < row["ratio"] < 60:
                shown[f"{row['domain']}, {row['source']}"] = judgement
        curves, phases = _png(_over_ratio(scene, rows, unencoded)), _png(_images(scene, shown))
        self.pictures |= {f"projector-{scene.name}.png": curves, f"projector-phase-{scene.name}.png": phases}
        against = "the truth" if scene.truth is not None else "the un-encoded image of the other half"
        text = (
            f"Error and correlation with {against}, over the coefficients of a frame; threshold:"
            f" {_THRESHOLDS[scene.frc_kind]}."
        )
        figures = _figure(curves, text, "100%") + _figure(phases, "Reconstructed phase at 55 : 1 (rad).", "100%")
        self._parts.append((f"projector {scene.name}", f"{scene.title}: projector", figures))

    def html(self, results: dict[str, Any]) -> str:
        """Render `results` (as results.json has them) and all pictures as one self-contained page."""
        rows = results["results"]
        encoded = [row for row in rows if row["bit_exact"] is not None]
        projected = [row for row in results["projections"] if row["bit_exact"] is not None]
        verdict = _verdict("codes", [row["pixels"] for row in encoded], [row["mismatches"] for row in encoded])
        if projected:
            compared = [row["coefficients"] for row in projected]
            verdict += _verdict("coefficients", compared, [row["mismatches"] for row in projected])
        sections = ""
        for name, title, figures in self._parts:
            projections = [row for row in results["projections"] if f"projector {row['scene']}" == name]
            encoders = [row for row in rows if row["scene"] == name]
            table = _projection_table(projections, rows) if projections else _table(encoders)
            sections += f"<h2>{html.escape(title)}</h2>{table}{figures}"
        staircases = _figure(
            _png(_staircases(self.codebooks, self.decode)),
            f"What counts are decoded to by the rule &ldquo;{self.decode}&rdquo;, and their own noise, &radic;N.",
            "100%",
        )
        return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>ptychopress: {html.escape(self.title)}</title>
<style>{_STYLE}</style></head><body>
<h1>ptychopress: {html.escape(self.title)}</h1>
{verdict}
<p class="note">Version {results["version"]}, {results["seconds"]} s, seed {results["seed"]}, codes decoded by the rule
&ldquo;{results["decode"]}&rdquo;. The pictures were reconstructed from what the simulated hardware put out.</p>
{sections}
<h2>The codebooks</h2>{staircases}
<details><summary>Verilog of the sqrt-b core</summary><pre>{html.escape(self.verilog)}</pre></details>
</body></html>
"""


def _verdict(what: str, compared: list[int], mismatches: list[int]) -> str:
    """One paragraph: whether the simulated hardware is the golden model."""
    if not any(mismatches):
        text = f"Every one of {sum(compared):,} {what} out of the simulated Verilog is the golden model's."
        return f'<p class="good">{text}</p>'
    return f'<p class="bad">{sum(mismatches):,} of {sum(compared):,} {what} differ from the golden model.</p>'


def _projection_table(rows: list[dict[str, Any]], encoders: list[dict[str, Any]]) -> str:
    base = next(row["smse"] for row in encoders if row["scene"] == rows[0]["scene"] and row["codebook"] == "none")
    columns = {
        "values": lambda row: row["domain"],
        "components from": lambda row: row["source"],
        "S&prime;": lambda row: f"{row['components']:,}",
        "pixels a coefficient": lambda row: f"{row['ratio']:.3g}",
        "bits in : out": lambda row: f"{row['bit_ratio']:.3g}" if row["weight_bits"] else "",
        "weights": lambda row: f"{row['weight_bits']} bit" if row["weight_bits"] else "float",
        "bit exact": lambda row: _EXACT[row["bit_exact"]],
        "frames simulated": lambda row: f"{row['simulated']:,} of {row['frames']:,}" if row["weight_bits"] else "",
        "coefficients compared": lambda row: f"{row['coefficients']:,}" if row["weight_bits"] else "",
        "saturated": lambda row: f"{row['saturated']:,}" if row["weight_bits"] else "",
        "rounding, noise variances": lambda row: "" if row["loss"] is None else f"{row['loss']:.1e}",
        "SMSE, rad&sup2;": lambda row: f"{row['smse']:.3e}",
        "to un-encoded": lambda row: f"{100 * (row['smse'] / base - 1):+.1f} %",
        "SMSE to un-encoded image, rad&sup2;": lambda row: f"{row['smse_unencoded']:.2e}",
        "FRC half-bit crossing": lambda row: f"{row['frc_crossing']:.3f}",
    }
    if base is None:  # nobody knows the truth
        del columns["SMSE, rad&sup2;"], columns["to un-encoded"]
    return f'<div class="wide">{_html_table(columns, rows)}</div>'


def _table(rows: list[dict[str, Any]]) -> str:
    base = rows[0]["smse"]
    columns = {
        "codebook": lambda row: row["codebook"],
        "bit exact": lambda row: _EXACT[row["bit_exact"]],
        "frames": lambda row: f"{row['frames']:,}",
        "codes compared": lambda row: "" if row["bit_exact"] is None else f"{row['pixels']:,}",
        "bits a code": lambda row: row["bits"],
        "entropy, bits a pixel": lambda row: f"{row['entropy']:.2f}",
        "SMSE, rad&sup2;": lambda row: f"{row['smse']:.3e}",
        "to un-encoded": lambda row: f"{100 * (row['smse'] / base - 1):+.1f} %",
        "SMSE to un-encoded image, rad&sup2;": lambda row: (
            "" if row["smse_unencoded"] is None else f"{row['smse_unencoded']:.2e}"
        ),
        "FRC half-bit crossing": lambda row: f"{row['frc_crossing']:.3f}",
    }
    if base is None:  # nobody knows the truth
        del columns["SMSE, rad&sup2;"], columns["to un-encoded"]
    return _html_table(columns, rows)


def _html_table(columns: dict[str, Callable[[dict[str, Any]], str]], rows: list[dict[str, Any]]) -> str:
    body = "".join("<tr>" + "".join(f"<td>{cell(row)}</td>" for cell in columns.values()) + "</tr>" for row in rows)
    return "<table><tr>" + "".join(f"<th>{name}</th>" for name in columns) + f"</tr>{body}</table>"


def _images(scene: Scene, judgements: dict[str, Judgement]) -> Figure:
    """Phase with and without encoding above what encoding changed."""
    pictures = {name: judgement.phase for name, judgement in judgements.items()}
    base = next(iter(pictures.values()))
    reference, what = base, "un-encoded"
    if scene.truth is not None:
        reference, what = phase_of(scene.truth, scene.support), "truth"
        pictures = {"truth": reference.astype(np.float32), **pictures}
    box = _box(scene.support)
    shown = reference[box]
    low, high = np.percentile(reference[scene.support], (0.5, 99.5))
    spread = max(float(np.percentile(np.abs(p - reference)[scene.support], 99)) for p in pictures.values()) or 1.0
    figure = Figure(
        figsize=(3 * len(pictures) + 0.8, 6.2 * shown.shape[0] / shown.shape[1] + 0.6), layout="constrained"
    )
    axes = figure.subplots(2, len(pictures), squeeze=False)
    for column, (name, phase) in enumerate(pictures.items()):
        axes[0, column].imshow(phase[box], cmap="gray", vmin=low, vmax=high)
        axes[0, column].set_title("un-encoded" if name == "none" else name)
        difference = np.where(scene.support, phase - reference, np.nan)[box]
        axes[1, column].imshow(difference, cmap="RdBu", vmin=-spread, vmax=spread)
        axes[1, column].set_title(f"minus {what}", fontsize="small")
    for axis in axes.flat:
        axis.set_axis_off()
    for row in axes:
        figure.colorbar(row[0].images[0], ax=row, fraction=0.02)
    return figure


def _curves(judgements: dict[str, Judgement]) -> Figure:
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axis = figure.subplots()
    for name, judgement in judgements.items():
        ring = judgement.frc
        label = f"{'un-encoded' if name == 'none' else name}: {ring.crossing:.3f}"
        axis.plot(ring.frequencies, ring.values, color=_COLOURS.get(name), lw=1.4, label=label)
    ring = judgements["none"].frc
    axis.plot(ring.frequencies, ring.threshold, "--", color="#888888", lw=1, label="half-bit")
    axis.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="spatial frequency (Nyquist = 1)", ylabel="FRC")
    axis.legend(frameon=False)
    return figure


def _over_ratio(scene: Scene, rows: list[dict[str, Any]], unencoded: Judgement) -> Figure:
    """Error and correlation over S', a line for each kind of values and source of components."""
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    known = scene.truth is not None
    panels = {
        "smse" if known else "smse_unencoded": (
            "phase error to the truth, rad²" if known else "phase error to the un-encoded image, rad²",
            unencoded.smse if known else None,
        ),
        "frc_crossing": ("FRC half-bit crossing, Nyquist = 1", unencoded.frc.crossing),
    }
    for axis, (key, (text, base)) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for label in dict.fromkeys((row["domain"], row["source"]) for row in rows):
            line = [row for row in rows if (row["domain"], row["source"]) == label and row["weight_bits"]]
            line.sort(key=lambda row: row["components"])
            style = {"color": _COLOURS.get(label[0], "#e08214"), "ls": "-" if label[1] == "object" else "--"}
            name = f"{label[0]}, components from {'training objects' if label[1] == 'object' else 'the data'}"
            axis.plot([r["components"] for r in line], [r[key] for r in line], marker="o", ms=4, label=name, **style)
        if scene.name == AUTHORS_SCENE and key in AUTHORS:
            published = AUTHORS[key]
            axis.plot(list(published), list(published.values()), "k:", marker="s", ms=4, label="Huang et al., PCA")
        if base is not None:
            axis.axhline(base, color="#888888", lw=1, label="un-encoded")
        axis.set(xscale="log", xlabel="coefficients of a frame, S′", ylabel=text)
        if key != "frc_crossing":
            axis.set_yscale("log")
            axis.legend(frameon=False, fontsize="small")
        else:
            axis.set_ylim(0, 1.02)
    return figure


def _staircases(codebooks: list[Codebook], method: DecodeMethod) -> Figure:
    """Staircase at small counts, and the error over the whole range inside the noise."""
    figure = Figure(figsize=(15, 7), layout="constrained")
    axes = figure.subplots(2, len(codebooks), squeeze=False)
    for column, book in enumerate(codebooks):
        counts = np.arange(book.edges[-1])
        decoded = book.decode_levels(method)[book.table]
        few = counts[:101]
        top, bottom = axes[0, column], axes[1, column]
        top.fill_between(few, few - np.sqrt(few), few + np.sqrt(few), color="#dddddd", label="N ± √N")
        top.step(few, decoded[:101], where="mid", color=_COLOURS.get(book.name), label="N′")
        top.set(title=f"{book.name}: {book.levels} levels, {book.code_bits} bits", xlabel="count N", ylabel="N′")
        top.legend(frameon=False, loc="upper left")
        sigma = np.sqrt(counts)
        bottom.fill_between(counts, -sigma, sigma, color="#dddddd")
        bottom.plot(counts, decoded - counts, color=_COLOURS.get(book.name), lw=0.5)
        worst = book.figures().decoding[method].max_error
        bottom.set(title=f"largest error {worst:.3f} σ", xlabel="count N", ylabel="N′ − N")
        bottom.set_xscale("symlog", linthresh=10)
    return figure


def _box(support: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Bounding box of the support, with a small margin."""
    slices = []
    for axis in (1, 0):
        inside = np.flatnonzero(support.any(axis=axis))
        slices.append(slice(max(int(inside[0]) - 4, 0), int(inside[-1]) + 5))
    return slices[0], slices[1]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context({"font.size": 10}):
        figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def _figure(png: bytes, caption: str, width: str = "60%") -> str:
    """PNG inside the page, with a caption (HTML)."""
    data = base64.b64encode(png).decode()
    return (
        f'<figure><img style="width:{width}" alt="" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
