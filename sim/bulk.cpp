// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 ptychopress developers
//
// Drives a Verilated AXI4-Stream top with whole frames, one beat a clock, and collects what comes out.

#include <cstdint>
#include <cstring>
#include <memory>

#include "verilated.h"
#include "Bulk.h"

namespace {

// Ports narrower than a machine word and wide ones alike hold their low byte first: Verilator stores words
// of 32 bits in order, and the machine is little-endian.
template <typename Port> void put(Port &port, const uint8_t *bytes, int64_t size) {
    std::memcpy(static_cast<void *>(&port), bytes, size);
}
template <typename Port> void get(const Port &port, uint8_t *bytes, int64_t size) {
    std::memcpy(bytes, static_cast<const void *>(&port), size);
}

} // namespace

// Sends `frames` frames of `frame_beats` beats from `in` and writes as many to `out` and `user`.
// Returns the clocks from the first beat offered to the last one received, or -1 if tlast came at another
// place than the end of a frame, -2 if beats were missing after a time in which all could have come,
// -3 if there was one more.
extern "C" int64_t run(const uint8_t *in, int64_t in_bytes, uint8_t *out, int64_t out_bytes, uint8_t *user,
                       int64_t user_bytes, int64_t frames, int64_t frame_beats) {
    VerilatedContext context;
    const std::unique_ptr<Bulk> top{new Bulk{&context}};
    const auto clock = [&] {
        top->aclk = 1;
        top->eval();
        top->aclk = 0;
    };
    top->aresetn = 0;
    top->eval();
    for (int k = 0; k < 4; ++k) clock();
    top->aresetn = 1;
    top->m_axis_tready = 1;

    const int64_t beats = frames * frame_beats;
    const int64_t drain = 64; // longer than any pipeline here
    int64_t sent = 0, received = 0, clocks = 0, done = 0;
    for (; clocks < 2 * beats + drain && clocks < done + drain; ++clocks) {
        top->s_axis_tvalid = sent < beats;
        if (sent < beats) {
            put(top->s_axis_tdata, in + sent * in_bytes, in_bytes);
            top->s_axis_tlast = (sent + 1) % frame_beats == 0;
        }
        top->eval();
        if (top->m_axis_tvalid) {
            if (received == beats) return -3;
            get(top->m_axis_tdata, out + received * out_bytes, out_bytes);
            get(top->m_axis_tuser, user + received * user_bytes, user_bytes);
            ++received;
            if (top->m_axis_tlast != (received % frame_beats == 0)) return -1;
        }
        sent += top->s_axis_tvalid && top->s_axis_tready;
        if (received < beats) done = clocks + 1;
        clock();
    }
    return received == beats ? done + 1 : -2;
}
