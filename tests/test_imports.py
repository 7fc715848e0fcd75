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
SOURCES = [path for folder in MAY_IMPORT for path in sorted((ROOT / folder).rglob("*.py"))]


def imported_folders(source: str, folder: str, depth: int = 1) -> set[str]:
    """Our own folders that a file `depth` folders down in `folder` imports, by relative or absolute name."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.ImportFrom):
            if 1 <= node.level <= depth:
                continue
            base = node.module or ""
            if node.level:
                base = f"ptychopress.{base}" if base else "ptychopress"
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("ptychopress.")}
    return (found & MAY_IMPORT.keys()) - {folder}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    folder, *below = path.relative_to(ROOT).parent.parts
    assert imported_folders(path.read_text(), folder, 1 + len(below)) <= MAY_IMPORT[folder]


@pytest.mark.parametrize(
    "line",
    ["from ..hdl import encoder", "import ptychopress.hdl", "from .. import hdl", "from ptychopress.hdl.axi import x"],
)
def test_a_wrong_import_shows(line: str) -> None:
    assert imported_folders(line, "model") == {"hdl"}


def test_a_wrong_import_shows_in_a_folder_below() -> None:
    line = "from ...reconstruction.scene import Scene\nfrom ..area import Mapped\nfrom .compare import Figures"
    assert imported_folders(line, "synth", 2) == {"reconstruction"}


def test_every_package_is_in_the_wheel() -> None:
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.relative_to(ROOT).parent.parts for path in SOURCES}
    assert set(listed) == {"ptychopress"} | {".".join(("ptychopress", *parts)) for parts in folders}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_licence_headers(path: Path) -> None:
    assert path.read_text().startswith("# SPDX-License-Identifier: Apache-2.0\n")
