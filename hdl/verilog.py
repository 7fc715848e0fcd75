# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Verilog text of a block."""

import os
from importlib import resources
from typing import Any
from unittest.mock import patch

from amaranth.back import verilog

WAIVERS = "ptychopress.vlt"
"""File with the Verilator waivers that go with every generated Verilog file."""


def verilog_text(block: Any, module: str) -> str:
    """Verilog of a component, the same text from run to run and from machine to machine.

    Parameters
    ----------
    block : amaranth.lib.wiring.Component
    module : str
        Name of the top module.
    """
    # A yosys that happens to be installed would change the text.
    with patch.dict(os.environ, AMARANTH_USE_YOSYS="builtin"):
        return verilog.convert(block, name=module, emit_src=False, strip_internal_attrs=True)


def waivers_text() -> str:
    """Text of the waivers file."""
    return resources.files(__package__).joinpath(WAIVERS).read_text()
