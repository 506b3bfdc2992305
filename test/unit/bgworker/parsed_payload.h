// A payload as text, for tests: rows by ';', cells by ',', each with a sign of its kind, and its name where it has one.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bgworker/payload.h"

namespace historian::bgworker {

// Keeps the blocks of an arena until the test ends.
class Blocks {
public:
    ~Blocks() {
        for (void *block : blocks_) std::free(block);
    }
    static void *grow(void *self, std::size_t bytes) noexcept {
        auto *blocks = static_cast<Blocks *>(self);
        if (blocks->left_ < bytes) return nullptr;
        blocks->left_ -= bytes;
        blocks->used_ += bytes;
        blocks->blocks_.push_back(std::malloc(bytes));
        return blocks->blocks_.back();
    }
    void limit(std::size_t bytes) { left_ = bytes; }
    std::size_t used() const { return used_; }

private:
    std::vector<void *> blocks_;
    std::size_t left_ = SIZE_MAX;
    std::size_t used_ = 0;
};

inline std::string describe(PayloadError error) {
    char text[200];
    describe_payload_error(error, text, sizeof text);
    return text;
}

// The rows of a payload; of a bad row what is wrong, in brackets.
inline std::string written(const Payload &payload) {
    std::string out;
    std::uint32_t cell = 0;
    std::uint32_t bad = 0;
    for (std::uint32_t row = 0; row < payload.row_count; ++row) {
        if (row > 0) out += ';';
        const std::uint32_t begin = cell;
        if (bad < payload.bad_row_count && payload.bad_rows[bad].row == row) {
            EXPECT_EQ(payload.row_ends[row], begin) << "a bad row has no cells";
            out += '[' + describe(payload.bad_rows[bad++].error) + ']';
        }
        for (; cell < payload.row_ends[row]; ++cell) {
            const Cell &each = payload.cells[cell];
            EXPECT_EQ(each.text[each.bytes], '\0');
            if (cell > begin) out += ',';
            if (payload.names != nullptr && cell - begin < payload.name_count) {
                out += std::string(payload.names[cell - begin]) + '=';
            }
            out += "0bnsjr@-"[static_cast<int>(each.kind)];
            out += std::string(each.text, each.bytes);
        }
    }
    EXPECT_EQ(bad, payload.bad_row_count);
    return out;
}

inline std::string parsed(std::string_view bytes, const ParseContext &context = {}) {
    Blocks blocks;
    Arena arena(Blocks::grow, &blocks);
    Payload payload;
    const PayloadError error = parse_payload(bytes, context, arena, &payload);
    return error.fault == PayloadFault::none ? written(payload) : describe(error);
}

inline ParseContext in_format(PayloadFormat format) {
    ParseContext context;
    context.options.format = format;
    return context;
}

// Each row of a payload written as a payload of its own, and read again: the same row. Returns those payloads, by '|'.
inline std::string rows_again(std::string_view bytes, const ParseContext &context) {
    Blocks blocks;
    Arena arena(Blocks::grow, &blocks);
    Payload payload;
    const PayloadError error = parse_payload(bytes, context, arena, &payload);
    if (error.fault != PayloadFault::none) return describe(error);
    std::string all;
    std::string again;
    for (std::uint32_t row = 0; row < payload.row_count; ++row) {
        const std::string_view one = write_row(bytes, payload, row, arena);
        all += (row > 0 ? "|" : "") + std::string(one);
        Payload alone;
        if (parse_payload(one, context, arena, &alone).fault == PayloadFault::none) {
            EXPECT_EQ(alone.row_count, 1u) << one;
        }
    }
    return all;
}

}  // namespace historian::bgworker
