// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 ptychopress developers
//
// Drives a Verilated detector core: pixels, tables and registers in, packets out, with pauses on either side.

#include <cstdint>
#include <cstring>
#include <vector>

#include "verilated.h"
#include "Core.h"
#include "ports.h"

namespace {

// What went wrong; the numbers are those of sim/core_model.py.
enum Error : int64_t {
    STUCK = -1,    // nothing has moved for too long
    KEEP = -2,     // tkeep is no run of ones from bit 0, or a word in the middle of a packet is not full
    CHANGED = -3,  // a word that waited changed, or vanished
    RESPONSE = -4, // an access to a register was not answered OKAY
};

// A frame to send, as sim/core_model.py has it.
struct Frame {
    int64_t beats, control, start, last;
};

// Pauses of a side: each clock one begins by chance, and is some clocks long.
struct Pauses {
    uint64_t state = 1;
    int64_t chance = 0, longest = 1, left = 0; // chance of 65536

    uint64_t draw() { // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state >> 16;
    }
    bool now() {
        if (left) return --left, true;
        if (!chance || static_cast<int64_t>(draw() & 0xFFFF) >= chance) return false;
        left = static_cast<int64_t>(draw() % longest);
        return true;
    }
};

// A port that only some cores have: the first form is chosen where it is there.
#define OPTIONAL_PORT(NAME)                                                                                            \
    template <typename Top> auto port_##NAME(Top &top, int) -> decltype(&top.NAME) { return &top.NAME; }               \
    template <typename Top> CData *port_##NAME(Top &, long) { return nullptr; }
#define OPTIONAL_STREAM(NAME)                                                                                          \
    OPTIONAL_PORT(NAME##_tdata)                                                                                        \
    OPTIONAL_PORT(NAME##_tlast)                                                                                        \
    OPTIONAL_PORT(NAME##_tvalid)                                                                                       \
    OPTIONAL_PORT(NAME##_tready)
OPTIONAL_PORT(aresetn)
OPTIONAL_PORT(areset)
OPTIONAL_STREAM(s_axis_thresholds)
OPTIONAL_STREAM(s_axis_weights)

struct Stream {
    void *tdata;
    CData *tlast, *tvalid, *tready;
};
#define STREAM(NAME)                                                                                                   \
    Stream {                                                                                                           \
        port_##NAME##_tdata(top, 0), port_##NAME##_tlast(top, 0), port_##NAME##_tvalid(top, 0),                        \
            port_##NAME##_tready(top, 0)                                                                               \
    }

struct Model {
    VerilatedContext context;
    Core top{&context};
    Stream tables[2] = {STREAM(s_axis_thresholds), STREAM(s_axis_weights)};
    Pauses in, out;
    std::vector<uint8_t> octets; // of packets, one behind the other
    std::vector<int64_t> ends;   // of whole ones
    int64_t clocks = 0, idle = 0, error = 0; // `idle`: without a movement
    bool moved = false;
    // What waited at the output.
    uint8_t waiting[sizeof(top.m_axis_tdata)];
    uint64_t waiting_keep = 0;
    bool waited = false, waiting_last = false;
    // An access to a register under way.
    bool writing = false, reading = false;
    uint32_t answer = 0;

    Model() {
        if (auto *const low = port_aresetn(top, 0)) *low = 0;
        if (auto *const high = port_areset(top, 0)) *high = 1;
        top.s_axi_bready = top.s_axi_rready = 1;
        for (int k = 0; k < 4; ++k) tick();
        if (auto *const low = port_aresetn(top, 0)) *low = 1;
        if (auto *const high = port_areset(top, 0)) *high = 0;
    }

    void tick() {
        top.eval();
        top.aclk = 1;
        top.eval();
        top.aclk = 0;
        ++clocks;
    }

    // Ports as they stand for this clock, what is offered included; handshakes can be read from them.
    void settle() {
        top.m_axis_tready = !out.now();
        top.eval();
    }

    // The output's word.
    void take() {
        uint8_t word[sizeof(top.m_axis_tdata)];
        get(top.m_axis_tdata, word, sizeof word);
        const uint64_t keep = top.m_axis_tkeep;
        const bool last = top.m_axis_tlast;
        if (waited && (!top.m_axis_tvalid || std::memcmp(word, waiting, sizeof word) || keep != waiting_keep ||
                       last != waiting_last)) {
            error = CHANGED;
        }
        waited = top.m_axis_tvalid && !top.m_axis_tready;
        if (waited) {
            std::memcpy(waiting, word, sizeof word);
            waiting_keep = keep;
            waiting_last = last;
        }
        if (!top.m_axis_tvalid || !top.m_axis_tready) return;
        int64_t size = 0;
        while (size < 64 && keep >> size & 1) ++size;
        const bool full = size == static_cast<int64_t>(sizeof word);
        if ((size < 64 && keep >> size) || (!full && !last)) error = KEEP;
        octets.insert(octets.end(), word, word + size);
        if (last) ends.push_back(static_cast<int64_t>(octets.size()));
        moved = true;
    }

    // The rest of a clock that has been settled.
    int64_t finish(int64_t patience) {
        take();
        const bool address = top.s_axi_awvalid && top.s_axi_awready, data = top.s_axi_wvalid && top.s_axi_wready;
        const bool request = top.s_axi_arvalid && top.s_axi_arready;
        if (top.s_axi_bvalid && writing) {
            writing = false;
            if (top.s_axi_bresp) error = RESPONSE;
        }
        if (top.s_axi_rvalid && reading) {
            reading = false;
            answer = top.s_axi_rdata;
            if (top.s_axi_rresp) error = RESPONSE;
        }
        tick();
        if (address) top.s_axi_awvalid = 0;
        if (data) top.s_axi_wvalid = 0;
        if (request) top.s_axi_arvalid = 0;
        idle = moved ? 0 : idle + 1;
        moved = false;
        return error ? error : idle > patience ? STUCK : 0;
    }

    void write(int64_t address, uint32_t value) {
        top.s_axi_awaddr = address;
        top.s_axi_wdata = value;
        top.s_axi_wstrb = 15;
        top.s_axi_awvalid = top.s_axi_wvalid = 1;
        writing = true;
    }
};

} // namespace

// A model fresh from a reset.
extern "C" void *create() { return new Model; }

extern "C" void destroy(void *handle) { delete static_cast<Model *>(handle); }

extern "C" VerilatedContext *context(void *handle) { return &static_cast<Model *>(handle)->context; }

// Pauses from here on: of the pixels if `side` is 0, of the packets if it is 1.
extern "C" void pauses(void *handle, int64_t side, int64_t seed, int64_t chance, int64_t longest) {
    auto &model = *static_cast<Model *>(handle);
    auto &pauses = side ? model.out : model.in;
    pauses = Pauses{static_cast<uint64_t>(seed) | 1, chance, longest, 0};
}

extern "C" int64_t write_register(void *handle, int64_t address, int64_t value, int64_t patience) {
    auto &model = *static_cast<Model *>(handle);
    model.idle = 0;
    model.write(address, static_cast<uint32_t>(value));
    while (model.writing) {
        model.settle();
        if (const int64_t error = model.finish(patience)) return error;
    }
    return 0;
}

extern "C" int64_t read_register(void *handle, int64_t address, int64_t patience) {
    auto &model = *static_cast<Model *>(handle);
    model.idle = 0;
    model.top.s_axi_araddr = address;
    model.top.s_axi_arvalid = 1;
    model.reading = true;
    while (model.reading) {
        model.settle();
        if (const int64_t error = model.finish(patience)) return error;
    }
    return model.answer;
}

// Loads thresholds, if `table` is 0, or weights; the last of these words is the table's if `last`.
extern "C" int64_t load(void *handle, int64_t table, const uint8_t *words, int64_t word_bytes, int64_t count,
                        int64_t last, int64_t patience) {
    auto &model = *static_cast<Model *>(handle);
    const Stream &stream = model.tables[table];
    model.idle = 0;
    for (int64_t sent = 0; sent < count;) {
        *stream.tvalid = 1;
        std::memcpy(stream.tdata, words + sent * word_bytes, word_bytes);
        *stream.tlast = last && sent + 1 == count;
        model.settle();
        if (*stream.tready) {
            ++sent;
            model.moved = true;
        }
        if (const int64_t error = model.finish(patience)) return error;
    }
    *stream.tvalid = 0;
    return 0;
}

// Sends frames, whose beats stand in `pixels` one behind the other. Writes to `begun` the clock in which the first beat
// of each was taken, and behind them the one after the last beat.
// A frame's control word is written as soon as the frame before has begun, if it is another.
extern "C" int64_t send(void *handle, const uint8_t *pixels, int64_t beat_bytes, const Frame *frames, int64_t count,
                        int64_t control_address, int64_t control, int64_t *begun, int64_t patience) {
    auto &model = *static_cast<Model *>(handle);
    auto &top = model.top;
    model.idle = 0;
    bool held = false; // a beat that is offered stays
    for (int64_t k = 0, beat = 0; k < count;) {
        if (beat == 0 && !model.writing && frames[k].control != control) {
            control = frames[k].control;
            model.write(control_address, static_cast<uint32_t>(control));
        }
        const bool ready = beat || (!model.writing && frames[k].control == control);
        held = held || (ready && !model.in.now());
        top.s_axis_tvalid = held;
        if (held) {
            put(top.s_axis_tdata, pixels, beat_bytes);
            top.s_axis_tuser = beat == 0 && frames[k].start;
            top.s_axis_tlast = frames[k].last && beat + 1 == frames[k].beats;
        }
        model.settle();
        if (held && top.s_axis_tready) {
            if (beat == 0) begun[k] = model.clocks;
            held = false;
            model.moved = true;
            pixels += beat_bytes;
            if (++beat == frames[k].beats) {
                beat = 0;
                ++k;
            }
        }
        // In the clock after the first beat the next frame's mode may change.
        if (beat && k + 1 < count && !model.writing && frames[k + 1].control != control) {
            control = frames[k + 1].control;
            model.write(control_address, static_cast<uint32_t>(control));
        }
        if (const int64_t error = model.finish(patience)) return error;
    }
    top.s_axis_tvalid = 0;
    begun[count] = model.clocks;
    return 0;
}

// Waits for as many whole packets as `packets` to be there, and `silent` clocks more.
extern "C" int64_t drain(void *handle, int64_t packets, int64_t silent, int64_t patience) {
    auto &model = *static_cast<Model *>(handle);
    model.idle = 0;
    while (static_cast<int64_t>(model.ends.size()) < packets) {
        model.settle();
        if (const int64_t error = model.finish(patience)) return error;
    }
    for (int64_t k = 0; k < silent; ++k) {
        model.settle();
        model.idle = 0;
        if (const int64_t error = model.finish(patience)) return error;
    }
    return 0;
}

// Octets and whole packets that have come out; octets that follow the last whole packet are of one that has not.
extern "C" void received(void *handle, int64_t *counts) {
    const auto &model = *static_cast<Model *>(handle);
    counts[0] = static_cast<int64_t>(model.octets.size());
    counts[1] = static_cast<int64_t>(model.ends.size());
}

// Hands out the whole packets, and where each ends.
extern "C" void fetch(void *handle, uint8_t *octets, int64_t *ends) {
    auto &model = *static_cast<Model *>(handle);
    if (model.ends.empty()) return;
    const int64_t size = model.ends.back();
    std::memcpy(octets, model.octets.data(), size);
    std::memcpy(ends, model.ends.data(), model.ends.size() * sizeof *ends);
    model.octets.erase(model.octets.begin(), model.octets.begin() + size);
    model.ends.clear();
}

extern "C" int64_t clocks(void *handle) { return static_cast<Model *>(handle)->clocks; }
