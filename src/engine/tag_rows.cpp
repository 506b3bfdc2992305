#include "engine/tag_rows.h"

#include "engine/row.h"

namespace historian::engine {

RowSpan rows_of_tag(Granule *granule, const TagKey &tag, uint32 position) {
    const format::Granule &about = granule->about;
    const RowSpan all = {0, about.row_count};
    if (about.tag_first == about.tag_last) return all;
    const int column = granule->keys.tag - 1;
    const format::ColumnVector &vector = granule_column(granule, column).vector;
    // Entries are the tags of the granule but NULL; numbers are sorted as the tags are.
    const bool has_null = about.tag_first == 0 && format::has_null_tag(*granule->segment->index);
    const uint32 entry = position - about.tag_first - (has_null ? 1 : 0);
    int64 number = 0;
    if (!tag.is_null && vector.numbers != nullptr) {
        const Form_pg_attribute attribute = TupleDescAttr(granule->desc, column);
        number = static_cast<int64>(datum_of_bytes(attribute, true, tag.data, tag.byte_count));
    }
    const auto compare = [&](uint32 row) {  // below, at or above 0: the row's tag is before, the same or behind
        const bool row_is_null = vector.nulls != nullptr && vector.nulls[row] != 0;
        if (row_is_null || tag.is_null) return row_is_null == tag.is_null ? 0 : row_is_null ? -1 : 1;
        if (vector.numbers != nullptr) return (vector.numbers[row] > number) - (vector.numbers[row] < number);
        return (vector.entry_of_row[row] > entry) - (vector.entry_of_row[row] < entry);
    };
    const uint32 first = first_row_behind(uint32{0}, all.end, [&](uint32 row) { return compare(row) >= 0; });
    return {first, first_row_behind(first, all.end, [&](uint32 row) { return compare(row) > 0; })};
}

}  // namespace historian::engine
