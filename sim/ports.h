// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 ptychopress developers
//
// Bytes in and out of the ports of a Verilated top.

#pragma once

#include <cstdint>
#include <cstring>

// Ports narrower than a machine word and wide ones alike hold their low byte first: Verilator stores words
// of 32 bits in order, and the machine is little-endian.
template <typename Port> void put(Port &port, const uint8_t *bytes, int64_t size) {
    std::memcpy(static_cast<void *>(&port), bytes, size);
}
template <typename Port> void get(const Port &port, uint8_t *bytes, int64_t size) {
    std::memcpy(bytes, static_cast<const void *>(&port), size);
}
