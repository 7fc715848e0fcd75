# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Planted faults: packetizers that are wrong in one way each, and the test that must notice."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from amaranth.hdl import Cat, ClockDomain, ClockSignal, DomainRenamer, Module, Signal, Value

from ..hdl import packetizer as packetizer_module
from ..hdl.frame_buffer import DESCRIPTOR, WHOLE_FRAME
from ..hdl.packetizer import Packetizer
from ..model.packet import Sizes
from .faults import Fault, driven
from .packetizer_port import PacketizerPort

SIZES = Sizes(word_octets=8, count_bits=14, code_bits=8, width=72, height=36)
PACKETS: dict[str, Any] = {"largest": 40, "frames": 2}

Spoil = Callable[[Any, Any], None]
"""Overrides an assignment in a module, given it and its component: of two the later wins."""


def _spoilt(healthy: type[Any], spoil: Spoil) -> type[Any]:
    class Wrong(healthy):
        def elaborate(self, platform: Any) -> Module:
            m = super().elaborate(platform)
            spoil(m, self)
            return m

    return Wrong


def _around(spoil: Spoil) -> Callable[[], PacketizerPort]:
    """Make a packetizer with its ports spoilt."""
    return lambda: _spoilt(PacketizerPort, spoil)(Packetizer(SIZES, **PACKETS))


def _inside(part: str, spoil: Spoil) -> Callable[[], PacketizerPort]:
    """Make a packetizer with one of its parts spoilt."""

    def make() -> PacketizerPort:
        with patch.object(packetizer_module, part, _spoilt(getattr(packetizer_module, part), spoil)):
            return PacketizerPort(Packetizer(SIZES, **PACKETS))

    return make


class NoReset(PacketizerPort):
    """A reset changes nothing."""

    def elaborate(self, platform: Any) -> Module:
        m: Any = Module()
        m.domains.unreset = domain = ClockDomain(local=True, reset_less=True)
        m.d.comb += domain.clk.eq(ClockSignal())
        m.submodules.inside = DomainRenamer("unreset")(super().elaborate(platform))
        return m


def _fill_kept(m: Any, buffer: Any) -> None:
    """What is beyond the payload in its last word is sent."""
    m.d.comb += m.submodules.memory.write_data.eq(Value.cast(buffer.i.p.octets))


def _empty_word(m: Any, buffer: Any) -> None:
    """A last beat without octets takes a word."""
    m.d.comb += driven(m, "written").eq(buffer.i.valid & buffer.i.ready)


def _last_not_counted(m: Any, buffer: Any) -> None:
    """The octets of the last beat are not in the length."""
    m.d.comb += WHOLE_FRAME(driven(m, "whole")).length.eq(driven(m, "length"))


def _length_goes_on(m: Any, buffer: Any) -> None:
    """The length is that of all payloads so far."""
    length = driven(m, "length")
    with m.If(buffer.i.valid & buffer.i.ready):
        m.d.sync += length.eq(length + buffer.i.p.size)


def _descriptor_before(m: Any, buffer: Any) -> None:
    """The descriptor is that of the clock before."""
    before = Signal(DESCRIPTOR)
    m.d.sync += before.eq(buffer.descriptor)
    m.d.comb += WHOLE_FRAME(driven(m, "whole")).descriptor.eq(before)


def _ring_overrun(m: Any, buffer: Any) -> None:
    """Words are taken whether the ring is full or not."""
    m.d.comb += buffer.i.ready.eq(m.submodules.queue.w_rdy)


def _queue_overrun(m: Any, buffer: Any) -> None:
    """Payloads are taken whether the queue is full or not."""
    m.d.comb += buffer.i.ready.eq(driven(m, "stored") != buffer.depth)


def _no_end(m: Any, buffer: Any) -> None:
    """A ring that is full takes no last beat without octets, even if what is fetched ahead would leave room."""
    m.d.comb += buffer.i.ready.eq((buffer.level < buffer.depth) & m.submodules.queue.w_rdy)


def _fetched_too_far(m: Any, buffer: Any) -> None:
    """Words are fetched whether there is place for them or not."""
    m.d.comb += driven(m, "fetch").eq(driven(m, "stored") != 0)


def _fetched_too_late(m: Any, buffer: Any) -> None:
    """A word is fetched only when none is on its way."""
    m.d.comb += driven(m, "fetch").eq((driven(m, "stored") != 0) & (driven(m, "claimed") == 0))


def _queue_not_asked(m: Any, buffer: Any) -> None:
    """Room is that of the ring alone."""
    m.d.comb += buffer.room.eq(buffer.level <= buffer.depth - buffer.words)


def _room_of_less(m: Any, buffer: Any) -> None:
    """Room is that for a word less."""
    m.d.comb += buffer.room.eq((buffer.level <= buffer.depth - buffer.words + 1) & m.submodules.queue.w_rdy)


def _crc_goes_on(m: Any, framer: Any) -> None:
    """The CRC is of all packets so far."""
    m.d.comb += m.submodules.crc.start.eq(0)


def _crc_of_waiting(m: Any, framer: Any) -> None:
    """A word that waits counts in the CRC more than once."""
    m.d.comb += m.submodules.crc.valid.eq(framer.o.valid & ~framer.o.p.last)


def _crc_beat_full(m: Any, framer: Any) -> None:
    """The beat of the CRC says that all of its octets count."""
    m.d.comb += framer.o.p.size.eq(framer.octets)


def _crc_beat_dirty(m: Any, framer: Any) -> None:
    """Above the CRC stands what was in the word before."""
    octets = Value.cast(framer.o.p.octets)
    m.d.comb += octets[32:].eq(driven(m, "register")[32:])


def _tables_swapped(m: Any, port: Any) -> None:
    """The identifiers have changed places."""
    descriptor = port.inner.descriptor
    bus = DESCRIPTOR(port.s_axis_tdata[-DESCRIPTOR.size :])
    m.d.comb += [descriptor.codebook.eq(bus.weights), descriptor.weights.eq(bus.codebook)]


def _idle_between(m: Any, port: Any) -> None:
    """A clock is idle behind every packet."""
    pause, o = Signal(), port.inner.o
    m.d.sync += pause.eq(port.sending)
    m.d.comb += [port.m_axis_tvalid.eq(o.valid & ~pause), o.ready.eq(port.m_axis_tready & ~pause)]


def _latency_more(m: Any, port: Any) -> None:
    """Everything comes out one clock late."""
    o, full = port.inner.o, Signal()
    beat = Signal(len(Value.cast(o.p)))
    m.d.comb += [
        o.ready.eq(~full | port.m_axis_tready),
        port.m_axis_tvalid.eq(full),
        Cat(port.m_axis_tdata, port.m_axis_tuser, port.m_axis_tlast).eq(beat),
        port.sending.eq(full & port.m_axis_tready & port.m_axis_tlast),
    ]
    with m.If(o.ready):
        m.d.sync += [full.eq(o.valid), beat.eq(o.p)]


def _sent_while_waiting(m: Any, port: Any) -> None:
    """A packet is said to be sent as soon as its end is offered."""
    m.d.comb += port.sending.eq(port.m_axis_tvalid & port.m_axis_tlast)


def _word_moves(m: Any, port: Any) -> None:
    """A word that waits shows another value until it is taken."""
    waits = Signal()
    m.d.sync += waits.eq(port.m_axis_tvalid & ~port.m_axis_tready)
    m.d.comb += port.m_axis_tdata[0].eq(Value.cast(port.inner.o.p.octets)[0] ^ (waits & ~port.m_axis_tready))


def _valid_falls(m: Any, port: Any) -> None:
    """A word that waits hides until it is taken."""
    waits = Signal()
    m.d.sync += waits.eq(port.m_axis_tvalid & ~port.m_axis_tready)
    m.d.comb += port.m_axis_tvalid.eq(port.inner.o.valid & ~(waits & ~port.m_axis_tready))


def _all_faults() -> dict[str, Fault]:
    pauses = "back_pressure/source=never/sink=random"
    faults: dict[str, tuple[Callable[[], Any], str, str]] = {
        "fill kept": (_inside("FrameBuffer", _fill_kept), "every_length", "octets differ"),
        "empty word": (_inside("FrameBuffer", _empty_word), "every_length", "level is"),
        "last not counted": (_inside("FrameBuffer", _last_not_counted), "every_length", "level is|differ|came out"),
        "length goes on": (_inside("FrameBuffer", _length_goes_on), "every_length", "level is|differ|came out"),
        "descriptor before": (_inside("FrameBuffer", _descriptor_before), "every_length", "octets differ"),
        "ring overrun": (_inside("FrameBuffer", _ring_overrun), "capacity/length=largest", "level is|capacity is"),
        "queue overrun": (_inside("FrameBuffer", _queue_overrun), "capacity/length=nothing", "capacity is"),
        "no end": (_inside("FrameBuffer", _no_end), "capacity/length=largest", "capacity is"),
        "fetched too far": (_inside("FrameBuffer", _fetched_too_far), pauses, "octets differ|level is|came out"),
        "fetched too late": (_inside("FrameBuffer", _fetched_too_late), "throughput", "packets have gaps"),
        "queue not asked": (_inside("FrameBuffer", _queue_not_asked), "capacity/length=nothing", "room where there is"),
        "room of less": (_inside("FrameBuffer", _room_of_less), "every_length", "room where there is none"),
        "CRC goes on": (_inside("Framer", _crc_goes_on), "every_length", "octets differ"),
        "CRC of waiting": (_inside("Framer", _crc_of_waiting), pauses, "octets differ"),
        "CRC beat full": (_inside("Framer", _crc_beat_full), "every_length", "sizes differ"),
        "CRC beat dirty": (_inside("Framer", _crc_beat_dirty), "every_length", "octets differ"),
        "tables swapped": (_around(_tables_swapped), "every_length", "octets differ"),
        "idle between": (_around(_idle_between), "throughput", "level is|packets have gaps"),
        "latency more": (_around(_latency_more), "every_length", "level is"),
        "sent while waiting": (_around(_sent_while_waiting), pauses, "sending differs"),
        "word moves": (_around(_word_moves), pauses, "payload changed while waiting"),
        "valid falls": (_around(_valid_falls), pauses, "tvalid fell"),
        "no reset": (lambda: NoReset(Packetizer(SIZES, **PACKETS)), "reset_mid_stream", "survived the reset"),
    }
    return {name: Fault("framer", *fields) for name, fields in faults.items()}


FAULTS: dict[str, Fault] = _all_faults()
"""All faults by name."""
