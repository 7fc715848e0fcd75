# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Measure the memory that a reconstruction straight from coefficients takes, beside one of expanded frames.

The cell benchmark at 2e7 photons, 4,488 frames of 72 x 72, is compressed to 100 coefficients a frame and expanded
again, all by the command line; then both files are reconstructed, one epoch each, in a process of their own. Counted is
the peak of the resident memory above what the process has after a run on 64 frames of 16 x 16, which loads all code.
Exit status 1 if the coefficients take more than a fifth of the memory of the frames. Linux only.

Usage: OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/reconstruction_memory.py
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ptychopress.reconstruction.acquisition import Acquisition, cell_benchmark, diffract, expose
from ptychopress.reconstruction.cxi import write_cxi
from ptychopress.reconstruction.phantom import cell_phantom
from ptychopress.reconstruction.probes import gaussian_probe
from ptychopress.reconstruction.scan import Scan
from ptychopress.reconstruction.scans import raster_scan

COMMAND = Path(sys.executable).with_name("ptychopress")
COMPONENTS, LIMIT = 100, 0.2


def prepare(folder: Path, acquisition: Acquisition, obj: np.ndarray, components: int) -> None:
    """Write a scan, its coefficients, and the frames that these are expanded to."""
    folder.mkdir()
    n = acquisition.window
    scan = Scan(
        frames=expose(diffract(obj, acquisition), 1),
        mask=np.zeros((n, n), np.bool_),
        probe=acquisition.probe,
        positions=acquisition.positions.astype(np.float64),
        wavelength=1e-10,
        distance=1.0,
        pixel_size=(1e-10 / (n * 1e-9),) * 2,
    )
    write_cxi(folder / "scan.cxi", scan)
    for command in (
        f"train --from data --data scan.cxi --components {components} --out weights.h5",
        "compress scan.cxi --weights weights.h5 --out coefficients.h5",
        "decompress coefficients.h5 --scan scan.cxi --out frames.cxi",
    ):
        subprocess.run([COMMAND, *command.split()], cwd=folder, check=True, capture_output=True)


def memory(name: str) -> float:
    """Resident memory (VmRSS), or its peak (VmHWM), in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def measure(small: Path, large: Path, file: str) -> None:
    """Reconstruct `file` of a small data set, then that of a large one; print the peak of the latter, MiB."""
    from ptychopress.cli.reconstruct import reconstruct

    for folder in (small, large):
        before = memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        scan = folder / "scan.cxi" if file == "coefficients.h5" else None
        reconstruct(folder / file, folder / "result.h5", scan=scan, epochs=1, picture=False)
    print(memory("VmHWM") - before)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
        sys.exit()
    with tempfile.TemporaryDirectory() as name:
        small, large = Path(name) / "small", Path(name) / "large"
        tiny = Acquisition(gaussian_probe(16, 2.5), raster_scan(8, 8, 2), (30, 30)).scaled(1e4)
        prepare(small, tiny, np.ones(tiny.object_shape, np.complex64), 8)
        benchmark = cell_benchmark(cell_phantom(), 2e7)
        prepare(large, benchmark.acquisition, benchmark.object, COMPONENTS)
        peaks = []
        for file in ("coefficients.h5", "frames.cxi"):
            command = [sys.executable, __file__, small, large, file]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            peaks.append(float(done.stdout.split()[-1]))
    frames, window = len(benchmark.acquisition.positions), benchmark.acquisition.window
    ratio = peaks[0] / peaks[1]
    print("| frames | S' | straight from coefficients, MiB | expanded, MiB | ratio |")
    print("|---|--:|--:|--:|--:|")
    print(f"| {frames} of {window} x {window} | {COMPONENTS} | {peaks[0]:.1f} | {peaks[1]:.1f} | {ratio:.3f} |")
    sys.exit(ratio > LIMIT)
