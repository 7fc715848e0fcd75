# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import re
import struct
import time
import zlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import ptychopress
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychopress.model import packet as packet_module
from ptychopress.model.config import NAMED, CoreConfig, Mode
from ptychopress.model.packet import (
    CRC_OCTETS,
    FIELDS,
    HEADER_OCTETS,
    MAGIC,
    OFFSETS,
    Damage,
    Decoder,
    Duplicate,
    Flag,
    Header,
    Missing,
    Packet,
    Sizes,
    identifier,
)
from script import benchmark

ROOT = Path(ptychopress.__file__).parent
SIZES = Sizes(
    word_octets=8,
    count_bits=12,
    code_bits=8,
    width=16,
    height=2,
    components=5,
    coefficient_bits=10,
    rice_block=8,
)


def packet(frame: int, mode: Mode = Mode.CODES, fill: int = 1, flags: Flag = Flag.NONE) -> Packet:
    header = Header(sizes=SIZES, mode=mode, frame=frame, flags=flags)
    return Packet.build(header, bytes([fill]) * SIZES.lengths[mode].start)


def stream(*packets: Packet) -> bytes:
    return b"".join(one.pack() for one in packets)


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    return benchmark("fuzz_packets")


def test_octets_of_a_packet_are_those_of_the_page() -> None:
    header = Header(
        sizes=SIZES,
        mode=Mode.RAW,
        flags=Flag.SHORT | Flag.FIRST,
        frame=0x1122334455667788,
        codebook=0x01020304,
        weights=0xA0B0C0D0,
    )
    octets = Packet.build(header, b"\x01\x02\x03").pack()
    expected = bytes.fromhex(
        "89505459 01 00 4400 8877665544332211 04030201 d0c0b0a0 03000000 08 0c 08 0a 1000 0200 05000000 08"
    )
    assert octets[:41] == expected and octets[41:64] == bytes(23)
    assert octets[64:72] == b"\x01\x02\x03\x00\x00\x00\x00\x00"
    assert octets[72:] == struct.pack("<I", zlib.crc32(octets[:72]))


def test_crc_is_that_of_ieee_802_3() -> None:
    from amaranth.lib.crc.catalog import CRC32_ETHERNET

    octets = packet(3).pack()
    (crc,) = struct.unpack("<I", octets[-CRC_OCTETS:])
    assert crc == CRC32_ETHERNET(8).compute(octets[:-CRC_OCTETS])


def test_the_page_lists_every_field_and_flag() -> None:
    page = (ROOT / "docs" / "packet.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (\d+) \| `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    fields = [(str(OFFSETS[item.name]), str(item.octets), item.name, item.meaning) for item in FIELDS]
    assert rows == fields
    flags = re.findall(r"^\| (\d+) \| `(\w+)` \|", page, re.MULTILINE)
    assert flags == [(str(flag.bit_length() - 1), flag.name.lower()) for flag in Flag]
    assert FIELDS[0].meaning.startswith(MAGIC.hex(" "))


@pytest.mark.parametrize("name", NAMED)
def test_lengths_are_those_of_the_configuration(name: str) -> None:
    config = CoreConfig.named(name)
    sizes = Sizes.of(config)
    for mode in config.modes:
        assert sizes.lengths[mode].stop - 1 == -(-config.payload_bits(mode) // 8)
        assert sizes.lengths[mode]
    for mode in {Mode.RICE, Mode.COUNT_COEFFICIENTS} - set(config.modes):
        if mode is Mode.RICE or not config.projects:
            assert not sizes.lengths[mode]


def test_sizes_without_a_projector_have_no_coefficients() -> None:
    config = next(config for config in map(CoreConfig.named, NAMED) if not config.projects)
    sizes = Sizes.of(config)
    assert (sizes.components, sizes.coefficient_bits) == (0, 0)


field = {item.name: st.integers(0, (1 << 8 * item.octets) - 1) for item in FIELDS}


@given(
    mode=st.sampled_from(Mode),
    flags=st.integers(0, sum(Flag)).map(Flag),
    frame=field["frame"],
    codebook=field["codebook"],
    weights=field["weights"],
    word=st.sampled_from([4, 8, 16, 32, 64]),
    payload=st.binary(max_size=200),
)
def test_what_is_packed_is_unpacked(
    mode: Mode, flags: Flag, frame: int, codebook: int, weights: int, word: int, payload: bytes
) -> None:
    sizes = replace(SIZES, word_octets=word)
    header = Header(sizes=sizes, mode=mode, flags=flags, frame=frame, codebook=codebook, weights=weights)
    sent = Packet.build(header, payload)
    octets = sent.pack()
    assert (len(octets) - CRC_OCTETS) % word == 0 and len(octets) == sent.header.packet_octets
    assert Packet.unpack(octets) == sent
    assert Header.unpack(octets[:HEADER_OCTETS]) == sent.header


@given(data=st.data())
@settings(max_examples=200)
def test_a_packet_with_a_wrong_bit_is_refused(data: st.DataObject) -> None:
    octets = bytearray(packet(7).pack())
    bit = data.draw(st.integers(0, 8 * len(octets) - 1))
    octets[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match=r"^packet"):
        Packet.unpack(bytes(octets))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"word_octets": 12}, "word_octets 12, expected a power of two from 4 to 64"),
        ({"word_octets": 128}, "word_octets 128, expected a whole number from 4 to 64"),
        ({"count_bits": 17}, "count_bits 17, expected a whole number from 1 to 16"),
        ({"width": 0}, "width 0, expected a whole number from 1 to 65535"),
        ({"height": 1.5}, "height 1.5, expected a whole number"),
        ({"rice_block": 12}, "rice_block 12, expected 0, 8, 16 or 32"),
    ],
)
def test_bad_sizes_are_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"packet header: {message}"):
        replace(SIZES, **change)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, 0x88, "magic 88 50 54 59, expected 89 50 54 59"),
        (OFFSETS["version"], 2, "version 2, expected 1"),
        (OFFSETS["mode"], 6, "mode 6, expected 0 to 5"),
        (OFFSETS["flags"] + 1, 1, "flags 0x100, expected 0x7f at most"),
        (OFFSETS["flags"], 0x80, "flags 0x80, expected 0x7f at most"),
        (OFFSETS["code_bits"], 0, "code_bits 0, expected a whole number from 1 to 16"),
        (HEADER_OCTETS - 1, 1, "its last 23 octets are not 0"),
    ],
)
def test_bad_headers_are_refused(place: int, value: int, message: str) -> None:
    octets = bytearray(packet(0).header.pack())
    octets[place] = value
    with pytest.raises(ValueError, match=f"packet header: {message}"):
        Header.unpack(bytes(octets))


def test_a_header_and_another_payload_are_refused() -> None:
    with pytest.raises(ValueError, match=r"payload of 3 octets, expected the header's 0"):
        Packet(Header(sizes=SIZES, mode=Mode.RAW), b"abc")
    short = Packet.build(Header(sizes=SIZES, mode=Mode.RAW), b"abc")
    with pytest.raises(ValueError, match=r"payload of 3 octets in mode raw, expected 48 to 48"):
        short.values()
    with pytest.raises(ValueError, match=r"packet of 5 octets|64"):
        Packet.unpack(b"abcde")


def test_a_payload_that_is_no_rice_stream_is_refused() -> None:
    torn = Packet.build(Header(sizes=SIZES, mode=Mode.RICE), b"\x00")
    with pytest.raises(ValueError, match="payload is no Rice stream of 2 x 16 codes"):
        torn.values()


def test_every_mode_gives_its_values_back(fuzz: ModuleType, seed: int) -> None:
    rng = np.random.default_rng(seed)
    seen = set()
    for sizes in fuzz.CORES:
        for original in fuzz.originals(sizes, rng):
            values = Packet.unpack(original.octets).values()
            np.testing.assert_array_equal(values, original.values)
            assert values.dtype == (np.int32 if original.packet.header.mode.projects else np.uint16)
            seen.add(original.packet.header.mode)
    assert seen == set(Mode)


def test_identifiers_tell_tables_apart() -> None:
    assert identifier([1, -2]) == zlib.crc32(struct.pack("<qq", 1, -2))
    assert identifier(np.array([1, 2])) != identifier([2, 1])
    assert identifier(np.array([1, 2], np.uint8)) == identifier([1, 2])


@pytest.mark.parametrize("step", [1, 5, 64, 10_000])
def test_a_stream_comes_out_whatever_the_pieces(step: int) -> None:
    sent = [packet(k, mode) for k, mode in enumerate(Mode) if mode is not Mode.RICE]
    octets = stream(*sent)
    decoder = Decoder()
    got = []
    for place in range(0, len(octets), step):
        got += decoder.feed(octets[place : place + step])
        assert decoder.held < HEADER_OCTETS + 64 + 8 + CRC_OCTETS
    assert got == sent
    assert decoder.finish() == [Missing(range(3, 4))]


def test_what_is_damaged_is_told_by_number_and_the_rest_unharmed() -> None:
    whole = [packet(k) for k in range(6)]
    pieces = [one.pack() for one in whole]
    pieces[1] = pieces[1][:70]
    pieces[3] = pieces[3][:80] + b"\xff" + pieces[3][81:]
    pieces[4] = b"garbage" + pieces[4] + MAGIC + b"no header" + bytes(60)
    decoder = Decoder()
    results = [*decoder.feed(b"".join(pieces)), *decoder.finish()]
    assert [one for one in results if isinstance(one, Packet)] == [whole[0], whole[2], whole[4], whole[5]]
    assert [one.frame for one in results if isinstance(one, Damage)] == [1, 3, None]
    assert [one.frames for one in results if isinstance(one, Missing)] == [range(1, 2), range(3, 4)]
    statistics = decoder.statistics
    assert (statistics.packets, statistics.damaged, statistics.missing) == (4, 3, 2)
    assert statistics.octets == statistics.skipped + 4 * len(pieces[0]) == sum(map(len, pieces))


def test_a_stream_that_ends_in_a_packet() -> None:
    decoder = Decoder()
    results = [*decoder.feed(stream(packet(0), packet(1))[:-1]), *decoder.finish()]
    assert results == [packet(0), Damage("packet: the stream ends in it", 1)]
    assert decoder.held == 0


def test_packets_out_of_order_are_late_and_not_missing() -> None:
    decoder = Decoder(window=4)
    results = decoder.feed(stream(*(packet(k) for k in (5, 8, 6, 6, 9, 11))))
    assert results[:6] == [
        packet(5),
        packet(8),
        replace(packet(6), late=True),
        Duplicate(6),
        packet(9),
        Missing(range(7, 8)),
    ]
    # Beyond the window nobody knows whether it came before.
    assert decoder.feed(stream(packet(2))) == [replace(packet(2), late=True)]
    assert decoder.finish() == [Missing(range(10, 11))]
    assert decoder.statistics.late == 2 and decoder.statistics.missing == 2


def test_a_number_is_given_up_with_the_one_that_is_higher_by_the_window() -> None:
    results = Decoder(window=2).feed(stream(packet(0), packet(2), packet(3)))
    assert results == [packet(0), packet(2), Missing(range(1, 2)), packet(3)]


def test_a_packet_that_comes_first_out_of_order_is_kept() -> None:
    decoder = Decoder()
    results = decoder.feed(stream(packet(3), packet(1), packet(1), packet(4)))
    assert results == [packet(3), replace(packet(1), late=True), Duplicate(1), packet(4)]
    assert decoder.finish() == []


@pytest.mark.parametrize("flags", [Flag.FIRST, Flag.NONE])
@pytest.mark.parametrize("reached", [3, 500])
def test_numbers_begin_anew_after_a_reset(flags: Flag, reached: int) -> None:
    decoder = Decoder()
    before = [packet(k) for k in range(reached) if k != reached - 2]
    assert [one for one in decoder.feed(stream(*before)) if isinstance(one, Packet)] == before
    again = [packet(0, fill=2, flags=flags), packet(1, fill=2), packet(3, fill=2)]
    results = [*decoder.feed(stream(*again)), *decoder.finish()]
    assert [replace(one, late=False) for one in results if isinstance(one, Packet)] == again
    if flags or reached == 3:
        missing = [one.frames for one in results if isinstance(one, Missing)]
        assert missing == [range(reached - 2, reached - 1), range(2, 3)]


def test_a_gap_of_any_size_is_one_report() -> None:
    decoder = Decoder()
    results = decoder.feed(stream(packet(0), packet((1 << 64) - 1)))
    assert results == [packet(0), Missing(range(1, (1 << 64) - 64)), packet((1 << 64) - 1)]


def test_datagrams() -> None:
    decoder = Decoder()
    octets = packet(0).pack()
    assert decoder.decode(octets) == [packet(0)]
    assert decoder.decode(memoryview(octets)) == [Duplicate(0)]
    for spoilt, frame, reason in (
        (octets[:-1], 0, f"packet of {len(octets) - 1} octets, expected {len(octets)}"),
        (octets + b"\0", 0, f"packet of {len(octets) + 1} octets, expected {len(octets)}"),
        (octets[:-1] + b"!", 0, "packet: the CRC-32 is wrong"),
        (octets[:30], None, "packet header: 30 octets, expected 64"),
        (b"", None, "packet header: 0 octets, expected 64"),
    ):
        assert decoder.decode(spoilt) == [Damage(reason, frame)]
    statistics = decoder.statistics
    assert (statistics.packets, statistics.duplicates, statistics.damaged) == (1, 1, 5)
    assert decoder.statistics.octets == decoder.statistics.skipped + 2 * len(octets)


def test_packets_of_another_core_or_too_large_are_damage() -> None:
    config = CoreConfig.named("cell-72")
    header = Header(sizes=Sizes.of(config), mode=Mode.CODES)
    own = Packet.build(header, bytes(5184))
    assert Decoder(config).feed(own.pack()) == [own]
    (damage,) = Decoder(config).feed(packet(9).pack())
    assert damage == Damage("packet header: sizes of another core", 9)
    (damage,) = Decoder(largest=5183).feed(own.pack())
    assert isinstance(damage, Damage) and "length 5184 in mode codes" in damage.reason
    impossible = Packet.build(header, bytes(5000))
    (damage,) = Decoder(config).feed(impossible.pack())
    assert isinstance(damage, Damage) and "length 5000 in mode codes" in damage.reason


@pytest.mark.parametrize("arguments", [{"largest": 0}, {"window": 0}])
def test_bad_limits_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected whole numbers above 0"):
        Decoder(**arguments)
    assert Decoder(**dict.fromkeys(arguments, 1)).statistics.packets == 0
    assert Decoder().largest == 1 << 26


def test_mutated_streams(fuzz: ModuleType, seed: int) -> None:
    counts = fuzz.fuzz(500, seed)
    assert {"packet", "damage", "duplicate", "missing", "splice", "as datagrams", "flip"} <= counts.keys()


@pytest.mark.slow
def test_more_mutated_streams(fuzz: ModuleType, seed: int) -> None:
    fuzz.fuzz(20_000, seed + 1)


def test_a_decoder_that_trusts_the_crc_less_is_caught(fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_module, "_is_whole", lambda view: True)
    with pytest.raises(AssertionError, match=r"wrong frame .* passed as good"):
        fuzz.fuzz(500, 1)


def test_a_decoder_that_skips_too_much_is_caught(fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(Decoder):
        def _read(self, view: memoryview, results: list[Any], *, last: bool) -> int:
            used = super()._read(view, results, last=last)
            return used if used != len(MAGIC) else min(200, len(view))

    monkeypatch.setattr(fuzz, "Decoder", Hasty)
    with pytest.raises(AssertionError, match=r"is whole and did not come out|not accounted for"):
        fuzz.fuzz(500, 1)


def test_headers_one_behind_another_take_time_in_proportion() -> None:
    header = Header(sizes=replace(SIZES, width=128, height=128), mode=Mode.RAW, length=128 * 128 * 12 // 8).pack()
    seconds = []
    for count in (500, 2000):
        decoder = Decoder(largest=1 << 16)
        begin = time.process_time()
        decoder.feed(header * count)
        decoder.finish()
        seconds.append(time.process_time() - begin)
        assert decoder.statistics.damaged == count
    assert seconds[1] < 16 * seconds[0] + 0.05
