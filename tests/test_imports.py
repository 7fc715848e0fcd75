# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import ast
from pathlib import Path

import ptychopress
import pytest

ROOT = Path(ptychopress.__file__).parent
MAY_IMPORT = {
    "model": set(),
    "hdl": {"model"},
    "sim": {"hdl", "model"},
    "synth": {"hdl", "model"},
    "reconstruction": {"model"},
    "cli": {"hdl", "model", "reconstruction", "sim", "synth"},
}
SOURCES = [path for folder in MAY_IMPORT for path in sorted((ROOT / folder).glob("*.py"))]


def imported_folders(source: str, folder: str) -> set[str]:
    """Our own folders that a file in `folder` imports, by relative or absolute name."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.ImportFrom):
            if node.level == 1:
                continue
            base = node.module or ""
            if node.level == 2:
                base = f"ptychopress.{base}" if base else "ptychopress"
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("ptychopress.")}
    return (found & MAY_IMPORT.keys()) - {folder}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_imports_go_one_way(path: Path) -> None:
    folder = path.parent.name
    assert imported_folders(path.read_text(), folder) <= MAY_IMPORT[folder]


@pytest.mark.parametrize(
    "line",
    ["from ..hdl import encoder", "import ptychopress.hdl", "from .. import hdl", "from ptychopress.hdl.axi import x"],
)
def test_a_wrong_import_shows(line: str) -> None:
    assert imported_folders(line, "model") == {"hdl"}


def test_every_package_is_in_the_wheel() -> None:
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert set(listed) == {"ptychopress"} | {f"ptychopress.{folder}" for folder in MAY_IMPORT}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_licence_headers(path: Path) -> None:
    assert path.read_text().startswith("# SPDX-License-Identifier: Apache-2.0\n")
