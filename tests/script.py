# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Scripts of benchmarks/ as modules."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import ptychopress

BENCHMARKS = Path(ptychopress.__file__).parent / "benchmarks"


def benchmark(name: str) -> Any:
    """The script of that name, run anew."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look themselves up there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
