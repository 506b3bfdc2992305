#include "bgworker/table_shape.h"

#include "bgworker/payload_options.h"

namespace historian::bgworker {

int find_column(const TableShape &shape, std::string_view name) noexcept {
    int found = kNoColumn;
    for (int i = 0; i < shape.column_count; ++i) {
        if (shape.columns[i] == name) return i;
        if (!equal_ignoring_case(shape.columns[i], name)) continue;
        found = found == kNoColumn ? i : kAmbiguousColumn;
    }
    return found;
}

}  // namespace historian::bgworker
