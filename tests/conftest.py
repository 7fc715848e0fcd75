# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import gc
import os
import random
import warnings
from collections.abc import Iterator

import pytest
from amaranth.hdl import UnusedElaboratable
from hypothesis import settings
from ptychopress.sim.run import SIMULATORS, Simulator, require
from ptychopress.sim.tools import ToolError

SEEDS = (1,)

# Machines are shared: a slow example is no failure.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", help="seed of the cocotb benches: a number, or 'random' for a new one; default 1")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--seed") == "random":
        # xdist's workers inherit the environment: all of them must collect the same tests.
        chosen = str(random.SystemRandom().randrange(1 << 32))
        config.option.seed = os.environ.setdefault("PTYCHOPRESS_SEED", chosen)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--seed")
        metafunc.parametrize("seed", SEEDS if chosen is None else (int(chosen),), ids="seed={}".format)


@pytest.fixture(params=SIMULATORS)
def simulator(request: pytest.FixtureRequest) -> Simulator:
    """Run on each simulator; without one the test is skipped, or fails where none may be missing."""
    try:
        require(request.param)
    except ToolError as error:
        if os.environ.get("CI") == "true" or os.environ.get("PTYCHOPRESS_REQUIRE_SIMULATORS") == "1":
            pytest.fail(f"{request.param} must be there: {error}")
        pytest.skip(f"no {request.param}: {error}")
    return request.param


@pytest.fixture
def refused() -> Iterator[None]:
    """For blocks whose constructor raises or that stay unused: Amaranth warns when they go without elaboration."""
    gc.disable()
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnusedElaboratable)
        gc.collect()
    gc.enable()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For PyTorch outside of `reconstruct`, which sees to it itself: gradient checks wait for idle threads."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
