# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress power``: energy of encoder and projector in standard cells on real frames, beside raw counts."""

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from itertools import islice
from math import inf
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from ..hdl.axi import AxiStreamTop, lane_bytes
from ..hdl.code_tile import CodeTile
from ..hdl.encoder import ShiftEncoder, allows_shifts
from ..hdl.hardwired import HardwiredProjector
from ..hdl.verilog import verilog_text
from ..model.codebook import Codebook
from ..model.pca import learn, pixel_noise
from ..model.projection import Projection
from ..model.quantise import quantise
from ..model.transform import Transform
from ..reconstruction.frames import FrameFile
from ..sim.activity import record
from ..sim.tools import icarus_version
from ..synth.gates import asic_netlist, cell_models
from ..synth.liberty import Library
from ..synth.power import Circuit, Power
from ..synth.power import power as power_of
from ..synth.sta import sta_installed
from ..synth.sta_power import INTERNAL_WRONG, StaPower, run_script, write_script
from ..synth.waveforms import Waveforms
from .console import console, progress_bar
from .files import publish
from .options import DataPath, JsonOutput

COUNT_BITS, OUTPUT_BITS = 14, 16
CLOCK = "aclk"
STEPS = ("mapping", "simulating", "adding up")
PHOTONS = 2e7
"""Dose of the simulated frames, photons on the cell."""

SEED = 1
"""Of the draw of places."""

LEARNED = 100
"""Frames that components are learned from."""


@dataclass(frozen=True)
class Work:
    """A block, what goes in, a beat a row, and what must come out."""

    name: str
    make: Callable[[], Any]
    values: NDArray[np.int64]
    expected: NDArray[np.int64]


@dataclass(frozen=True)
class Figures:
    """What a block takes.

    Parameters
    ----------
    name : str
    gate_equivalents : float
    power : Power
        Of the run.
    pixels : int
        That went through it meanwhile.
    sta : StaPower or None
        OpenSTA's figures.
    """

    name: str
    gate_equivalents: float
    power: Power
    pixels: int
    sta: StaPower | None

    def to_dict(self) -> dict[str, Any]:
        """Energies a pixel, J: by what takes them and in all; by kind, as OpenSTA divides them, and OpenSTA's."""
        taken, seconds = self.power, self.power.seconds
        parts = {name: getattr(taken, name) for name in ("clock", "registers", "logic")}
        parts |= {"leakage": taken.leakage * seconds, "total": taken.energy}
        kinds = {"internal": taken.internal, "switching": taken.switching, "leakage": taken.leakage * seconds}
        told: dict[str, Any] = {
            "name": self.name,
            "gate_equivalents": self.gate_equivalents,
            "joule_a_pixel": {name: joule / self.pixels for name, joule in parts.items()},
            "kinds": {name: joule / self.pixels for name, joule in kinds.items()},
        }
        if self.sta is not None:
            told["opensta"] = {name: getattr(self.sta, name) * seconds / self.pixels for name in kinds}
        return told


def power(
    liberty: Annotated[
        list[Path],
        typer.Option(
            "--liberty",
            help="Standard cells, .lib or .lib.gz; may be repeated for a library in several files.",
            metavar="FILE",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="HDF5 or CXI file with frames; else a simulated scan of a cell.", metavar="FILE"),
    ] = None,
    path: DataPath = None,
    codebook: Annotated[str, typer.Option("--codebook", help="Codes: sqrt-a, sqrt-b or sqrt-c.")] = "sqrt-b",
    tile: Annotated[int, typer.Option("--tile", help="Rows and columns of pixels that share a projector.", min=2)] = 4,
    components: Annotated[int, typer.Option("--components", help="Coefficients of a tile.", min=1)] = 1,
    frames: Annotated[int, typer.Option("--frames", help="Successive frames that are run.", min=2)] = 8,
    places: Annotated[
        int, typer.Option("--places", help="Tiles of a frame that are run, drawn at random.", min=1)
    ] = 64,
    clock: Annotated[float, typer.Option("--clock", help="MHz, a tile a clock: what leakage is paid for.")] = 250,
    glitches: Annotated[
        bool, typer.Option("--glitches", help="Every cell takes the same time: transitions in between count too.")
    ] = False,
    link: Annotated[
        float, typer.Option("--link", help="Energy of a bit off the chip, pJ, pads and all: added to the comparison.")
    ] = 0,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            help="Leave netlists, waveforms (VCD) and scripts for OpenSTA there, a folder a block.",
            metavar="DIR",
        ),
    ] = None,
    as_json: JsonOutput = False,
) -> None:
    """Energy a pixel and a frame of encoder and hard-wired projector: counts against codes, on chip and on the link.

    A tile of pixels goes through them in each clock, and through a register of counts for comparison. They are mapped
    to standard cells and simulated with tiles of successive frames; what comes out is compared with the golden model,
    and exit status 1 says that it is wrong. Every transition of every net counts; where OpenSTA (sta) is installed its
    figures stand beside.

    Before layout: no wires, no clock tree. Pads and links are left out; --link adds them.
    """
    if not (0 < clock < inf and 0 <= link < inf):
        raise ValueError(f"--clock must be more than 0 MHz and --link 0 pJ or more, got {clock:g} and {link:g}")
    library = Library.read(*liberty)
    book = Codebook.named(codebook, COUNT_BITS)
    if not allows_shifts(book):
        raise ValueError(f"--codebook {codebook}: expected sqrt-a, sqrt-b or sqrt-c, whose encoder is gates alone")
    counts = _measured(data, path) if data else _simulated()
    if min(counts.shape[1:]) < tile or len(counts) < frames:
        raise ValueError(
            f"--tile {tile}, --frames {frames}: there are {len(counts)} frames of {counts.shape[1]} x"
            f" {counts.shape[2]} pixels"
        )
    if components > tile**2:
        raise ValueError(f"--components {components}: a tile of {tile} x {tile} pixels has {tile**2} at most")
    # What is missing shall be said before the minutes, not after them.
    icarus_version()
    if find_spec("da4ml") is None:
        raise ValueError("the hard-wired projector needs da4ml: pip install 'ptychopress[hardwired]'")
    works = _works(np.clip(counts, 0, (1 << COUNT_BITS) - 1), book, tile, components, frames, places)
    if not sta_installed():
        console.print("OpenSTA (sta) is not installed: the energies stand alone")
    figures: list[Figures] = []
    with progress_bar() as bars:
        bar = bars.add_task("power", total=len(works) * len(STEPS))
        for number, work in enumerate(works):

            def begin(step: str, name: str = work.name, before: int = number * len(STEPS)) -> None:
                bars.update(bar, completed=before + STEPS.index(step), description=f"{name}: {step}")

            figures.append(_figures(work, library, clock, glitches, keep, begin))
        bars.update(bar, completed=len(works) * len(STEPS), description="power")
    told = {one.name: one.to_dict() for one in figures}
    results = {
        "library": library.name,
        "data": data.name if data else f"built-in cell, {PHOTONS:.0e} photons",
        "codebook": book.name,
        "clock_mhz": clock,
        "glitches": glitches,
        "tile": tile,
        "components": components,
        "frames": frames,
        "pixels_run": figures[0].pixels,
        "pixels_a_frame": int(np.prod(counts.shape[1:])),
        "opensta": figures[0].sta.version if figures[0].sta else None,
        "blocks": list(told.values()),
        "link_pj_a_bit": link,
        "routes": _routes(works, told, book, components / tile**2, link),
    }
    typer.echo(json.dumps(results, indent=1) if as_json else _report(results))


def _works(counts: NDArray[Any], book: Codebook, tile: int, components: int, frames: int, places: int) -> list[Work]:
    """What is measured, on successive frames from the middle of the scan."""
    first = (len(counts) - frames) // 2
    whole = _tiles(counts[first : first + frames], tile).reshape(-1, frames, tile**2)
    drawn = np.sort(np.random.default_rng(SEED).permutation(len(whole))[:places])
    run, learned = whole[drawn].reshape(-1, tile**2), _tiles(counts[:: max(1, len(counts) // LEARNED)], tile)
    codes = book.encode(run).astype(np.int64)

    def projection(transform: Transform) -> Projection:
        values, noise = transform.forward(learned), pixel_noise(transform, learned.mean(axis=0)[None])
        basis = learn(values, components, transform=transform, noise=noise)
        return quantise(basis, values, output_bits=OUTPUT_BITS).projection

    of_counts, of_codes = projection(Transform("counts", COUNT_BITS)), projection(Transform.codes(book))
    coefficients = of_codes.project(codes)[0].astype(np.int64)
    # A codebook whose codes are the counts makes an encoder without gates: what a count costs as it is.
    plain = Codebook.from_edges(range((1 << COUNT_BITS) + 1), name="counts")
    return [
        Work("register of counts", partial(ShiftEncoder, plain, lanes=tile**2), run, run),
        Work("encoder", partial(ShiftEncoder, book, lanes=tile**2), run, codes),
        Work(
            "projector of counts",
            partial(HardwiredProjector, of_counts),
            run,
            of_counts.project(run)[0].astype(np.int64),
        ),
        Work("projector of codes", partial(HardwiredProjector, of_codes), codes, coefficients),
        Work(
            "encoder cores and projector of codes",
            lambda: CodeTile(book, HardwiredProjector(of_codes)),
            run,
            coefficients,
        ),
    ]


def _measured(data: Path, path: str | None) -> NDArray[Any]:
    """The first frames of a file."""
    return np.concatenate([*islice(FrameFile.open(data, path).pieces(64), 8)])


def _simulated() -> NDArray[Any]:
    """Frames of the cell benchmark."""
    try:
        from ..reconstruction.phantom import cell_phantom
        from ..reconstruction.scene import simulated
    except ModuleNotFoundError as error:
        raise ValueError(
            f"simulated frames need {error.name}: pip install 'ptychopress[reconstruction]', or --data FILE"
        ) from None
    return simulated(cell_phantom(), PHOTONS, seed=1, quick=True).counts[0]


def _tiles(frames: NDArray[Any], tile: int) -> NDArray[np.int64]:
    """Tiles of frames, (places * frames, pixels): each place frame after frame, as its own hardware sees it.

    What is left at the edges is dropped.
    """
    rows, columns = (size // tile for size in frames.shape[1:])
    cut = frames[:, : rows * tile, : columns * tile].reshape(len(frames), rows, tile, columns, tile)
    return cut.transpose(1, 3, 0, 2, 4).reshape(-1, tile * tile).astype(np.int64)


def _figures(
    work: Work, library: Library, clock: float, glitches: bool, keep: Path | None, begin: Callable[[str], None]
) -> Figures:
    """Map a block, run it, compare what comes out, and add up the energy."""
    with ExitStack() as stack:
        if keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ptychopress-power-")))
        else:
            folder = stack.enter_context(publish(keep / work.name.replace(" ", "-")))
        begin(STEPS[0])
        block = work.make()
        netlist = asic_netlist(verilog_text(AxiStreamTop(block), "dut"), "dut", library)
        begin(STEPS[1])
        timed = replace(netlist, models=cell_models(library, netlist.cells, delayed=glitches))
        (beats, in_bits), (wanted, out_bits) = _on_bus(work.values, block.i), _on_bus(work.expected, block.o)
        run = record(timed.text, beats, folder, in_bits=in_bits, out_bits=out_bits, settle=block.latency + 3)
        if run.outputs != wanted:
            console.print(f"{work.name}: the netlist's values are not the golden model's", style="red")
            raise typer.Exit(1)
        begin(STEPS[2])
        circuit = Circuit.read(netlist, Waveforms.read(run.waveforms))
        taken = power_of(circuit, library, clock=CLOCK, period=1e-6 / clock, delayed=glitches)
        sta = None
        if keep is not None or sta_installed():
            write_script(circuit, library, folder, clock=CLOCK, period=1e-6 / clock)
        if sta_installed():
            sta = run_script(folder)
    area = sum(library.cells[kind].area * number for kind, number in netlist.cells.items())
    clocks = round(taken.seconds * clock * 1e6)
    return Figures(work.name, area / library.nand2.area, taken, clocks * work.values.shape[1], sta)


def _routes(
    works: list[Work], told: dict[str, dict[str, Any]], book: Codebook, ratio: float, link: float
) -> list[dict[str, Any]]:
    """What may be sent: bits and transitions a pixel on the link, energy on the chip and in all.

    `ratio` is coefficients a pixel. What packs bits into words is not counted.
    """
    counts, encoder, of_counts, _, of_codes = works
    routes = [
        ("counts", counts, COUNT_BITS, float(COUNT_BITS)),
        ("codes", encoder, book.code_bits, float(book.code_bits)),
        ("coefficients of counts", of_counts, OUTPUT_BITS, OUTPUT_BITS * ratio),
        ("coefficients of codes", of_codes, OUTPUT_BITS, OUTPUT_BITS * ratio),
    ]
    on_chip = {work.name: told[work.name]["joule_a_pixel"]["total"] for work in works}
    results = []
    for name, work, width, bits in routes:
        sent, taken, saved = work.expected, on_chip[work.name], COUNT_BITS - bits
        changed = np.bitwise_count((sent[1:] ^ sent[:-1]) & ((1 << width) - 1)).sum()
        results.append(
            {
                "sent": name,
                "link_bits_a_pixel": bits,
                "link_transitions_a_pixel": int(changed) / work.values[1:].size,
                "on_chip_joule_a_pixel": taken,
                "joule_a_pixel": taken + 1e-12 * link * bits,
                "pays_from_joule_a_bit": max(0.0, taken - on_chip[counts.name]) / saved if saved > 0 else None,
            }
        )
    return results


def _on_bus(values: NDArray[np.int64], port: Any) -> tuple[list[int], int]:
    """Beats of values on tdata, and its width."""
    (_, field), *_ = port.p.shape()
    octets = lane_bytes(field.width // values.shape[1])
    raw = values.astype("<i8").view(np.uint8).reshape(*values.shape, 8)[..., :octets]
    return [int.from_bytes(row.tobytes(), "little") for row in raw], 8 * octets * values.shape[1]


def _report(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    pixels, link = results["pixels_a_frame"], results["link_pj_a_bit"]
    parts = ("clock", "registers", "logic", "leakage", "total")
    blocks = [
        (
            block["name"],
            f"{block['gate_equivalents']:.0f}",
            *(f"{1e12 * block['joule_a_pixel'][part]:.4f}" for part in parts),
            f"{1e9 * block['joule_a_pixel']['total'] * pixels:.3f}",
        )
        for block in results["blocks"]
    ]
    lines = [
        f"{results['library']}, {results['data']}: {results['frames']} frames, {results['pixels_run']} pixels in tiles"
        f" of {results['tile']} x {results['tile']}, {results['components']} coefficients each, {results['codebook']},"
        f" {results['clock_mhz']:g} MHz{', with glitches' if results['glitches'] else ''}. Energies in pJ a pixel.",
        "",
        *_table(("block", "GE", *parts, "nJ a frame"), blocks),
        "",
    ]
    if version := results["opensta"]:
        kinds = ("switching", "leakage") if version.startswith(INTERNAL_WRONG) else ("internal", "switching", "leakage")
        beside = [
            (
                block["name"],
                *(f"{1e12 * block[source][kind]:.6f}" for kind in kinds for source in ("kinds", "opensta")),
            )
            for block in results["blocks"]
        ]
        heads = [head for kind in kinds for head in (kind, f"OpenSTA {version}")]
        lines += [*_table(("block", *heads), beside), ""]
    routes = [
        (
            route["sent"],
            f"{route['link_bits_a_pixel']:g}",
            f"{route['link_transitions_a_pixel']:.2f}",
            f"{1e12 * route['on_chip_joule_a_pixel']:.4f}",
            f"{1e12 * route['joule_a_pixel']:.4f}",
            f"{1e9 * route['joule_a_pixel'] * pixels:.3f}",
            _pays(route["pays_from_joule_a_bit"]),
        )
        for route in results["routes"]
    ]
    heads = ["sent", "bits", "transitions", "on chip", f"with {link:g} pJ a bit", "nJ a frame", "pays from pJ a bit"]
    return "\n".join([*lines, *_table(heads, routes)])


def _pays(joule: float | None) -> str:
    """Energy of a bit on the link from which on a route is worth what it takes on the chip."""
    return "" if joule is None else f"{1e12 * joule:.4f}" if joule else "any"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, figures to the right."""
    return [
        f"| {' | '.join(heads)} |",
        "| --- " + "| ---: " * (len(heads) - 1) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
