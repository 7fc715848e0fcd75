# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import os
from pathlib import Path

import pytest
from ptychopress.cli.files import publish, publish_file


def test_what_would_not_fit_is_removed_with_the_rest(tmp_path: Path) -> None:
    for name in ("a", "table", "mine"):
        (tmp_path / name).write_text("old")
    with pytest.raises(RuntimeError), publish(tmp_path, "table") as stage:
        raise RuntimeError
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "mine", "table"]
    for _ in range(2):
        with publish(tmp_path, "table") as stage:
            (stage / "a").write_text("new")
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new", "mine": "old"}


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="pipe is a device, pipe or socket: --out takes a file"), publish_file(pipe):
        pytest.fail("work has begun")
    with pytest.raises(ValueError, match="pipe is a device, pipe or socket"), publish(tmp_path) as stage:  # noqa: PT012
        for name in ("first", "pipe"):
            (stage / name).write_text("new")
    assert pipe.is_fifo() and [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_an_interrupt_that_comes_with_the_new_directory_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, real = [], os.mkdir

    def mkdir(path: Path, *rest: int) -> None:
        real(path, *rest)
        made.append(Path(path))
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(KeyboardInterrupt), publish_file(tmp_path / "out"):
        pytest.fail("work has begun")
    assert [path.parent for path in made] == [tmp_path] and not list(tmp_path.iterdir())
