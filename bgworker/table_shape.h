// Table shape: the columns of a table as a payload meets them, by name and by part. Pure.
#pragma once

#include <string_view>

namespace historian::bgworker {

inline constexpr int kNoColumn = -1;
inline constexpr int kAmbiguousColumn = -2;

/// The columns that messages may fill, UTF-8.
struct TableShape {
    const std::string_view *columns = nullptr;
    int column_count = 0;
    int name_column = kNoColumn;   ///< what a plain number is called: the first of a text type
    int time_column = kNoColumn;   ///< the first timestamp
    int value_column = kNoColumn;  ///< the first of a number type
};

/// The column of a name: the one that is equal to it, else the one that is but for the case of ASCII letters; kAmbiguousColumn
/// when these are several, kNoColumn when there is none.
int find_column(const TableShape &shape, std::string_view name) noexcept;

}  // namespace historian::bgworker
