# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The reports of the demo and of an evaluation: one HTML file with its pictures inside."""

import base64
import html
import io
from collections.abc import Callable, Mapping, Sequence
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
.wide { font-size: .8rem; overflow-x: auto } .wide th, .wide td { padding: .2rem .4rem }
th { text-align: right; font-weight: 600 } td { text-align: right; white-space: nowrap }
.notes th:last-child, .notes td:last-child { text-align: left; white-space: normal; min-width: 9rem }
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


def evaluation_page(
    scene: Scene, results: dict[str, Any], judgements: Sequence[Judgement]
) -> tuple[str, dict[str, bytes]]:
    """Render an evaluation as one self-contained page, and its pictures as PNG files by name.

    Parameters
    ----------
    scene
        What was evaluated.
    results
        As `results.json` of ``ptychopress evaluate`` has them.
    judgements
        One a row of `results`; the first is that of the counts as they are.
    """
    rows = results["results"]
    named = {row["name"]: judgement for row, judgement in zip(rows, judgements, strict=True)}
    unencoded, *others = named
    chosen = next((row for row in rows if row["name"] == results["recommendation"]), None)
    error = "the truth" if results["truth"] else "the un-encoded image of the other half"
    pictures = {"error.png": _png(_over_bits(rows, chosen, results["tolerance"], error))}
    figures = _figure(pictures["error.png"], f"Phase error to {error}, over the bits that are sent.", "100%")
    spread = _spread(scene, named)
    half = "instance" if results["truth"] else "half"
    for kind in ("codes", "coefficients"):
        kept = [row["name"] for row in rows if row["kind"] == kind]
        # From fine to coarse: dark to bright.
        colours = dict(zip(kept, mpl.colormaps["viridis"](np.linspace(0.15, 0.9, len(kept))), strict=True))
        drawn = _curves({name: named[name] for name in (unencoded, *kept)}, {unencoded: _COLOURS["none"], **colours})
        curves = pictures[f"frc-{kind}.png"] = _png(drawn)
        text = f"Fourier ring correlation with the un-encoded image of the other {half}; {results['frc_criterion']}."
        figures += f"<h2>{kind.capitalize()}</h2>{_figure(curves, text)}"
        # As many side by side as can be seen.
        for k, part in enumerate(np.array_split(kept, -(-len(kept) // 4))):
            shown = {name: named[name] for name in (unencoded, *map(str, part))}
            picture = pictures[f"phase-{kind}-{k}.png"] = _png(_images(scene, shown, spread))
            figures += _figure(picture, "Reconstructed phase, first " + half + " (rad).", "100%")
    share, margin = results["tolerance"], results["frc_margin"]
    rule = (
        f"Without loss is what sends fewer bits than the counts, has an error to {error} at most {100 * share:g} %"
        f" larger than without encoding, and an FRC crossing at most {margin:.3g} lower. The FRC alone clears nothing:"
        " what is wrong alike in two images correlates too."
    )
    if not results["truth"]:
        rule += " In the error to the other half is that half's own noise, which no compression can change."
    likelihood = {"interval": "codes by the likelihood of their bins", "midpoint": "codes decoded to their midpoints"}
    how = "coefficients expanded to frames first" if results["expand"] else "images straight from coefficients"
    return (
        f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>ptychopress evaluate: {html.escape(results["title"])}</title>
<style>{_STYLE}</style></head><body>
<h1>{html.escape(results["title"])}</h1>
{_recommendation(chosen, len(others))}
<p>{rule}</p>
<p class="note">Version {results["version"]}, {results["seconds"]} s, seed {results["seed"]},
{results["settings"]["epochs"]} epochs; {likelihood[results["loss"]]}; {how}. {results["frames"]:,} frames
of {results["frame_shape"][0]} &times; {results["frame_shape"][1]} pixels, counts of {results["count_bits"]} bits. Codes
and coefficients are those of the golden model, which the hardware is bit for bit.</p>
{_evaluation_table(rows, chosen)}
{figures}
</body></html>
""",
        pictures,
    )


def _recommendation(chosen: dict[str, Any] | None, tried: int) -> str:
    if chosen is None:
        return f'<p class="bad">Recommended: none. All {tried} lose.</p>'
    text = f"{chosen['name']}, {chosen['bits']:.3g} bits a pixel, {chosen['bit_ratio']:.3g} : 1"
    return f'<p class="good">Recommended, the fewest bits without loss: {html.escape(text)}.</p>'


def _evaluation_table(rows: list[dict[str, Any]], chosen: dict[str, Any] | None) -> str:
    base = rows[0]
    key = "smse_other" if base["smse"] is None else "smse"
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "": lambda row: html.escape(row["name"]),
        "S&prime;": lambda row: "" if row["components"] is None else f"{row['components']:,}",
        "bits a pixel": lambda row: f"{row['bits']:.3g}",
        "bits in : out": lambda row: f"{row['bit_ratio']:.3g}",
        "entropy, bits a pixel": lambda row: "" if row["entropy"] is None else f"{row['entropy']:.2f}",
        "saturated": lambda row: f"{row['saturated']:,}",
        "SMSE, rad&sup2;": lambda row: f"{row['smse']:.3e}",
        "SMSE to un-encoded, same half": lambda row: (
            "" if row["smse_unencoded"] is None else f"{row['smse_unencoded']:.2e}"
        ),
        "SMSE to un-encoded, other half": lambda row: f"{row['smse_other']:.3e}",
        "error": lambda row: "" if row is base else f"{100 * (row[key] / base[key] - 1):+.1f} %",
        "FRC half-bit crossing": lambda row: f"{row['frc_crossing']:.3f}",
        "data loss": lambda row: f"{row['data_loss']:.3f}",
        "without loss": lambda row: _EXACT[row["lossless"]] + (" &larr; recommended" if row is chosen else ""),
        "why not": lambda row: html.escape(row["note"]),
    }
    if base["smse"] is None:  # nobody knows the truth
        del columns["SMSE, rad&sup2;"]
    return f'<div class="wide notes">{_html_table(columns, rows)}</div>'


def _over_bits(rows: list[dict[str, Any]], chosen: dict[str, Any] | None, tolerance: float, against: str) -> Figure:
    """Error over the bits a pixel, the limit, and what is recommended."""
    key = "smse_other" if rows[0]["smse"] is None else "smse"
    base = rows[0][key]
    figure = Figure(figsize=(13, 4.8), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, kind, colour in zip(axes, ("codes", "coefficients"), ("#2166ac", "#e08214"), strict=True):
        line = sorted((row for row in rows if row["kind"] == kind), key=lambda row: (row["bits"], row[key]))
        axis.plot([r["bits"] for r in line], [r[key] for r in line], "o", color=colour, ms=5, label=kind)
        for k, row in enumerate(line):
            name = row["name"].rpartition(", ")[2]
            # To the left and to the right in turn: codes of the same width lie above each other.
            place: dict[str, Any] = {"xytext": (6, 0), "ha": "left"} if k % 2 else {"xytext": (-6, 0), "ha": "right"}
            axis.annotate(name, (row["bits"], row[key]), textcoords="offset points", va="center", fontsize=7, **place)
        axis.axhline(base, color="#888888", lw=1, label="un-encoded")
        axis.axhline(
            (1 + tolerance) * base, color="#b2182b", lw=1, ls="--", label=f"un-encoded + {100 * tolerance:g} %"
        )
        if chosen is not None and chosen["kind"] == kind:
            axis.plot(chosen["bits"], chosen[key], "o", ms=14, mfc="none", mec="#1b7837", mew=2, label="recommended")
        axis.set(yscale="log", xlabel="bits a pixel")
        axis.margins(x=0.2)
        axis.legend(frameon=False, fontsize="small")
    axes[0].set_ylabel(f"phase error to {against}, rad²")
    axes[0].xaxis.get_major_locator().set_params(integer=True)
    axes[1].set_xscale("log")
    axes[1].xaxis.set_major_formatter("{x:g}")
    return figure


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


def _reference(scene: Scene, judgements: dict[str, Judgement]) -> NDArray[np.floating[Any]]:
    """Phase that the others are compared with: the truth, or the first."""
    return next(iter(judgements.values())).phase if scene.truth is None else phase_of(scene.truth, scene.support)


def _spread(scene: Scene, judgements: dict[str, Judgement]) -> float:
    """End of the colour scale for differences."""
    reference = _reference(scene, judgements)
    apart = [np.abs(judgement.phase - reference)[scene.support] for judgement in judgements.values()]
    return max(float(np.percentile(values, 99)) for values in apart) or 1.0


def _images(scene: Scene, judgements: dict[str, Judgement], spread: float | None = None) -> Figure:
    """Phase with and without encoding above what encoding changed; differences up to `spread`."""
    pictures = {name: judgement.phase for name, judgement in judgements.items()}
    reference, what = _reference(scene, judgements), "un-encoded" if scene.truth is None else "truth"
    if scene.truth is not None:
        pictures = {"truth": reference.astype(np.float32), **pictures}
    spread = spread or _spread(scene, judgements)
    box = _box(scene.support)
    shown = reference[box]
    low, high = np.percentile(reference[scene.support], (0.5, 99.5))
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


def _curves(judgements: dict[str, Judgement], colours: Mapping[str, Any] = _COLOURS) -> Figure:
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axis = figure.subplots()
    for name, judgement in judgements.items():
        ring = judgement.frc
        label = f"{'un-encoded' if name == 'none' else name}: {ring.crossing:.3f}"
        axis.plot(ring.frequencies, ring.values, color=colours.get(name), lw=1.4, label=label)
    ring = next(iter(judgements.values())).frc
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
