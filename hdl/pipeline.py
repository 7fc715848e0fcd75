# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The one pipeline discipline of all blocks: every stage moves, or none."""

from typing import Any

from amaranth.hdl import Module, Signal, Value, ValueLike


def handshake(m: Module, i: Any, o: Any, latency: int, *, enable: ValueLike = 1) -> Signal:
    """Connect valid and ready of two streams through a pipeline of `latency` stages.

    Parameters
    ----------
    m : Module
    i, o : stream interfaces
        Consumer and producer side; payloads are the caller's.
    latency : int
        Stages, 1 or more.
    enable : ValueLike
        Beats are accepted only while this is high.

    Returns
    -------
    Signal
        High in each clock in which all stages move on.
    """
    advance = Signal()
    m.d.comb += [advance.eq(~o.valid | o.ready), i.ready.eq(advance & Value.cast(enable))]
    valid: Value = i.valid & Value.cast(enable)
    for stage in range(latency):
        held = Signal(name=f"valid_{stage}")
        with m.If(advance):
            m.d.sync += held.eq(valid)
        valid = held
    m.d.comb += o.valid.eq(valid)
    return advance


def delay(m: Module, advance: Value, value: ValueLike, stages: int = 1, *, reset: bool = False) -> list[Signal]:
    """Carry a value along the pipeline; return its register in each stage.

    Without `reset` what they hold counts only beside a valid bit.
    """
    registers = []
    for _ in range(stages):
        value = Value.cast(value)
        register = Signal(value.shape(), reset_less=not reset)
        with m.If(advance):
            m.d.sync += register.eq(value)
        registers.append(register)
        value = register
    return registers
