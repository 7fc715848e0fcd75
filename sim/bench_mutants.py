# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Any bench on many mutants of its block: one simulator, forked for each, so that starting up is paid once.

Each copy selects its mutant and then runs the bench's own tests.
"""

import importlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import Timer


def _fork(plan: dict[str, Any]) -> int:
    """Return the number of a mutant in a copy of this process, for each; the process itself ends here."""
    status = {}
    for number in plan["mutants"]:
        if child := os.fork():
            status[number] = os.waitpid(child, 0)[1]
            continue
        directory = Path(str(number)).absolute()
        directory.mkdir(exist_ok=True)
        log = os.open(directory / "simulator.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ["COCOTB_RESULTS_FILE"] = str(directory / "results.xml")
        # A mutant may hang; processor time does not depend on what else the machine does.
        resource.setrlimit(resource.RLIMIT_CPU, (plan["seconds"], plan["seconds"]))
        return number
    Path("status.json").write_text(json.dumps(status))
    sys.stdout.flush()
    os._exit(0)


_PLAN = json.loads(Path(os.environ["PTYCHOPRESS_MUTANTS"]).read_text())
# cocotb takes the tests that it finds among this module's names.
globals().update(
    {name: value for name, value in vars(importlib.import_module(_PLAN["bench"])).items() if name[0] != "_"}
)
MUTANT = _fork(_PLAN)


@cocotb.test(stage=-1000)
async def select(dut: Any) -> None:
    """Set the port that selects the mutant, for good."""
    dut.mutant.value = MUTANT
    await Timer(1, "ns")
