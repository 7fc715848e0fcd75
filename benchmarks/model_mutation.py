# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Faults planted in the golden models by mutmut, and how many the tests of each notice.

Usage: python benchmarks/model_mutation.py DIRECTORY [--only rice] [--digits 37] [--json]

mutmut knows a module by its path below the directory it runs in, so the package is laid out below DIRECTORY/MODULE,
with the module's own tests. Of all mutants those are judged whose number ends in one of the digits: "0123456789" is
all. Results stay in the directory; a second run goes on where the first stopped. Exit status 1 if less than 90 % are
killed.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import ptychopress

ROOT = Path(ptychopress.__file__).parent
MODULES = {
    "fixed": ("test_fixed.py",),
    "zeromask": ("test_zeromask.py",),
    "rice": ("test_rice.py",),
    "projection": ("test_projection.py",),
    "codebook": ("test_codebook.py",),
    "packet": ("test_packet.py",),
}
"""Golden models, and the tests that must notice."""

ENOUGH = 0.9
KILLED = ("killed", "timeout", "segfault")

_SETTINGS = """\
[tool.pytest.ini_options]
addopts = "--import-mode=importlib"
pythonpath = ["tests"]
markers = ["simulator", "slow"]

[tool.mutmut]
source_paths = ["ptychopress"]
only_mutate = ["ptychopress/model/{module}.py"]
pytest_add_cli_args = ["-x", "-m", "not slow and not simulator", "-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = {tests}
"""


def lay_out(directory: Path, module: str) -> None:
    """Put the package and the tests of a module where mutmut understands them."""
    shutil.copytree(
        ROOT,
        directory / "ptychopress",
        dirs_exist_ok=True,
        ignore=lambda folder, names: [
            name
            for name in names
            if name.startswith(".") or name in ("tests", "examples", "demo", "build", "__pycache__")
        ],
    )
    tests = ("conftest.py", "script.py", *MODULES[module])
    (directory / "tests").mkdir(exist_ok=True)
    for name in tests:
        shutil.copy2(ROOT / "tests" / name, directory / "tests" / name)
    selection = json.dumps([f"tests/{name}" for name in MODULES[module]])
    (directory / "pyproject.toml").write_text(_SETTINGS.format(module=module, tests=selection))


def mutmut(directory: Path, *arguments: str) -> str:
    """Run mutmut, its progress on standard error, and return what it printed."""
    # The package that is laid out is the one to test, whatever is installed.
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([".", os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "mutmut", *arguments]
    shown = sys.stderr if arguments[0] == "run" else subprocess.PIPE
    done = subprocess.run(command, cwd=directory, env=environment, stdout=shown, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"mutmut {arguments[0]} failed in {directory}; pip install 'mutmut>=3.8,<4' if it is missing"
        )
    return done.stdout or ""


def verdicts(text: str, digits: str) -> dict[str, str]:
    """What became of each mutant of the sample, from ``mutmut results``."""
    return {name: verdict for name, verdict in sample(text, digits) if verdict != "not checked"}


def left(text: str, digits: str) -> list[str]:
    """Mutants of the sample that are not judged yet."""
    return [name for name, verdict in sample(text, digits) if verdict == "not checked"]


def sample(text: str, digits: str) -> list[tuple[str, str]]:
    """Names and verdicts in the sample."""
    return re.findall(rf"^\s*(\S+__mutmut_\d*[{digits}]): (.*)$", text, re.MULTILINE)


def main() -> int:
    """Judge the sample, print the table and who survived, return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path, help="made, or gone on with")
    parser.add_argument("--only", choices=MODULES, help="one module")
    parser.add_argument("--digits", default="37", help="last digits of the mutants to judge")
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    options = parser.parse_args()
    rows: dict[str, dict[str, str]] = {}
    total: Counter[str] = Counter()
    lines, survivors = [], []
    for module in [options.only] if options.only else MODULES:
        directory = options.directory / module
        directory.mkdir(parents=True, exist_ok=True)
        lay_out(directory, module)
        # Those that are named mutmut judges again: only what is left is named.
        waiting = [f"ptychopress.model.{module}.*__mutmut_*{digit}" for digit in options.digits]
        if (directory / "mutants").exists():
            waiting = left(mutmut(directory, "results", "--all", "true"), options.digits)
        if waiting:
            mutmut(directory, "run", "--max-children", "1", *waiting)
        text = mutmut(directory, "results", "--all", "true")
        rows[module] = verdicts(text, options.digits)
        found = Counter(rows[module].values())
        total += found
        lines.append(line(module, text.count("__mutmut_"), found))
        for name, verdict in rows[module].items():
            if verdict not in KILLED:
                change = re.findall(r"^[-+](?![-+]).*$", mutmut(directory, "show", name), re.MULTILINE)
                survivors.append("\n".join([f"{verdict}: {name}", *change]))
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        print("| module | mutants | judged | killed | of them by time | survived | no test | killed |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|")
        print("\n".join([*lines, line("all", None, total)]))
        print("\n".join(survivors))
    return int(sum(total[verdict] for verdict in KILLED) < ENOUGH * total.total())


def line(name: str, mutants: int | None, found: Counter[str]) -> str:
    """Return a row of the table."""
    killed = sum(found[verdict] for verdict in KILLED)
    cells = [mutants or "", found.total(), killed, found["timeout"], found["survived"], found["no tests"]]
    return f"| {name} | {' | '.join(map(str, cells))} | {killed / max(found.total(), 1):.1%} |"


if __name__ == "__main__":
    sys.exit(main())
