# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import ptychopress
import pytest

ROOT = Path(ptychopress.__file__).parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel of the files that git knows or would take, built outside the checkout."""
    source = tmp_path_factory.mktemp("source")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", out, source], check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    return path


def test_the_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel],
        check=True,
    )
    # The dependencies are those of this environment, found after the wheel's own site-packages; .pth files, and with
    # them the checkout, are not.
    environment_variables = os.environ | {"PYTHONPATH": os.pathsep.join([site, sysconfig.get_path("purelib")])}
    where = subprocess.run(
        [python, "-c", "import ptychopress; print(ptychopress.__file__)"],
        cwd=tmp_path,
        env=environment_variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert Path(where.strip()).parent.parent == Path(site)
    done = subprocess.run(
        [environment / "bin" / "ptychopress", "verilog", "--codebook", "sqrt-b", "--lanes", "2", "--out", "out"],
        cwd=tmp_path,
        env=environment_variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "sqrt_encoder.v").read_text().count("endmodule") > 1
    assert (tmp_path / "out" / "ptychopress.vlt").read_text().startswith("`verilator_config")


def test_nothing_generic_lands_in_site_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"ptychopress"}
    assert not [name for name in names if name.startswith("ptychopress/tests")]
    for needed in ("py.typed", "hdl/ptychopress.vlt", "model/registers.rdl", "sim/bulk.cpp", "sim/ports.h"):
        assert f"ptychopress/{needed}" in names
