// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 ptychopress developers
//
// Finds the memories of a Verilated model that its .vlt file made public. The driver beside it says where a model's
// context is.

#include <cstdint>

#include "verilated.h"
#include "verilated_sym_props.h"
#include "verilated_syms.h"

extern "C" VerilatedContext *context(void *handle);

namespace {

struct Memory {
    const char *scope, *name;
    void *data;
    int64_t words, word_bytes, bits;
};

} // namespace

// Writes the first `room` memories to `found`. Returns how many there are.
extern "C" int64_t memories(void *handle, Memory *found, int64_t room) {
    int64_t count = 0;
    for (const auto &[scope, content] : *context(handle)->scopeNameMap()) {
        if (!content->varsp()) continue;
        for (const auto &[name, variable] : *content->varsp()) {
            if (variable.udims() != 1) continue;
            if (count < room) {
                found[count] = {scope, name, variable.datap(), variable.elements(1), variable.entSize(),
                                variable.entBits()};
            }
            ++count;
        }
    }
    return count;
}
