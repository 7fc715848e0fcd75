# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import os
from pathlib import Path

import pytest
from ptychopress.cli.files import publish, publish_file


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="pipe is a device, pipe or socket: --out takes a file"), publish_file(pipe):
        pytest.fail("work has begun")
    with pytest.raises(ValueError, match="pipe is a device, pipe or socket"), publish(tmp_path) as stage:  # noqa: PT012
        for name in ("first", "pipe"):
            (stage / name).write_text("new")
    assert pipe.is_fifo() and [path.name for path in tmp_path.iterdir()] == ["pipe"]
