// A builder whose arena runs dry: every call says so, a row that was refused leaves no trace, and later calls are safe.
#include "segment_rows.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using namespace historian;
    using namespace historian::fuzz;
    FuzzInput input{data, size};
    const std::size_t arena_bytes = std::size_t{input.u16()} * 64;
    const FuzzRows made = make_rows(input);
    TestArena arena{arena_bytes};
    SegmentBuilder *builder = nullptr;
    Status status = create_builder(arena, made.types, made.key, &builder);
    check(status.ok() || status.code == StatusCode::out_of_memory, "a dry arena is said to be one");
    if (!status.ok()) return 0;
    status = set_column_traits(*builder, made.traits);
    check(status.ok() || status.code == StatusCode::out_of_memory, "a dry arena is said to be one");
    std::uint32_t added = 0;
    for (const auto &row : made.rows) {
        status = append_row(*builder, row.data());
        check(status.ok() || status.code == StatusCode::out_of_memory, "a dry arena is said to be one");
        added += status.ok() ? 1 : 0;
        check(builder_row_count(*builder) == added, "only rows that were added are counted");
    }
    if (added == 0) return 0;
    SegmentBytes segment;
    status = finish_builder(*builder, &segment);
    check(status.ok() || status.code == StatusCode::out_of_memory, "a dry arena is said to be one");
    if (status.ok()) check(segment.summary.row_count == added, "the segment has the rows that were added");
    return 0;
}
