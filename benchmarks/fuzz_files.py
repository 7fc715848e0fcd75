# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Damaged input files: each is read, or refused with one line; never a crash, a hang or a wrong frame taken for good.

    python benchmarks/fuzz_files.py --cases 10000

Small files of every kind that the command line reads are damaged: bits flipped, bytes lost, overwritten or moved, and,
through HDF5, data sets and attributes exchanged, deleted, retyped, reshaped or claimed to be huge. Each is read by the
command that takes it, in a subprocess with a limit on memory and time. What is read from a file whose checksums cover
the damage must be what the whole file gives. Prints a count of each outcome, and every failure; exit status 1 if there
is any.
"""

import argparse
import io
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ptychopress.cli import compress, console, decompress
from ptychopress.model.code_file import Lossless
from ptychopress.model.pca import learn
from ptychopress.model.quantise import quantise
from ptychopress.model.transform import Transform
from ptychopress.model.weights import save
from ptychopress.reconstruction.cxi import write_cxi
from ptychopress.reconstruction.scan import Scan

MEMORY = 1 << 30
"""Bytes of address space that a worker may take beyond what it has after its imports."""

SECONDS = 20
"""For one file."""

REFUSALS = (ValueError, TypeError, ArithmeticError, MemoryError, OSError, RuntimeError)
"""What the command line turns into one line and exit status 2."""

EDGES = "edges.json"
FRAMES, SIDE = 12, 16
OUTCOMES = ("refused", "same", "other", "memory", "wrong", "traceback", "crash", "hang")
FAILURES = ("memory", "wrong", "traceback", "crash", "hang")


def write_files(folder: Path) -> None:
    """One whole file of each kind."""
    rng = np.random.default_rng(3)
    counts = rng.poisson(rng.uniform(0, 40, (SIDE, SIDE)) * rng.uniform(0.5, 2, (FRAMES, 1, 1))).astype(np.uint16)
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[2, 3] = True
    counts[:, mask] = 0
    scan = Scan(
        frames=counts,
        mask=mask,
        probe=rng.normal(size=(2, SIDE, SIDE)).astype(np.complex64),
        positions=np.vstack([np.zeros((1, 2)), rng.uniform(0, 20, (FRAMES - 1, 2))]),
        wavelength=1.4e-10,
        distance=2.0,
        pixel_size=(75e-6, 75e-6),
    )
    write_cxi(folder / "scan.cxi", scan)
    save(folder / "weights.h5", quantise(learn(counts, 4, transform=Transform("counts", 14), mask=mask), counts))
    compress.compress(folder / "scan.cxi", folder / "coefficients.h5", folder / "weights.h5")
    (folder / EDGES).write_text("[0, 1, 2, 4, 8, 16, 32, 64]")
    compress.compress(folder / "scan.cxi", folder / "szip.h5", edges=folder / EDGES)
    compress.compress(folder / "scan.cxi", folder / "plain.h5", edges=folder / EDGES, lossless=Lossless.NONE)


def read(kind: str, path: Path, folder: Path) -> bytes:
    """What the command that takes such a file makes of it."""
    out = folder / "out.h5"
    with redirect_stdout(io.StringIO()):
        if kind == "scan.cxi":
            compress.compress(path, out, edges=folder / EDGES)
            name = "codes"
        elif kind == "weights.h5":
            compress.compress(folder / "scan.cxi", out, path)
            name = "coefficients"
        else:
            decompress.decompress(path, out)
            name = decompress.DATA
    with h5py.File(out) as file:
        return file[name][()].tobytes()


def damage(path: Path, data: bytes, rng: random.Random) -> bool:
    """Write a damaged copy; return whether the checksums cover the damage, even of a file that has no digest."""
    if rng.random() < 0.6:
        octets = bytearray(data)
        rng.choice(BYTES)(octets, rng)
        path.write_bytes(octets)
        return True
    path.write_bytes(data)
    with h5py.File(path, "r+") as file:
        rng.choice(OBJECTS)(file, rng)
    return False


def flip(octets: bytearray, rng: random.Random) -> None:
    """Flip bits."""
    for _ in range(rng.choice((1, 1, 1, 2, 8, 64))):
        octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)


def truncate(octets: bytearray, rng: random.Random) -> None:
    """Lose the end."""
    del octets[rng.randrange(len(octets)) :]


def overwrite(octets: bytearray, rng: random.Random) -> None:
    """Overwrite some octets."""
    start, size = rng.randrange(len(octets)), rng.choice((1, 2, 4, 8, 100, 1000))
    fill = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size)))
    octets[start : start + size] = fill[: len(octets) - start]


def move(octets: bytearray, rng: random.Random) -> None:
    """Copy some octets over others, as a write to the wrong place does."""
    size = rng.choice((8, 64, 256, 1024))
    source, target = (rng.randrange(len(octets) - size) // 8 * 8 for _ in range(2))
    octets[target : target + size] = octets[source : source + size]


def lose(octets: bytearray, rng: random.Random) -> None:
    """Lose some octets in the middle."""
    start = rng.randrange(len(octets))
    del octets[start : start + rng.choice((1, 8, 100))]


def _names(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return names


def _attributes(file: h5py.File) -> list[tuple[Any, str]]:
    return [(item, key) for item in (file, *(file[name] for name in _names(file))) for key in item.attrs]


def delete(file: h5py.File, rng: random.Random) -> None:
    """Delete an object."""
    del file[rng.choice(_names(file))]


def lose_attribute(file: h5py.File, rng: random.Random) -> None:
    """Delete an attribute."""
    item, key = rng.choice(_attributes(file))
    del item.attrs[key]


def swap_attributes(file: h5py.File, rng: random.Random) -> None:
    """Exchange two attributes."""
    (one, first), (two, second) = (rng.choice(_attributes(file)) for _ in range(2))
    one.attrs[first], two.attrs[second] = two.attrs[second], one.attrs[first]


def retype_attribute(file: h5py.File, rng: random.Random) -> None:
    """Give an attribute another value, of another type."""
    item, key = rng.choice(_attributes(file))
    item.attrs[key] = rng.choice((-1, 1 << 60, 1.5, float("nan"), "x", b"\xff", [], [1, 2, 3], h5py.Empty("f4"), True))


def _data(file: h5py.File, rng: random.Random) -> tuple[str, Any]:
    name = rng.choice([name for name in _names(file) if isinstance(file[name], h5py.Dataset)])
    return name, file[name]


def retype(file: h5py.File, rng: random.Random) -> None:
    """Give a data set another type."""
    name, data = _data(file, rng)
    values = data[()]
    del file[name]
    kind = rng.choice(("f4", "i1", "u1", "i8", "u8", "c8", ">u2", "S3", "b1"))
    file[name] = np.asarray(values).real.astype(kind)


def reshape(file: h5py.File, rng: random.Random) -> None:
    """Give a data set another shape."""
    name, data = _data(file, rng)
    values = np.asarray(data[()])
    del file[name]
    shapes = (values.reshape(-1), values.reshape(-1)[:1], values[None], values[..., None], values.reshape(-1)[:0])
    file[name] = rng.choice((*shapes, values.T))


def inflate(file: h5py.File, rng: random.Random) -> None:
    """Claim a huge data set, of which nothing is stored."""
    name, data = _data(file, rng)
    shape = tuple(rng.choice((side, 60000, 1 << 31)) for side in data.shape) or (1 << 40,)
    kind = data.dtype
    del file[name]
    file.create_dataset(name, shape, kind, chunks=tuple(min(side, 1024) for side in shape) if len(shape) < 3 else True)


def revalue(file: h5py.File, rng: random.Random) -> None:
    """Change a value, mostly to the ends of its type."""
    _, data = _data(file, rng)
    values = np.array(data[()])
    flat = values.reshape(-1)
    if flat.size and flat.dtype.kind in "iufc":
        bounds = (0, 1) if flat.dtype.kind in "fc" else (np.iinfo(flat.dtype).min, np.iinfo(flat.dtype).max)
        flat[rng.randrange(flat.size)] = rng.choice((*bounds, 0, 1))
    data[()] = values


def swap_frames(file: h5py.File, rng: random.Random) -> None:
    """Exchange two rows of a data set."""
    _, data = _data(file, rng)
    if data.ndim and len(data) > 1:
        one, two = rng.sample(range(len(data)), 2)
        data[one], data[two] = data[two], data[one]


def link(file: h5py.File, rng: random.Random) -> None:
    """Put a link in the place of an object."""
    name = rng.choice(_names(file))
    del file[name]
    kinds = (h5py.SoftLink("/nothing"), h5py.SoftLink(f"/{name}"), h5py.ExternalLink("nothing.h5", "/"), file["/"])
    file[name] = rng.choice(kinds)


BYTES: tuple[Callable[[bytearray, random.Random], None], ...] = (flip, flip, flip, truncate, overwrite, move, lose)
OBJECTS: tuple[Callable[[h5py.File, random.Random], None], ...] = (
    *(delete, lose_attribute, swap_attributes, retype_attribute, retype, reshape),
    *(inflate, revalue, swap_frames, link),
)
KINDS = ("szip.h5", "plain.h5", "coefficients.h5", "weights.h5", "scan.cxi")
DIGESTED = ("szip.h5", "plain.h5", "weights.h5")
"""Kinds whose digests cover whatever is changed, through HDF5 too."""


def outcome(kind: str, path: Path, folder: Path, covered: bool, expected: bytes) -> tuple[str, str]:
    """How reading a file ends, and a line about it."""
    try:
        with redirect_stderr(io.StringIO()):
            found = read(kind, path, folder)
    except MemoryError as error:
        return "memory", str(error)
    except REFUSALS as error:
        text = " ".join(str(error).split())
        return ("refused", text) if text else ("traceback", f"{type(error).__name__} without a message")
    except Exception as error:
        return "traceback", f"{type(error).__name__}: {error}"
    if found == expected:
        return "same", ""
    covered = kind in DIGESTED or (kind == "coefficients.h5" and covered)
    return ("wrong" if covered else "other"), ""


def work(folder: Path, seed: int, start: int, stop: int) -> None:
    """Damage and read files; a line for each on standard output as soon as it is done."""
    console.console.quiet = True
    expected = {kind: read(kind, folder / kind, folder) for kind in KINDS}
    whole = {kind: (folder / kind).read_bytes() for kind in KINDS}
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for case in range(start, stop):
        rng = random.Random(f"{seed} {case}")
        kind = KINDS[case % len(KINDS)]
        path = folder / f"damaged-{kind}"
        covered = damage(path, whole[kind], rng)
        signal.alarm(SECONDS)  # ends the process
        found, text = outcome(kind, path, folder, covered, expected[kind])
        signal.alarm(0)
        print(case, found, text.replace(str(folder), "."), flush=True)


def run(cases: int, seed: int, first: int = 0) -> tuple[Counter[tuple[str, str]], list[str], int]:
    """Outcomes by kind of file, a line for each failure, and the largest memory of a worker in bytes."""
    counts: Counter[tuple[str, str]] = Counter()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        console.console.quiet = True
        with redirect_stdout(io.StringIO()):
            write_files(folder)
        case, stop = first, first + cases
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        while case < stop:
            command = [sys.executable, __file__, "--worker", name, "--seed", str(seed), "--first", str(case)]
            with subprocess.Popen(
                [*command, "--cases", str(stop - case)], stdout=subprocess.PIPE, text=True, env=environment
            ) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    number, found, *text = line.split(maxsplit=2)
                    case = int(number) + 1
                    kind = KINDS[int(number) % len(KINDS)]
                    counts[kind, found] += 1
                    if found in FAILURES:
                        failures.append(f"case {number}, {kind}: {found} {' '.join(text).strip()}")
            if process.returncode == 1:
                raise RuntimeError(f"the worker itself failed at case {case}")
            if case < stop:
                found = "hang" if process.returncode == -signal.SIGALRM else "crash"
                counts[KINDS[case % len(KINDS)], found] += 1
                failures.append(f"case {case}, {KINDS[case % len(KINDS)]}: {found}, status {process.returncode}")
                case += 1
    return counts, failures, 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case, to repeat one")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        work(options.worker, options.seed, options.first, options.first + options.cases)
        return
    counts, failures, memory = run(options.cases, options.seed, options.first)
    print(f"seed {options.seed}, {options.cases} files, largest worker {memory / 1e6:.0f} MB")
    print(f"{'':16}" + "".join(f"{name:>10}" for name in OUTCOMES))
    for kind in KINDS:
        print(f"{kind:16}" + "".join(f"{counts[kind, name]:10}" for name in OUTCOMES))
    print("\n".join(failures))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
