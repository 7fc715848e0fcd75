# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Generated Verilog compiled by Verilator together with a driver in C++, as a library to call; and bytes for it."""

import ctypes
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..hdl.verilog import WAIVERS, waivers_text
from .tools import ToolError, build_once, verilator_path_environment, verilator_version

_PORTS = "ports.h"
_MEMORIES = "memories"
_LIBRARY = "libmodel.so"
_OPTIONS = (
    *("--cc", "--exe", "--build", "-O3", "--x-assign", "fast", "--x-initial", "fast"),
    *("--no-assert", "-Wno-fatal", "--Mdir", "obj", "-o", _LIBRARY),
    *("-LDFLAGS", "-shared"),
    # One unit: the wheel's precompiled header does not work in a build of several.
    *("-MAKEFLAGS", "VM_PARALLEL_BUILDS=0"),
)


def verilated(verilog: str, module: str, driver: str, *, optimise: int = 3, memories: bool = False) -> ctypes.CDLL:
    """Return a driver over a compiled model of Verilog text: compiled at the first use and cached.

    Parameters
    ----------
    verilog : str
    module : str
        Its top.
    driver : str
        Name of a file in this package, without ".cpp". It includes the model as the class of that name with a capital,
        and has the functions ``create``, ``destroy`` and ``context``.
    optimise : int
        Level of the C++ compiler's optimisation: 3 takes its time with a large design.
    memories : bool
        Leave the memories open to the driver, see `ptychopress.sim.upsets`; the model is slower for it.

    Raises
    ------
    ToolError
        If Verilator, a compiler, make or perl is missing, or the build fails.
    """
    sources = {WAIVERS: waivers_text(), f"{module}.v": verilog, f"{driver}.cpp": _resource(f"{driver}.cpp")}
    if memories:
        sources = {f"{_MEMORIES}.vlt": public_memories(verilog), **sources}
        sources[f"{_MEMORIES}.cpp"] = _resource(f"{_MEMORIES}.cpp")
    headers = {_PORTS: _resource(_PORTS)}
    flags = "-CFLAGS", f"-O{optimise} -fPIC"
    options = (*_OPTIONS, *flags, "--top-module", module, "--prefix", driver.capitalize())
    environment = verilator_path_environment()
    key = "\0".join((*sources.values(), *headers.values(), *options, verilator_version()))

    def build(directory: Path) -> None:
        for name, text in (sources | headers).items():
            (directory / name).write_text(text)
        done = subprocess.run(
            ["verilator", *options, *sources],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            lines = (done.stderr + done.stdout).splitlines()
            first = next((line for line in lines if "rror" in line), lines[0] if lines else "no message")
            raise ToolError(f"Verilator could not build the model: {first.strip()}")

    try:
        library = _load(build_once(driver, key, build))
    except OSError:
        # What a power cut or a full disk left in the cache: make it anew, once.
        shutil.rmtree(build_once(driver, key, build))
        library = _load(build_once(driver, key, build))
    handle, data, number = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64
    library.create.restype = handle
    library.destroy.argtypes = [handle]
    if memories:
        library.memories.restype = number
        library.memories.argtypes = [handle, data, number]
    return library


def public_memories(verilog: str) -> str:
    """Verilator configuration that leaves every memory of a Verilog text open to the driver."""
    lines, module = ["`verilator_config"], ""
    for line in verilog.splitlines():
        if found := re.match(r"module (\S+?)[ (;]", line):
            module = found[1].removeprefix("\\")
        elif found := re.match(r"\s*reg \[.*?\] (\S+) \[.*\];", line):
            lines.append(f'public_flat_rw -module "{module}" -var "{found[1]}"')
    return "\n".join(lines) + "\n"


def to_bytes(values: NDArray[Any], size: int) -> NDArray[np.uint8]:
    """Little-endian bytes, `size` a value, contiguous."""
    wide = np.ascontiguousarray(values, np.dtype(f"<u{1 << (size - 1).bit_length()}"))
    octets = wide.view(np.uint8).reshape(*values.shape, -1)
    return np.ascontiguousarray(octets[..., :size])


def from_bytes(octets: NDArray[np.uint8], *, signed: bool) -> NDArray[Any]:
    """Values of 1 to 4 little-endian bytes each."""
    size, kind = octets.shape[-1], "i" if signed else "u"
    if size != 3:
        return octets.view(f"<{kind}{size}")[..., 0]
    wide = np.zeros((*octets.shape[:-1], 4), np.uint8)
    wide[..., 1:] = octets
    return wide.view(f"<{kind}4")[..., 0] >> 8


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text()


def _load(directory: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(directory / "obj" / _LIBRARY))
