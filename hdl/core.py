# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The detector core: pixels in, packets out, on standard buses."""

from typing import Any

from amaranth.hdl import Cat, ClockDomain, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..model.config import CoreConfig
from ..model.packet import CRC_OCTETS, HEADER_OCTETS, Flag, Sizes, identifier
from ..model.registers import core_registers
from .axi import lane_bytes
from .axi_lite import AxiLite
from .intake import Intake
from .packetizer import Packetizer
from .payloads import PARTS, Payloads
from .registers import RegisterFile
from .table_loader import TableLoader


class DetectorCompressor(wiring.Component):
    """Counts of a detector in, a packet for each frame out; what a packet holds is chosen frame by frame.

    Counts come a beat of P lanes a clock. A frame takes the mode that ``control.mode`` has in the clock of its first
    beat. It passes guard and encoder, then the block of its mode, is collected in a memory, and leaves as a packet when
    it is whole. Blocks of other modes see nothing of it. Order is kept.

    Throughput: a beat a clock in every mode that does not project; in those that do, one every
    ceil(components / columns) clocks; as long as the output is ready. When the mode changes, a frame waits until the
    one before has left its block. A short frame takes as many clocks as a whole one. Latency: a packet begins 3
    clocks after its payload is whole. Stalls: an output that waits fills the memory and then stalls the input; with
    ``control.drop_when_full`` a frame that finds `buffer_frames` others in the core, or as many as a full rate has in
    it if they are more, is dropped whole instead, counted, and told of in the next packet.

    Where a table is still missing the input waits for it: before the first frame if the encoder is reloadable and has
    no preload, before a frame that is to be projected.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    aclk, aresetn (or areset) : In(1)
        Clock, and synchronous reset. After it the core has no weights; and no codebook if it can be changed, unless it
        was preloaded: then the last one that was whole.
    s_axis_tdata, s_axis_tuser, s_axis_tlast, s_axis_tvalid, s_axis_tready
        Counts, each in whole bytes, lane 0 lowest. tuser marks the first beat of a frame; it may be tied to 0.
    m_axis_tdata, m_axis_tkeep, m_axis_tlast, m_axis_tvalid, m_axis_tready
        Packets, as ``docs/packet.md`` has them, each ended by tlast.
    s_axis_weights_tdata, ..._tlast, ..._tvalid, ..._tready
        Words of `Projection.words`, each in whole bytes; in a core that projects.
    s_axis_thresholds_tdata, ..._tlast, ..._tvalid, ..._tready
        Words of `Codebook.thresholds`; in a core whose encoder is reloadable. They hold for the frames that begin
        after the last word.
    s_axi_awaddr, ...
        AXI4-Lite, to the registers of ``docs/registers.md``.
    irq : Out(1)
        An error stands that is to interrupt.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self.registers = RegisterFile(core_registers(config))
        self.intake = Intake(config)
        self.payloads = Payloads(config)
        self.intake.frames = self._frames()
        self.packetizer = Packetizer(
            Sizes.of(config),
            largest=max(-(-config.payload_bits(mode) // 8) for mode in config.modes),
            frames=self.intake.frames,
            memory=PARTS[config.target]["memory"],
        )
        self.loaders = self._loaders()
        frame, octets = config.frame, config.word_octets
        members = {"aclk": In(1), self._reset: In(1), "irq": Out(1)}
        members |= _axis("s_axis", In, frame.lanes * lane_bytes(frame.count_bits), tuser=1)
        members |= _axis("m_axis", Out, octets, tkeep=octets)
        for name, loader in self.loaders.items():
            members |= _axis(f"s_axis_{name}", In, lane_bytes(len(_word(loader))))
        bus = AxiLite(self.registers.address_bits).flip()
        members |= {f"s_axi_{name}": member for name, member in bus.members.items()}
        super().__init__(members)
        self._tell_vivado()

    @property
    def _reset(self) -> str:
        return "aresetn" if self.config.reset_active_low else "areset"

    def _frames(self) -> int:
        """Frames that find place in the core: `buffer_frames`, or as many as a full rate has in it at a time."""
        config, projector = self.config, self.payloads.projector
        frames = config.output.buffer_frames
        for mode in config.modes:
            clocks, latency = config.frame.beats, self.intake.latency + self.payloads.blocks[mode].latency
            if mode.projects and projector is not None:
                clocks *= projector.phases
                latency += projector.latency + projector.phases * -(-projector.columns * 4 // config.word_octets)
            words = -(-config.payload_bits(mode) // (8 * config.word_octets))
            # From a frame's last beat to that of its packet.
            behind = latency + words + HEADER_OCTETS // config.word_octets + 4
            frames = max(frames, 2 + behind // clocks)
        return frames

    def _loaders(self) -> dict[str, TableLoader]:
        book, loaders = self.config.codebook, {}
        encoder, projector = self.intake.encoder, self.payloads.projector
        if self.config.encoder.reloadable:
            first = identifier(book.thresholds()) if encoder.preload else None
            shape, words = encoder.table.p.shape(), (1 << book.code_bits) - 1
            loaders["thresholds"] = TableLoader(shape, words, first_hash=first)
        if projector is not None:
            words = projector.format.components * (projector.beats * projector.lanes + 2)
            loaders["weights"] = TableLoader(projector.table.p.shape(), words)
        return loaders

    def _tell_vivado(self) -> None:
        """Attributes by which Vivado's packager knows clock, reset and interrupt; it knows the buses by their names."""
        buses = ":".join(["s_axis", "m_axis", *(f"s_axis_{name}" for name in self.loaders), "s_axi"])
        polarity = "ACTIVE_LOW" if self.config.reset_active_low else "ACTIVE_HIGH"
        for port, kind, parameters in (
            ("aclk", "clock:1.0 aclk CLK", f"ASSOCIATED_BUSIF {buses}, ASSOCIATED_RESET {self._reset}"),
            (self._reset, f"reset:1.0 {self._reset} RST", f"POLARITY {polarity}"),
            ("irq", "interrupt:1.0 irq INTERRUPT", "SENSITIVITY LEVEL_HIGH"),
        ):
            attributes = {"X_INTERFACE_INFO": f"xilinx.com:signal:{kind}", "X_INTERFACE_PARAMETER": parameters}
            getattr(self, port).attrs.update(attributes)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = domain = ClockDomain(local=True)
        reset: Value = getattr(self, self._reset)
        m.d.comb += [domain.clk.eq(self.aclk), domain.rst.eq(~reset if self.config.reset_active_low else reset)]
        m.submodules.registers = regs = self.registers
        m.submodules.intake = intake = self.intake
        m.submodules.payloads = payloads = self.payloads
        m.submodules.packetizer = packetizer = self.packetizer
        for name, member in AxiLite(self.registers.address_bits).members.items():
            outer, inner = getattr(self, f"s_axi_{name}"), getattr(regs.s_axi, name)
            m.d.comb += inner.eq(outer) if member.flow is Out else outer.eq(inner)
        wiring.connect(m, intake.o, payloads.i)
        wiring.connect(m, payloads.o, packetizer.i)
        m.d.comb += [packetizer.descriptor.eq(payloads.descriptor), self.irq.eq(regs.irq)]
        self._connect_pixels(m)
        self._connect_packets(m)
        self._connect_tables(m)
        self._connect_registers(m)
        return m

    def _connect_pixels(self, m: Module) -> None:
        """The input stream."""
        i, pitch = self.intake.i, 8 * lane_bytes(self.config.frame.count_bits)
        for lane, count in enumerate(i.p.counts):
            m.d.comb += count.eq(self.s_axis_tdata.word_select(lane, pitch)[: len(count)])
        m.d.comb += [
            i.p.start.eq(self.s_axis_tuser),
            i.p.last.eq(self.s_axis_tlast),
            i.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(i.ready),
        ]

    def _connect_packets(self, m: Module) -> None:
        """The output stream; only the CRC at the end of a packet may take less than a word."""
        o = self.packetizer.o
        crc = Const((1 << CRC_OCTETS) - 1, len(self.m_axis_tkeep))
        m.d.comb += [
            self.m_axis_tdata.eq(o.p.octets),
            self.m_axis_tkeep.eq(
                ~Const(0, len(crc)) if len(crc) == CRC_OCTETS else crc | ~o.p.last.replicate(len(crc))
            ),
            self.m_axis_tlast.eq(o.p.last),
            self.m_axis_tvalid.eq(o.valid),
            o.ready.eq(self.m_axis_tready),
        ]

    def _connect_tables(self, m: Module) -> None:
        """Streams of tables, and what the registers say of them."""
        regs, intake, payloads = self.registers, self.intake, self.payloads
        blocks = {"thresholds": intake.encoder, "weights": payloads.projector}
        wired = Const(identifier(self.config.codebook.thresholds()), 32)
        hashes: dict[str, Value] = {"thresholds": wired, "weights": Const(0, 32)}
        for name, loader in self.loaders.items():
            m.submodules[f"{name}_loader"] = loader
            wiring.connect(m, loader.o, blocks[name].table)
            port = f"s_axis_{name}"
            m.d.comb += [
                _word(loader).eq(getattr(self, f"{port}_tdata")),
                loader.i.p.last.eq(getattr(self, f"{port}_tlast")),
                loader.i.valid.eq(getattr(self, f"{port}_tvalid")),
                getattr(self, f"{port}_tready").eq(loader.i.ready),
                loader.forget.eq(regs.command.reset_loaders),
                # A codebook must not change within a frame; a projector sees to that itself.
                loader.hold.eq(~intake.between if name == "thresholds" else 0),
                getattr(regs.status, f"{name}_loading").eq(loader.loading),
                getattr(regs.errors, f"{name}_table").eq(blocks[name].table_error),
            ]
            hashes[name] = loader.hash
        m.d.comb += [
            intake.codebook.eq(hashes["thresholds"]),
            payloads.weights.eq(hashes["weights"]),
            regs.thresholds_hash.crc32.eq(hashes["thresholds"]),
            regs.weights_hash.crc32.eq(hashes["weights"]),
            regs.status.thresholds_loaded.eq(self.loaders["thresholds"].loaded if "thresholds" in self.loaders else 1),
            regs.status.weights_loaded.eq(self.loaders["weights"].loaded if "weights" in self.loaders else 0),
        ]

    def _connect_registers(self, m: Module) -> None:
        """Settings, counters and errors."""
        regs, intake, packetizer = self.registers, self.intake, self.packetizer
        m.d.comb += [
            intake.mode.eq(regs.control.mode),
            intake.enable.eq(regs.control.enable),
            intake.drop_when_full.eq(regs.control.drop_when_full),
            intake.number.eq(regs.frame_number.value),
            regs.frame_number.value_incr.eq(intake.begun | intake.dropped),
            intake.sent.eq(packetizer.sending),
            regs.status.mode.eq(intake.mode_now),
            regs.status.idle.eq(intake.idle),
            regs.errors.bad_mode.eq(intake.unknown_mode),
            regs.live.frames.count_incr.eq(intake.begun),
            regs.live.packets.count_incr.eq(packetizer.sending),
        ]
        # A frame is complete when its payload is.
        o, flags = self.payloads.o, self.payloads.descriptor.flags
        complete = Signal()
        m.d.comb += complete.eq(o.valid & o.ready & o.p.last)
        waiting = Signal(7)
        m.d.sync += waiting.eq(waiting + complete - packetizer.sending)
        clipped = Flag.CLIPPED | Flag.SATURATED
        events = {
            "short_frame": complete & (flags & Flag.SHORT).any(),
            "long_frame": complete & (flags & Flag.LONG).any(),
            "saturated_frame": complete & (flags & clipped).any(),
            "dropped_frame": intake.dropped,
        }
        for name, event in events.items():
            m.d.comb += [getattr(regs.errors, name).eq(event), getattr(regs.live, f"{name}s").count_incr.eq(event)]
        m.d.comb += regs.status.packets_waiting.eq(waiting)
        projector = self.payloads.projector
        protected = [intake, *([projector] if projector is not None and projector.protect else [])]
        for name in ("corrected", "uncorrectable"):
            pulses = Cat(getattr(block, name) for block in protected)
            m.d.comb += [
                getattr(regs.live, f"{name}_upsets").count_incr.eq(sum(pulses, Const(0))),
                getattr(regs.errors, f"{name}_upset").eq(pulses.any()),
            ]


def _axis(prefix: str, flow: Any, octets: int, **others: int) -> dict[str, wiring.Member]:
    """Ports of an AXI4-Stream; `others` are sidebands and their widths."""
    back = Out if flow is In else In
    sidebands = {f"{prefix}_{name}": flow(bits) for name, bits in others.items()}
    ends = {f"{prefix}_tlast": flow(1), f"{prefix}_tvalid": flow(1), f"{prefix}_tready": back(1)}
    return {f"{prefix}_tdata": flow(8 * octets), **sidebands, **ends}


def _word(loader: TableLoader) -> Value:
    """A word of the table at the loader's input."""
    name, _ = next(iter(loader.i.p.shape()))
    return Value.cast(loader.i.p[name])
