# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Bench of the registers: accesses in every order and at every pace, races with hardware, errors, resets.

A cocotb module: `ptychopress.sim.run` starts it in a simulator.

In each clock every output is compared with the model, which takes an access in the clock before its answer stands.
The model reads the core's SystemRDL by itself, whatever the RTL was made of.
"""

import random
from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Self

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge, Timer
from systemrdl.node import FieldNode, RegNode

from ..model.registers import RDL_FILE, RegisterModel, compiled_registers
from .coverage import Coverage
from .stream import MATRIX, PAUSES, Settings

SETTINGS = Settings.load()
COVERAGE = Coverage("registers")
TOP = compiled_registers(RDL_FILE, SETTINGS.registers)
OKAY, SLVERR = 0, 2
CHANNELS = ("aw", "w", "b", "ar", "r")


class Sender:
    """Drives a channel into the slave, with noise on it while there is nothing to send.

    Attributes
    ----------
    clocks : list of int
        When each transfer was.
    waited : set of int
        Lengths of the waits for ready.
    """

    def __init__(self, dut: Any, prefix: str, widths: Mapping[str, int], rng: random.Random) -> None:
        self._ports = [getattr(dut, prefix + name) for name in widths]
        self._widths = list(widths.values())
        self._valid, self._ready = getattr(dut, f"{prefix}valid"), getattr(dut, f"{prefix}ready")
        self._rng = rng
        self.pauses("never")
        self.halt()

    def pauses(self, pattern: str) -> None:
        """Pause before a transfer after this pattern from now on."""
        self._pauses = PAUSES[pattern](self._rng)

    def halt(self) -> None:
        """Withdraw everything, as only a reset allows."""
        self._queue: deque[Sequence[int]] = deque()
        self._offer: Sequence[int] | None = None
        self._valid.value = 0
        self._wait = 0
        self.clocks: list[int] = []
        self.waited: set[int] = set()
        self._noise()

    def send(self, *payload: int) -> None:
        """Send this after what is under way."""
        self._queue.append(payload)

    def clock(self, now: int) -> Sequence[int] | None:
        """Take note of the edge that has just come, and drive for the next; return what was transferred."""
        taken = None
        if self._offer is not None:
            if not self._ready.value:
                self._wait += 1
                return None
            taken = self._offer
            self.clocks.append(now)
            self.waited.add(self._wait)
            self._wait = 0
        pause = next(self._pauses)
        self._offer = self._queue.popleft() if self._queue and not pause else None
        self._valid.value = int(self._offer is not None)
        if self._offer is None:
            self._noise()
        else:
            self._drive(self._offer)
        return taken

    def _noise(self) -> None:
        self._drive([self._rng.getrandbits(width) for width in self._widths])

    def _drive(self, payload: Sequence[int]) -> None:
        for port, value in zip(self._ports, payload, strict=True):
            port.value = value


class Receiver:
    """Takes answers from the slave and watches the rules: valid stays, and so does the payload, until the transfer.

    Attributes
    ----------
    taken : list of tuple
        Answers.
    clocks : list of int
        When each was transferred.
    waited : set of int
        Lengths of the waits for ready.
    """

    def __init__(self, dut: Any, prefix: str, names: Sequence[str], rng: random.Random) -> None:
        self._prefix = prefix
        self._ports = [getattr(dut, prefix + name) for name in names]
        self._valid, self._ready = getattr(dut, f"{prefix}valid"), getattr(dut, f"{prefix}ready")
        self._rng = rng
        self._ready.value = 0
        self._is_ready = False
        self.pauses("never")
        self.forget()

    def pauses(self, pattern: str) -> None:
        """Hold ready low after this pattern from the next clock on."""
        self._pauses = PAUSES[pattern](self._rng)

    def forget(self) -> None:
        """Forget what was taken, and an answer that waits, as only a reset allows."""
        self._waiting: tuple[int, ...] | None = None
        self._wait = 0
        self.taken: list[tuple[int, ...]] = []
        self.clocks: list[int] = []
        self.waited: set[int] = set()

    @property
    def valid(self) -> bool:
        """Level of valid before the last edge."""
        return bool(self._valid.value)

    def clock(self, now: int) -> tuple[int, ...] | None:
        """Take note of the edge that has just come, and drive for the next; return an answer that is new."""
        new = None
        if self._valid.value:
            payload = tuple(int(port.value) for port in self._ports)
            if self._waiting is None:
                new = payload
            assert self._waiting in (None, payload), f"{self._prefix}: payload changed while waiting"
            self._waiting = payload
            if self._is_ready:
                self._waiting = None
                self.taken.append(payload)
                self.clocks.append(now)
                self.waited.add(self._wait)
                self._wait = 0
            else:
                self._wait += 1
        else:
            assert self._waiting is None, f"{self._prefix}valid fell before the transfer"
        self._is_ready = not next(self._pauses)
        self._ready.value = int(self._is_ready)
        return new


class RegisterBench:
    """Registers, their model, and a master on the bus.

    Attributes
    ----------
    activity : float
        Part of the clocks in which hardware does something, for each of its inputs.
    holds : bool
        Whether the slave has taken an address, or data, that it has not answered.
    """

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        # cocotb has seeded `random` from the run's seed and the test's name.
        self.rng = random.Random(random.getrandbits(64))
        self.model = RegisterModel(TOP)
        self.registers = {node.get_rel_path(TOP): node for node in TOP.descendants() if isinstance(node, RegNode)}
        self.fields = {node.get_rel_path(TOP): node for node in TOP.descendants() if isinstance(node, FieldNode)}
        self.space = 1 << (TOP.size - 1).bit_length()
        self.aw = Sender(dut, "s_axi_aw", {"addr": self.space.bit_length() - 1, "prot": 3}, self.rng)
        self.w = Sender(dut, "s_axi_w", {"data": 32, "strb": 4}, self.rng)
        self.ar = Sender(dut, "s_axi_ar", {"addr": self.space.bit_length() - 1, "prot": 3}, self.rng)
        self.b = Receiver(dut, "s_axi_b", ["resp"], self.rng)
        self.r = Receiver(dut, "s_axi_r", ["data", "resp"], self.rng)
        self.counters = [path for path, field in self.fields.items() if field.get_property("counter")]
        self.inputs = {
            **{f"{path}_incr": self.fields[path].get_property("incrwidth") or 1 for path in self.counters},
            **{
                path: field.width
                for path, field in self.fields.items()
                if field.is_hw_writable and field.get_property("next") is None
            },
        }
        self._ports = {name: getattr(dut, name.replace(".", "_")) for name in [*self.inputs, *self.model.outputs()]}
        self.errors = [path for path, field in self.fields.items() if field.get_property("intr")]
        live = [path for path in self.counters if path.startswith("live.")]
        commands = ((), ("snapshot",), ("clear",), ("snapshot", "clear"))
        COVERAGE.declare("order", ["together", "address first", "data first"])
        COVERAGE.declare("counted during", [(path, *names) for path in live for names in commands])
        COVERAGE.declare("cleared", [(path, was, event) for path in self.errors for was in (0, 1) for event in (0, 1)])
        COVERAGE.declare("number written during", [0, 1])
        COVERAGE.declare("in one clock", ["read and write"])
        COVERAGE.declare("irq", [0, 1])
        self._covered: dict[str, set[Hashable]] = defaultdict(set)
        self.activity = 0.0
        self.now = 0
        self.accesses = 0
        self._edge = RisingEdge(dut.aclk)

    async def start(self) -> Self:
        """Start the clock, and reset."""
        self.dut.aresetn.value = 0
        # Low first: at time 0 the values written above have not arrived yet.
        Clock(self.dut.aclk, 10, "ns").start(start_high=False)
        await self.reset()
        return self

    async def reset(self, clocks: int = 2) -> None:
        """Reset: no answer outlives it, and every field is back at its reset value."""
        self.dut.aresetn.value = 0
        for sender in (self.aw, self.w, self.ar):
            sender.halt()
        self._driven = dict.fromkeys(self.inputs, 0)
        self._drive(self._driven)
        await self._edge
        for _ in range(clocks):
            await self._edge
            assert not self.b.valid and not self.r.valid, "an answer survived the reset"
        self.b.forget()
        self.r.forget()
        self.model.reset()
        self._before: Mapping[str, int] | None = None
        self._addresses: deque[tuple[int, int]] = deque()
        self._data: deque[tuple[Sequence[int], int]] = deque()
        self._reads: deque[int] = deque()
        self.accesses = 0
        self.dut.aresetn.value = 1

    def write(self, address: int, data: int, strobes: int = 15) -> None:
        """Ask for a write."""
        self.aw.send(address, self.rng.getrandbits(3))
        self.w.send(data, strobes)
        self.accesses += 1

    def read(self, address: int) -> None:
        """Ask for a read."""
        self.ar.send(address, self.rng.getrandbits(3))
        self.accesses += 1

    def address(self, path: str) -> int:
        """Address of a register."""
        return self.registers[path].absolute_address

    async def step(self, forced: Mapping[str, int] | None = None) -> None:
        """One clock; `forced` are inputs of hardware in the next, those of its random activity by default."""
        await self._edge
        self.now += 1
        answer, found = self.b.clock(self.now), self.r.clock(self.now)
        write = read = None
        if answer is not None:
            assert self._addresses and self._data, "an answer to no write"
            (address, came), (data, data_came) = self._addresses.popleft(), self._data.popleft()
            write = (address, *data)
            order = "together" if came == data_came else "address first" if came < data_came else "data first"
            self._cover("order", [order])
        if found is not None:
            assert self._reads, "an answer to no read"
            read = self._reads.popleft()
        if self._before is None:
            assert answer is None and found is None, "an answer right after the reset"
        else:
            self._races(self._before, write)
            self._cover("in one clock", ["read and write"] if write is not None and read is not None else [])
            okay, expected = self.model.step(self._before, write=write, read=read)
            if write is not None and answer is not None:
                self._judge(f"write to {write[0]:#x}", okay, answer[-1])
            if expected is not None and found is not None:
                self._judge(f"read of {read:#x}", expected[1], found[-1])
                assert found[0] == expected[0], f"read of {read:#x}: {found[0]:#x}, expected {expected[0]:#x}"
        for name, value in self.model.outputs().items():
            shown = int(self._ports[name].value)
            assert shown == value, f"{name} is {shown:#x}, expected {value:#x}"
        self._cover("irq", [int(self._ports["irq"].value)])

        if (taken := self.aw.clock(self.now)) is not None:
            self._addresses.append((taken[0], self.now))
        if (taken := self.w.clock(self.now)) is not None:
            self._data.append((taken, self.now))
        if (taken := self.ar.clock(self.now)) is not None:
            self._reads.append(taken[0])
        self.holds = bool(self._addresses or self._data)
        self._before, self._driven = self._driven, self._draw() | (forced or {})
        self._drive({name: value for name, value in self._driven.items() if value != self._before[name]})

    async def run(self, clocks: int) -> None:
        """So many clocks."""
        for _ in range(clocks):
            await self.step()

    async def drain(self) -> None:
        """Clocks until every access is answered, and some more in which nothing may follow."""
        limit = 100 + 120 * self.accesses
        for _ in range(limit):
            if len(self.b.taken) + len(self.r.taken) >= self.accesses:
                break
            await self.step()
        else:
            raise AssertionError(f"stuck: {len(self.b.taken) + len(self.r.taken)} of {self.accesses} answers")
        await self.run(6)

    async def ask(self, path: str) -> int:
        """Read a register, now."""
        self.read(self.address(path))
        await self.drain()
        return self.r.taken[-1][0]

    def _draw(self) -> dict[str, int]:
        return {
            name: self.rng.getrandbits(width) if self.rng.random() < self.activity else 0
            for name, width in self.inputs.items()
        }

    def _drive(self, values: Mapping[str, int]) -> None:
        for name, value in values.items():
            self._ports[name].value = value

    def _cover(self, point: str, values: Iterable[Hashable]) -> None:
        """Hit what has not been hit yet: this is asked for in every clock."""
        if new := set(values) - self._covered[point]:
            self._covered[point] |= new
            COVERAGE.hit(point, new)

    def _judge(self, what: str, okay: bool | None, response: int) -> None:
        assert response == (OKAY if okay else SLVERR), (
            f"{what}: response {response}, expected {OKAY if okay else SLVERR}"
        )

    def _races(self, inputs: Mapping[str, int], write: tuple[int, int, int] | None) -> None:
        """Cover what software and hardware do to a field in one clock."""
        values = self.model.values
        commands = [name for name in ("snapshot", "clear") if values[f"command.{name}"]]
        counting = [path for path in self.counters if inputs[f"{path}_incr"]]
        self._cover("counted during", [(path, *commands) for path in counting])
        if write is None:
            return
        address, data, strobes = write
        mask = sum(0xFF << 8 * k for k in range(4) if strobes >> k & 1)
        if address & ~3 == self.address("errors"):
            cleared = [path for path in self.errors if data & mask & 1 << self.fields[path].low]
            self._cover("cleared", [(path, values[path], inputs[path]) for path in cleared])
        if address & ~3 == self.address("frame_number") and strobes:
            self._cover("number written during", [inputs["frame_number.value_incr"]])


@cocotb.test
async def reset_values(dut: Any) -> None:
    """After a reset every register reads what the map says, with hardware still."""
    bench = await RegisterBench(dut).start()
    for reg in bench.registers.values():
        bench.read(reg.absolute_address)
    await bench.drain()
    expected = [
        sum((field.get_property("reset") or 0) << field.low for field in reg.fields())
        for reg in bench.registers.values()
    ]
    assert bench.r.taken == [(word, OKAY) for word in expected], f"reset values: {bench.r.taken}"


@cocotb.test
@cocotb.parametrize(master=MATRIX, answers=MATRIX)
async def accesses(dut: Any, master: str, answers: str) -> None:
    """Random accesses at every pace, hardware active: the channels pause each for itself."""
    bench = await RegisterBench(dut).start()
    COVERAGE.declare("wait", [(name, kind) for name in CHANNELS for kind in ("none", "some")])
    COVERAGE.declare("strobes", range(16))
    bench.activity = 0.3
    for channel in (bench.aw, bench.w, bench.ar):
        channel.pauses(master)
    for channel in (bench.b, bench.r):
        channel.pauses(answers)
    known = [reg.absolute_address for reg in bench.registers.values()]
    for _ in range(25):
        # One in eight is any address, with or without a register.
        addresses = [
            bench.rng.choice(known) if bench.rng.random() < 7 / 8 else bench.rng.randrange(bench.space) for _ in "wr"
        ]
        strobes = bench.rng.choice([15, bench.rng.randrange(16)])
        COVERAGE.hit("strobes", [strobes])
        bench.write(addresses[0] | bench.rng.randrange(4), bench.rng.getrandbits(32), strobes)
        bench.read(addresses[1] | bench.rng.randrange(4))
    await bench.drain()
    for name in CHANNELS:
        waited = getattr(bench, name).waited
        COVERAGE.hit("wait", [(name, "some" if wait else "none") for wait in waited])


@cocotb.test
async def every_address(dut: Any) -> None:
    """Every address is read and written: those without a register, or with one that can only be read, say SLVERR."""
    bench = await RegisterBench(dut).start()
    readable = {reg.absolute_address for reg in bench.registers.values() if reg.has_sw_readable}
    writable = {reg.absolute_address for reg in bench.registers.values() if reg.has_sw_writable}
    addresses = range(0, bench.space, 4)
    for address in addresses:
        bench.write(address, 0xFFFFFFFF)
        bench.read(address)
    await bench.drain()
    told = [response == OKAY for (response,) in bench.b.taken]
    assert told == [address in writable for address in addresses], "write responses differ"
    told = [response == OKAY for _, response in bench.r.taken]
    assert told == [address in readable for address in addresses], "read responses differ"
    bench.read(bench.address("identity"))
    await bench.drain()
    assert bench.r.taken[-1][0].to_bytes(4, "little") == b"PTYC"


@cocotb.test
async def shown(dut: Any) -> None:
    """What hardware shows is read as it is in the clock of the read."""
    bench = await RegisterBench(dut).start()
    bench.activity = 1
    for path in ("status", "thresholds_hash", "weights_hash"):
        for _ in range(16):
            bench.read(bench.address(path))
    await bench.drain()


@cocotb.test
async def error_races(dut: Any) -> None:
    """Errors happen while software clears them: none is lost."""
    bench = await RegisterBench(dut).start()
    bench.write(bench.address("interrupts"), 0x3031F)
    bench.activity = 0.3
    for _ in range(50):
        bench.write(bench.address("errors"), 0xFFFFFFFF)
        bench.write(bench.address("errors"), bench.rng.getrandbits(32), bench.rng.choice([15, 1, 2, 4]))
    for _ in range(10):
        bench.write(bench.address("interrupts"), bench.rng.getrandbits(32) & bench.rng.getrandbits(32))
    await bench.drain()
    bench.activity = 0
    bench.write(bench.address("interrupts"), 0x3031F)
    bench.write(bench.address("errors"), 0xFFFFFFFF)
    await bench.drain()
    assert await bench.ask("errors") == 0, "errors stay"
    for path in bench.errors:
        await bench.step({path: 1})
        await bench.run(3)
        assert dut.irq.value == 1, f"irq: {path} does not raise it"
        bench.write(bench.address("errors"), 1 << bench.fields[path].low)
        await bench.drain()
        assert dut.irq.value == 0, f"irq: {path} cannot be cleared"


@cocotb.test
async def snapshot_races(dut: Any) -> None:
    """Snapshots that clear, taken while hardware counts: their sum, and what is left, is all that was counted."""
    bench = await RegisterBench(dut).start()
    names = [path.removeprefix("live.").removesuffix(".count") for path in bench.counters if path.startswith("live.")]
    total, counted = dict.fromkeys(names, 0), dict.fromkeys(names, 0)

    async def collect() -> None:
        bench.write(bench.address("command"), 3)
        await busy(8)
        bench.r.taken.clear()
        for name in names:
            bench.read(bench.address(f"snapshot.{name}"))
        await busy(40)
        assert len(bench.r.taken) == len(names), "snapshot: reads are missing"
        for name, (word, _) in zip(names, bench.r.taken, strict=True):
            total[name] += word

    async def busy(clocks: int) -> None:
        for _ in range(clocks):
            steps = {f"live.{name}.count_incr": bench.rng.getrandbits(8) for name in names}
            steps = {path: step & ((1 << bench.inputs[path]) - 1) for path, step in steps.items()}
            for name in names:
                counted[name] += steps[f"live.{name}.count_incr"]
            await bench.step(steps)

    for _ in range(12):
        await collect()
        await busy(bench.rng.randrange(12))
        bench.write(bench.address("command"), bench.rng.choice([1, 4]))
        await busy(8)
    bench.activity = 0
    await bench.run(4)
    bench.write(bench.address("command"), 3)
    bench.accesses = len(bench.b.taken) + 1
    bench.r.taken.clear()
    await bench.drain()
    for name in names:
        total[name] += await bench.ask(f"snapshot.{name}")
    assert total == counted, f"snapshots: {total}, expected {counted}"


@cocotb.test
async def large_counts(dut: Any) -> None:
    """Counts beyond a thousand are read whole, live and from the snapshot, and at no other address."""
    bench = await RegisterBench(dut).start()
    bench.activity = 0.9
    await bench.run(3000)
    bench.activity = 0
    bench.write(bench.address("command"), 1)
    await bench.drain()
    for address in range(0, bench.space, 4):
        bench.read(address)
    await bench.drain()
    counts = [bench.r.taken[bench.address(path.rpartition(".")[0]) // 4][0] for path in bench.counters]
    assert min(counts) > 1024, f"counts of {counts}: more clocks are needed"


@cocotb.test(skip=not cocotb.SIM_NAME.startswith("Icarus"))
async def full_counts(dut: Any) -> None:
    """Counts of any 32 bits, put there by the simulator, are read whole, and at no other address; they wrap."""
    bench = await RegisterBench(dut).start()
    live = [path for path in bench.counters if path.startswith("live.")]
    for full in (False, False, True):
        await FallingEdge(dut.aclk)
        for path in live:
            value = 0xFFFFFFFF if full else bench.rng.getrandbits(32)
            getattr(dut.block, path.replace(".", "_")).value = value
            bench.model.values[path] = value
        bench.write(bench.address("command"), 1)
        await bench.drain()
        for address in range(0, bench.space, 4):
            bench.read(address)
        await bench.drain()
    bench.activity = 1
    await bench.run(20)
    bench.activity = 0
    for path in live:
        assert await bench.ask(path.rpartition(".")[0]) < 20 << bench.inputs[f"{path}_incr"], f"{path} does not wrap"


@cocotb.test
async def clears(dut: Any) -> None:
    """Clear, with and without a snapshot, meets every counter counting."""
    bench = await RegisterBench(dut).start()
    bench.activity = 0.5
    for _ in range(30):
        for command in (1, 2, 3, 7):
            bench.write(bench.address("command"), command)
        bench.read(bench.rng.choice([reg.absolute_address for reg in bench.registers.values()]))
    await bench.drain()


@cocotb.test
async def number_wraps(dut: Any) -> None:
    """The frame number is written while it counts, in whole and in part, and wraps."""
    bench = await RegisterBench(dut).start()
    bench.activity = 0.5
    for _ in range(40):
        bench.write(bench.address("frame_number"), bench.rng.getrandbits(32), bench.rng.randrange(16))
    await bench.drain()
    bench.write(bench.address("frame_number"), 0xFFFFFFFE)
    await bench.drain()
    await bench.run(20)
    assert int(dut.frame_number_value.value) < 100, "frame number: it does not wrap"


@cocotb.test
async def throughput(dut: Any) -> None:
    """An access every second clock, reads beside writes; the answer stands two clocks after its address was taken."""
    bench = await RegisterBench(dut).start()
    for _ in range(20):
        bench.write(bench.address("interrupts"), bench.rng.getrandbits(32))
        bench.read(bench.address("interrupts"))
    await bench.drain()
    for sender, receiver in ((bench.aw, bench.b), (bench.w, bench.b), (bench.ar, bench.r)):
        begin = sender.clocks[0]
        steady = list(range(begin, begin + 40, 2))
        assert sender.clocks == steady, f"throughput: taken in clocks {sender.clocks}"
        assert receiver.clocks == [clock + 2 for clock in steady], f"throughput: answered in {receiver.clocks}"


@cocotb.test
async def no_combinational_path(dut: Any) -> None:
    """Whatever the bus and hardware do in the middle of a clock: no output moves before the edge."""
    bench = await RegisterBench(dut).start()
    told = "awready wready bvalid bresp arready rvalid rdata rresp"
    asked = "awaddr awprot awvalid wdata wstrb wvalid bready araddr arprot arvalid rready"
    outputs = [getattr(dut, f"s_axi_{name}") for name in told.split()]
    outputs += [getattr(dut, name.replace(".", "_")) for name in bench.model.outputs()]
    inputs = [getattr(dut, f"s_axi_{name}") for name in asked.split()]
    inputs += [getattr(dut, name.replace(".", "_")) for name in bench.inputs]
    bench.activity = 0.3
    for receiver in (bench.b, bench.r):
        receiver.pauses("random")
    for _ in range(60):
        bench.write(bench.rng.choice([0x20, 0x24, 0x2C, 0x30, 0x34, 0x44]), bench.rng.getrandbits(32))
        bench.read(bench.rng.randrange(bench.space))
        await bench.step()
        await FallingEdge(dut.aclk)
        before = [int(port.value) for port in outputs]
        driven = [int(port.value) for port in inputs]
        for port in inputs:
            port.value = bench.rng.getrandbits(len(port))
        await Timer(1, "ns")
        for port, value in zip(outputs, before, strict=True):
            assert int(port.value) == value, f"{port._name} follows an input within a clock"
        for port, value in zip(inputs, driven, strict=True):
            port.value = value
    await bench.drain()


@cocotb.test
async def reset_mid_access(dut: Any) -> None:
    """Reset at any point of an access: it is forgotten, and so is every value."""
    bench = await RegisterBench(dut).start()
    COVERAGE.declare("reset with", [(held, waits) for held in (False, True) for waits in (False, True)])
    for accesses, pattern, clocks in product((1, 8), ("never", "always"), (0, 1, 2, 3, 6)):
        bench.activity = 0.5
        for receiver in (bench.b, bench.r):
            receiver.pauses(pattern)
        for _ in range(accesses):
            bench.write(bench.address("interrupts"), 0xFFFFFFFF)
            bench.read(bench.address("interrupts"))
        await bench.run(1 + clocks)
        COVERAGE.hit("reset with", [(bench.holds, bench.b.valid)])
        for receiver in (bench.b, bench.r):
            receiver.pauses("never")
        bench.activity = 0
        await bench.reset(bench.rng.randrange(1, 4))
        bench.read(bench.address("interrupts"))
        bench.read(bench.address("frame_number"))
        await bench.drain()
        assert [word for word, _ in bench.r.taken] == [0, 0], f"values survived the reset: {bench.r.taken}"


@cocotb.test(stage=100)
async def coverage(dut: Any) -> None:
    """Whatever the tests above declared has been hit."""
    COVERAGE.write(Path(SETTINGS.coverage))
    COVERAGE.check()
