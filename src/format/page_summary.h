// Summaries of tail pages: what a page holds, in 128 bytes, so that a query for one tag or time need not look at the page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "codec/hash.h"
#include "format/page_layout.h"

namespace historian::format {

/// Calls visit(bit) for the three bits of the Bloom filter that a fingerprint sets. A page has at most 176 rows: with as many
/// different fingerprints nine pages in a hundred are looked at for nothing, with 100 of them two (Bloom, CACM 13, 1970).
template <typename Visit>
constexpr void for_each_summary_bit(std::uint16_t fingerprint, Visit visit) noexcept {
    // Multipliers of MurmurHash3 and xxHash: odd, and unlike each other.
    for (const std::uint32_t multiplier : {0xCC9E2D51u, 0x85EBCA77u, 0x9E3779B1u}) {
        const std::uint32_t hash = (fingerprint + 1u) * multiplier;
        visit(static_cast<std::uint32_t>((std::uint64_t{hash ^ hash >> 15} * (8 * kSummaryTagBytes)) >> 32));
    }
}

/// Never 0: a page without summary is not taken for an empty one.
inline std::uint32_t summary_checksum(const PageSummary &summary) noexcept {
    std::byte bytes[offsetof(PageSummary, checksum)];
    std::memcpy(bytes, &summary, sizeof(bytes));
    const auto checksum = static_cast<std::uint32_t>(codec::hash_bytes(bytes));
    return checksum != 0 ? checksum : 1;
}

/// fingerprints   of all the page's rows
inline PageSummary summarize_page(std::int64_t time_min, std::int64_t time_max,
                                  std::span<const std::uint16_t> fingerprints) noexcept {
    PageSummary summary{time_min, time_max, {}, 0};
    for (const std::uint16_t fingerprint : fingerprints) {
        for_each_summary_bit(fingerprint, [&](std::uint32_t bit) {
            summary.tags[bit / 8] = static_cast<std::uint8_t>(summary.tags[bit / 8] | 1u << bit % 8);
        });
    }
    summary.checksum = summary_checksum(summary);
    return summary;
}

/// False only when no row of the page has this fingerprint.
inline bool may_hold(const PageSummary &summary, std::uint16_t fingerprint) noexcept {
    bool all = true;
    for_each_summary_bit(fingerprint, [&](std::uint32_t bit) { all = all && ((summary.tags[bit / 8] >> (bit % 8)) & 1) != 0; });
    return all;
}

}  // namespace historian::format
