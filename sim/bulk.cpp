// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 ptychopress developers
//
// Drives a Verilated AXI4-Stream top with whole frames, one beat a clock, and collects what comes out.

#include <cstdint>

#include "verilated.h"
#include "Bulk.h"
#include "ports.h"

namespace {

// Only a block that has protected memories has the ports; for others the second form is chosen.
template <typename Top> auto count_reports(const Top &top, int64_t *counts, int) -> decltype(top.corrected, void()) {
    counts[0] += top.corrected;
    counts[1] += top.uncorrectable;
}
template <typename Top> void count_reports(const Top &, int64_t *, long) {}

struct Model {
    VerilatedContext context;
    Bulk top{&context};
    int64_t reports[2] = {0, 0};

    void clock() {
        count_reports(top, reports, 0);
        top.aclk = 1;
        top.eval();
        top.aclk = 0;
    }
};

// Only a block that takes tables has the ports; for others the second form is chosen.
template <typename Top>
auto load_table(Model &model, Top &top, const uint8_t *words, int64_t word_bytes, int64_t count, int64_t patience, int)
    -> decltype(top.s_axis_table_tvalid, int64_t{}) {
    int64_t sent = 0, waited = 0;
    while (sent < count) {
        top.s_axis_table_tvalid = 1;
        put(top.s_axis_table_tdata, words + sent * word_bytes, word_bytes);
        top.s_axis_table_tlast = sent + 1 == count;
        top.eval();
        waited = top.s_axis_table_tready ? 0 : waited + 1;
        sent += top.s_axis_table_tready;
        model.clock();
        if (waited > patience) return -2;
    }
    top.s_axis_table_tvalid = 0;
    top.eval();
    if (top.table_error) return -4;
    return count;
}
template <typename Top>
int64_t load_table(Model &, Top &, const uint8_t *, int64_t, int64_t, int64_t, long) {
    return -4;
}

} // namespace

// A model fresh from a reset.
extern "C" void *create() {
    auto *const model = new Model;
    model->top.aresetn = 0;
    model->top.eval();
    for (int k = 0; k < 4; ++k) model->clock();
    model->top.aresetn = 1;
    return model;
}

extern "C" void destroy(void *handle) { delete static_cast<Model *>(handle); }

extern "C" VerilatedContext *context(void *handle) { return &static_cast<Model *>(handle)->context; }

// Clocks with a word corrected, and with one that could not be, since the last call.
extern "C" void reports(void *handle, int64_t *counts) {
    auto &model = *static_cast<Model *>(handle);
    for (int k = 0; k < 2; ++k) {
        counts[k] = model.reports[k];
        model.reports[k] = 0;
    }
}

// Loads a table of `count` words. Returns `count`, or -2 if the words were not taken, -4 if they were refused.
extern "C" int64_t load(void *handle, const uint8_t *words, int64_t word_bytes, int64_t count, int64_t patience) {
    auto &model = *static_cast<Model *>(handle);
    return load_table(model, model.top, words, word_bytes, count, patience, 0);
}

// Sends `frames` frames of `in_beats` beats from `in`; writes `out_beats` a frame to `out` and `user`.
// Returns the clocks from the first beat offered to the last one received, or -1 if tlast came at another
// place than the end of a frame, -2 if beats were missing after `patience` clocks without any, -3 if there was one
// more.
extern "C" int64_t run(void *handle, const uint8_t *in, int64_t in_bytes, uint8_t *out, int64_t out_bytes,
                       uint8_t *user, int64_t user_bytes, int64_t frames, int64_t in_beats, int64_t out_beats,
                       int64_t patience) {
    auto &model = *static_cast<Model *>(handle);
    auto &top = model.top;
    top.m_axis_tready = 1;
    const int64_t to_send = frames * in_beats, to_receive = frames * out_beats;
    int64_t sent = 0, received = 0, clocks = 0, done = 0, idle = 0;
    for (; idle < patience; ++clocks, ++idle) {
        top.s_axis_tvalid = sent < to_send;
        if (sent < to_send) {
            put(top.s_axis_tdata, in + sent * in_bytes, in_bytes);
            top.s_axis_tlast = (sent + 1) % in_beats == 0;
        }
        top.eval();
        if (top.m_axis_tvalid) {
            if (received == to_receive) return -3;
            get(top.m_axis_tdata, out + received * out_bytes, out_bytes);
            get(top.m_axis_tuser, user + received * user_bytes, user_bytes);
            ++received;
            if (top.m_axis_tlast != (received % out_beats == 0)) return -1;
            done = clocks + 1;
            idle = 0;
        }
        if (top.s_axis_tvalid && top.s_axis_tready) {
            ++sent;
            idle = 0;
        }
        model.clock();
    }
    return received == to_receive ? done : -2;
}
