# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Faults planted in the detector core: one expression of its source changed, and the test that must notice."""

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from types import ModuleType
from typing import Any
from unittest.mock import patch

from ..hdl import core, frame_guard, intake, payloads, table_loader
from ..model.config import CoreConfig
from .faults import Fault
from .run import SMALL_CORES

_USERS = {"FrameGuard": intake, "Intake": core, "Payloads": core, "TableLoader": core}
"""Which module makes a block of the core."""


def _mutant(config: CoreConfig, module: ModuleType, old: str, new: str) -> Any:
    """The core, with one expression in the source of a module replaced."""
    source = inspect.getsource(module)
    assert source.count(old) == 1, f"{old!r} is there {source.count(old)} times"
    changed: dict[str, Any] = {"__name__": module.__name__, "__package__": module.__package__}
    exec(compile(source.replace(old, new), module.__file__ or "", "exec"), changed)
    if module is core:
        return changed["DetectorCompressor"](config)
    with ExitStack() as stack:
        for name, user in _USERS.items():
            if name in changed and changed[name].__module__ == module.__name__ and inspect.isclass(changed[name]):
                stack.enter_context(patch.object(user, name, changed[name]))
        return core.DetectorCompressor(config)


def _all_faults() -> dict[str, Fault]:
    raw, every, reload = (SMALL_CORES[name] for name in ("core-raw", "core-all-modes", "core-reloadable"))

    def fault(config: Any, module: ModuleType, old: str, new: str, test: str, message: str) -> Fault:
        block: Callable[[], Any] = partial(_mutant, CoreConfig.from_dict(config), module, old, new)
        return Fault("core", block, test, message)

    differ = "differs from octet"
    return {
        "not filled up": fault(raw, frame_guard, "(filling | early | i.p.last)", "(filling | early)", "mixed", "stuck"),
        "not cut": fault(raw, frame_guard, "skipped | refused | end", "skipped | refused", "last_missing", "invented"),
        "start unseen": fault(raw, frame_guard, "early = i.p.start & ~fresh", "early = 0 & ~fresh", "mixed", "stuck"),
        "dropped frame untold": fault(raw, intake, "gap.eq(1)", "gap.eq(0)", "drop_when_full", f"{differ} 6"),
        "one frame too many": fault(
            raw, intake, "full = inside >=", "full = inside >", "drop_when_full", "the input stalled"
        ),
        "dropped frame not numbered": fault(
            raw, core, "intake.begun | intake.dropped", "intake.begun", "drop_when_full", f"{differ} 8"
        ),
        "first packet untold": fault(
            raw, intake, "fresh = Signal(), Signal(init=1)", "fresh = Signal(), Signal()", "frames", differ
        ),
        "mode of the frame before": fault(
            every, intake, "Mux(known, self.mode, self.mode_now)", "self.mode_now", "mixed", f"{differ} 5"
        ),
        "unknown mode taken": fault(
            raw, intake, "Mux(known, self.mode, self.mode_now)", "self.mode", "switched_off", ""
        ),
        "last beat clips alone": fault(every, payloads, "| (seen[name] & ~i.first)", "", "mixed", f"{differ} 6"),
        "saturation forgotten": fault(
            every,
            payloads,
            "(out.flags.saturated & real).any() | seen",
            "(out.flags.saturated & real).any()",
            "mixed",
            differ,
        ),
        "always whole words": fault(
            raw, core, "crc | ~o.p.last.replicate(len(crc))", "~Const(0, len(crc))", "frames", differ
        ),
        "half a table completed": fault(
            reload, table_loader, "Mux(forgetting, ~final, ", "Mux(forgetting, 1, ", "half_a_table", ""
        ),
        "codebook changed within a frame": fault(
            reload, core, "~intake.between if name", "0 if name", "codebook_waits", "in the middle of a frame"
        ),
        "name lost in a reset": fault(
            reload, table_loader, "Signal(reset_less=kept), Signal(", "Signal(), Signal(", "reset_in_a_table", differ
        ),
        "too little room": fault(
            raw, core, "self.intake.frames = self._frames()", "", "no_drop_at_full_rate/.*", "dropped|stuck"
        ),
        "late name of a table": fault(
            reload, table_loader, "Mux(whole, crc.crc, name)", "name", "codebook_waits", f"{differ} 16"
        ),
    }


CORE_FAULTS: dict[str, Fault] = _all_faults()
"""All of them by name."""
