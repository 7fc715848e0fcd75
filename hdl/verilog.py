# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Verilog text of a block."""

import os
from dataclasses import dataclass
from importlib import resources
from typing import Any
from unittest.mock import patch

from amaranth.back import verilog

WAIVERS = "ptychopress.vlt"
"""File with the Verilator waivers that go with every generated Verilog file."""


@dataclass(frozen=True)
class VerilogTarget:
    """What blocks are elaborated for when the outcome is Verilog text: Amaranth's `platform`.

    Parameters
    ----------
    module : str
        Name of the top module.
    """

    module: str

    @property
    def block_memory(self) -> str:
        """Name of the module of block memories: two designs in one project have one each."""
        return f"{self.module}_block_memory"


def verilog_text(block: Any, module: str) -> str:
    """Verilog of a component, the same text from run to run and from machine to machine.

    Parameters
    ----------
    block : amaranth.lib.wiring.Component
    module : str
        Name of the top module.
    """
    target = VerilogTarget(module)
    # A yosys that happens to be installed would change the text.
    with patch.dict(os.environ, AMARANTH_USE_YOSYS="builtin"):
        text = verilog.convert(block, name=module, platform=target, emit_src=False, strip_internal_attrs=True)
    if target.block_memory in text:
        text += "\n" + block_memory_text(target)
    return text


def block_memory_text(target: VerilogTarget) -> str:
    """Text of the module of block memories."""
    return _resource("block_memory.v").replace("module block_memory", f"module {target.block_memory}")


def waivers_text() -> str:
    """Text of the waivers file."""
    return _resource(WAIVERS)


def ecp5_models() -> str:
    """Text with models of the cells of a Lattice ECP5 that blocks name, for simulation."""
    return _resource("ecp5.v")


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text()
