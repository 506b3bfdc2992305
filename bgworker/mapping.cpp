#include "bgworker/mapping.h"

#include <cstdio>
#include <cstring>

#include "bgworker/nanoseconds.h"
#include "bgworker/payload_parsers.h"

namespace historian::bgworker {

namespace {

constexpr std::int64_t kMicrosecondsPerDay = 86'400'000'000;
constexpr std::int64_t kDaysFrom1970To2000 = 10'957;
constexpr std::int64_t kYear1 = -730'119 * kMicrosecondsPerDay;  // since 2000
constexpr std::int64_t kYear10000 = 2'921'940 * kMicrosecondsPerDay;

// A number that is no time is shown in its error up to here.
constexpr std::size_t kShownBytesMax = 60;

/// Writes microseconds since 2000-01-01 UTC as RFC 3339, with NUL; returns its length. Years 1 to 9999.
std::size_t write_time(std::int64_t microseconds, char *text, std::size_t room) noexcept {
    std::int64_t days = microseconds / kMicrosecondsPerDay;
    std::int64_t rest = microseconds % kMicrosecondsPerDay;
    if (rest < 0) --days, rest += kMicrosecondsPerDay;
    // Days since 0000-03-01, so that a leap day ends a year; 400 years have 146,097 days.
    days += kDaysFrom1970To2000 + 719'468;
    const std::int64_t era = days / 146'097;
    const std::int64_t day_of_era = days % 146'097;
    const std::int64_t year_of_era = (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
    const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
    const auto day = static_cast<int>(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    const auto month = static_cast<int>(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    const auto year = static_cast<int>(year_of_era + era * 400 + (month <= 2));
    const auto seconds = static_cast<int>(rest / 1'000'000);
    const int bytes = std::snprintf(text, room, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", year, month, day, seconds / 3600,
                                    seconds / 60 % 60, seconds % 60, static_cast<int>(rest % 1'000'000));
    return static_cast<std::size_t>(bytes);
}

const char *unit_sign(TimeUnit unit) noexcept {
    switch (unit) {
        case TimeUnit::seconds: return "s";
        case TimeUnit::milliseconds: return "ms";
        case TimeUnit::microseconds: return "us";
        case TimeUnit::nanoseconds:
        case TimeUnit::text: break;
    }
    return "ns";
}

/// A number of a unit as microseconds since 2000, in the years that write_time() can write.
bool read_time(std::string_view number, TimeUnit unit, std::int64_t *microseconds) noexcept {
    return parse_time(number, unit, microseconds) == TimeFault::none && *microseconds >= kYear1 && *microseconds < kYear10000;
}

std::string_view trim(std::string_view text) noexcept {
    const std::size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

/// The part of a topic between slashes, from 1 or from -1; data() is nullptr when there is none.
std::string_view find_topic_part(std::string_view topic, std::int32_t index) noexcept {
    std::int64_t number = index;
    if (index < 0) {
        number += 2;
        for (const char sign : topic) number += sign == '/';
    }
    std::size_t begin = 0;
    for (; number > 1; --number) {
        begin = topic.find('/', begin);
        if (begin++ == std::string_view::npos) return {};
    }
    return number == 1 ? topic.substr(begin, topic.find('/', begin) - begin) : std::string_view();
}

CellKind cell_kind(JsonKind kind) noexcept {
    switch (kind) {
        case JsonKind::null: return CellKind::null;
        case JsonKind::boolean: return CellKind::boolean;
        case JsonKind::number: return CellKind::number;
        case JsonKind::text: return CellKind::text;
        case JsonKind::array:
        case JsonKind::object: break;
    }
    return CellKind::json;
}

/// Follows a path to its end, or to the array or object whose members are asked for by *star. nullptr: it leads nowhere.
const JsonValue *follow(const JsonValue *value, const PathStep *steps, const PathStep **star) noexcept {
    for (const PathStep *step = steps; step != nullptr && value != nullptr; step = step->next) {
        switch (step->kind) {
            case StepKind::member: value = find_member(value, step->name); break;
            case StepKind::element: value = find_element(value, step->index); break;
            case StepKind::every_element:
            case StepKind::every_member: *star = step; return value;
        }
    }
    return value;
}

constexpr Cell kAbsent{"", 0, CellKind::absent};

/// What a term comes to, before it becomes a cell: not followed by a NUL, not yet searched for one.
struct Found {
    std::string_view text;
    CellKind kind;
};

/// Maps one message.
class Evaluator {
public:
    Evaluator(const Mapping &mapping, const MappedMessage &message, Arena *arena) noexcept
        : mapping_(mapping), message_(message), arena_(arena) {}

    bool map(Payload *rows) noexcept {
        const auto no_change = [](std::uint32_t) noexcept { return true; };
        std::uint64_t row_count = 0;
        if (!read_json() || !for_each_row(0, no_change, [&row_count]() noexcept { return ++row_count, true; })) return false;
        if (row_count * mapping_.column_count > kCellCountMax) return fail(MapFault::too_many_cells, {});
        if (!make_room(static_cast<std::uint32_t>(row_count))) return false;
        const auto fill = [this](std::uint32_t level) noexcept { return fill_level(level); };
        if (!fill_level(0) || !for_each_row(0, fill, [this]() noexcept { return add_row(); })) return false;
        if (mapping_.reads_json && row_count_ > 0 && !found_any_) return fail(MapFault::nothing_found, {});
        *rows = {cells_, row_ends_, row_count_, mapping_.names, mapping_.column_count};
        return true;
    }
    const MapError &error() const noexcept { return error_; }

    std::string_view write_row(std::uint32_t row) noexcept {
        if (mapping_.depth == 0) return row == 0 ? message_.payload : std::string_view();
        std::uint32_t left = row;
        const auto no_change = [](std::uint32_t) noexcept { return true; };
        if (!read_json() || for_each_row(0, no_change, [&left]() noexcept { return left-- > 0; })) return {};
        if (error_.fault != MapFault::none) return {};
        const JsonFilter filter{keeps, this};
        return write_json(nodes_[0], *arena_, &filter);
    }

private:
    /// Of the arrays and objects that the row comes from, its own members and those that columns name.
    static bool keeps(const void *self, const JsonValue *parent, const JsonValue *member) noexcept {
        const auto *evaluator = static_cast<const Evaluator *>(self);
        for (std::uint32_t level = 0; level < evaluator->mapping_.depth; ++level) {
            if (parent != evaluator->parents_[level]) continue;
            return member == evaluator->nodes_[level + 1] || is_named(evaluator->mapping_.fan_outs[level], *member);
        }
        return true;
    }

    static bool is_named(const FanOut &fan_out, const JsonValue &member) noexcept {
        for (const NamedMember *named = fan_out.named; named != nullptr; named = named->next) {
            if (member.key() == named->name) return true;
        }
        return false;
    }

    bool read_json() noexcept {
        if (!mapping_.reads_json) return true;
        error_.payload = parse_json(message_.payload, *arena_, &nodes_[0]);
        return error_.payload.fault == PayloadFault::none || fail(MapFault::payload, {});
    }

    bool fail(MapFault fault, std::string_view path) noexcept {
        error_.fault = fault;
        error_.path = path;
        return false;
    }

    bool make_room(std::uint32_t row_count) noexcept {
        const std::size_t column_count = mapping_.column_count;
        cells_ = arena_->array<Cell>(row_count * column_count);
        row_ends_ = arena_->array<std::uint32_t>(row_count);
        current_ = arena_->array<Cell>(column_count);
        return (cells_ != nullptr && row_ends_ != nullptr && current_ != nullptr) || fail(MapFault::out_of_memory, {});
    }

    /// The array or object at a level, whose members are the nodes of the next; nullptr when there is none or after a failure.
    const JsonValue *find_members(std::uint32_t level) noexcept {
        const FanOut &fan_out = mapping_.fan_outs[level];
        const PathStep *star = nullptr;
        const JsonValue *found = follow(nodes_[level], fan_out.steps, &star);
        if (found == nullptr) {
            // Deeper down it is as if it were empty: a line without machines.
            if (level == 0) fail(MapFault::no_rows, fan_out.text);
        } else if (found->kind != (fan_out.by_name ? JsonKind::object : JsonKind::array)) {
            fail(fan_out.by_name ? MapFault::not_an_object : MapFault::not_an_array, fan_out.text);
            found = nullptr;
        }
        return found;
    }

    /// Calls use() for each row, after change(level) when the member of a level is another one; until one returns false.
    /// Recursion to kFanOutDepthMax.
    template <typename Change, typename Use>
    bool for_each_row(std::uint32_t level, const Change &change, const Use &use) noexcept {
        if (level == mapping_.depth) return use();
        parents_[level] = find_members(level);
        if (parents_[level] == nullptr) return error_.fault == MapFault::none;
        for (const JsonValue *member = parents_[level]->first; member != nullptr; member = member->next) {
            if (is_named(mapping_.fan_outs[level], *member)) continue;
            nodes_[level + 1] = member;
            if (!change(level + 1) || !for_each_row(level + 1, change, use)) return false;
        }
        return true;
    }

    bool add_row() noexcept {
        const std::size_t limit = message_.payload.size() * 4 > kMappedBytesMin ? message_.payload.size() * 4 : kMappedBytesMin;
        Cell *row = cells_ + static_cast<std::size_t>(row_count_) * mapping_.column_count;
        for (std::uint32_t i = 0; i < mapping_.column_count; ++i) {
            row[i] = current_[i];
            text_bytes_ += row[i].bytes;
        }
        if (text_bytes_ > limit) return fail(MapFault::too_much_text, {});
        row_ends_[row_count_] = (row_count_ + 1) * mapping_.column_count;
        ++row_count_;
        return true;
    }

    /// Sets the cells that change with the member of a level.
    bool fill_level(std::uint32_t level) noexcept {
        for (std::uint32_t i = 0; i < mapping_.column_count; ++i) {
            const MappedColumn &column = mapping_.columns[i];
            if (column.level != level) continue;
            current_[i] = column.terms == nullptr         ? column.constant
                          : column.terms->next == nullptr ? make_single(column)
                                                          : make_joined(column);
        }
        return error_.fault == MapFault::none;
    }

    Found find_payload() noexcept {
        const std::string_view text = trim(message_.payload);
        const std::size_t invalid = find_invalid_utf8(text);
        if (invalid == std::string_view::npos) return {text, CellKind::raw};
        const std::size_t before = static_cast<std::size_t>(text.data() - message_.payload.data());
        error_.payload = {PayloadFault::invalid_utf8, before + invalid};
        fail(MapFault::payload, {});
        return {{}, CellKind::absent};
    }

    std::string_view write_arrival() noexcept {
        const std::int64_t since_2000 = message_.arrived_at - kDaysFrom1970To2000 * kMicrosecondsPerDay;
        return {arrival_, write_time(since_2000, arrival_, sizeof arrival_)};
    }

    Found find_property(std::string_view name) const noexcept {
        for (std::uint32_t i = message_.property_count; i > 0; --i) {
            if (message_.properties[i - 1].name == name) return {message_.properties[i - 1].value, CellKind::text};
        }
        return {{}, CellKind::absent};
    }

    Found find_path(const Term &term) noexcept {
        const PathStep *star = nullptr;
        const JsonValue *value = follow(nodes_[term.level], term.tail, &star);
        if (value == nullptr) return {{}, CellKind::absent};
        found_any_ = true;
        if (value->kind == JsonKind::null) return {{}, CellKind::null};
        if (!value->has_members()) return {value->text(), cell_kind(value->kind)};
        const std::string_view json = write_json(value, *arena_);
        if (json.data() == nullptr) fail(MapFault::out_of_memory, {});
        return {json, CellKind::json};
    }

    Found find(const Term &term) noexcept {
        switch (term.kind) {
            case TermKind::literal: return {term.text, CellKind::text};
            case TermKind::path: return find_path(term);
            case TermKind::key: return {nodes_[mapping_.named_level]->key(), CellKind::text};
            case TermKind::topic: return {message_.topic, CellKind::text};
            case TermKind::topic_part: {
                const std::string_view part = find_topic_part(message_.topic, term.index);
                return {part, part.data() == nullptr ? CellKind::absent : CellKind::text};
            }
            case TermKind::property: return find_property(term.text);
            case TermKind::payload: return find_payload();
            case TermKind::arrival: return {write_arrival(), CellKind::arrival};
            case TermKind::qos: return {{&"012"[message_.qos % 3], 1}, CellKind::number};
            case TermKind::retain: return {message_.retained ? "true" : "false", CellKind::boolean};
        }
        return {{}, CellKind::absent};
    }

    Cell make_cell(std::string_view text, CellKind kind, const Term &term) noexcept {
        if (text.find('\0') != std::string_view::npos) {
            fail(MapFault::nul_in_text, term.kind == TermKind::path ? term.text : std::string_view("payload"));
            return kAbsent;
        }
        char *copy = arena_->array<char>(text.size() + 1);
        if (copy == nullptr) {
            fail(MapFault::out_of_memory, {});
            return kAbsent;
        }
        if (!text.empty()) std::memcpy(copy, text.data(), text.size());
        copy[text.size()] = '\0';
        return {copy, static_cast<std::uint32_t>(text.size()), kind};
    }

    Cell make_single(const MappedColumn &column) noexcept {
        const Found found = find(*column.terms);
        const bool is_plain = found.kind == CellKind::absent || found.kind == CellKind::null || found.kind == CellKind::arrival;
        if (is_plain) return {"", 0, found.kind};
        if (column.unit != TimeUnit::text && is_json_number(found.text)) return make_time(found.text, column);
        return make_cell(found.text, found.kind, *column.terms);
    }

    Cell make_time(std::string_view number, const MappedColumn &column) noexcept {
        char text[kShownBytesMax + 32];
        std::int64_t microseconds;
        std::size_t bytes;
        if (read_time(number, column.unit, &microseconds)) {
            bytes = write_time(microseconds, text, sizeof text);
        } else {
            // Its type's input function will say that this is no time: a fault of this row alone.
            const bool cut = number.size() > kShownBytesMax;
            const std::size_t shown = cut ? kShownBytesMax : number.size();
            bytes = static_cast<std::size_t>(std::snprintf(text, sizeof text, "%.*s%s %s since 1970", static_cast<int>(shown),
                                                           number.data(), cut ? "..." : "", unit_sign(column.unit)));
        }
        return make_cell({text, bytes}, CellKind::text, *column.terms);
    }

    /// All terms in a row; absent when one is missing.
    Cell make_joined(const MappedColumn &column) noexcept {
        std::size_t bytes = 0;
        for (const Term *term = column.terms; term != nullptr; term = term->next) bytes += find(*term).text.size();
        if (bytes > kMappedBytesMin && bytes > message_.payload.size() * 4) {
            fail(MapFault::too_much_text, {});
            return kAbsent;
        }
        char *text = arena_->array<char>(bytes + 1);
        if (text == nullptr) {
            fail(MapFault::out_of_memory, {});
            return kAbsent;
        }
        std::size_t at = 0;
        for (const Term *term = column.terms; term != nullptr; term = term->next) {
            const Found found = find(*term);
            if (error_.fault != MapFault::none) return kAbsent;
            if (found.kind == CellKind::absent || found.kind == CellKind::null) return kAbsent;
            if (found.text.find('\0') != std::string_view::npos) return make_cell(found.text, found.kind, *term);
            if (!found.text.empty()) std::memcpy(text + at, found.text.data(), found.text.size());
            at += found.text.size();
        }
        text[at] = '\0';
        return {text, static_cast<std::uint32_t>(at), CellKind::text};
    }

    const Mapping &mapping_;
    const MappedMessage &message_;
    Arena *arena_;
    const JsonValue *nodes_[kFanOutDepthMax + 1] = {};  ///< the root, and the member that each level has come to
    const JsonValue *parents_[kFanOutDepthMax] = {};    ///< of nodes_[1] and so on
    Cell *current_ = nullptr;                           ///< the row that is being made
    Cell *cells_ = nullptr;
    std::uint32_t *row_ends_ = nullptr;
    std::uint32_t row_count_ = 0;
    std::size_t text_bytes_ = 0;  ///< of all rows
    bool found_any_ = false;      ///< some path led to a value
    char arrival_[40];
    MapError error_;
};

}  // namespace

MapError map_message(const Mapping &mapping, const MappedMessage &message, Arena &arena, Payload *rows) noexcept {
    Evaluator evaluator(mapping, message, &arena);
    evaluator.map(rows);
    return evaluator.error();
}

std::string_view write_mapped_row(const Mapping &mapping, const MappedMessage &message, std::uint32_t row,
                                  Arena &arena) noexcept {
    Evaluator evaluator(mapping, message, &arena);
    return evaluator.write_row(row);
}

void describe_map_error(const MapError &error, char *text, std::size_t room) noexcept {
    const auto bytes = static_cast<int>(error.path.size());
    const char *path = error.path.data();
    switch (error.fault) {
        case MapFault::none: std::snprintf(text, room, "no error"); break;
        case MapFault::payload: describe_payload_error(error.payload, text, room); break;
        case MapFault::nothing_found:
            std::snprintf(text, room, "payload holds none of the values that the mapping asks for");
            break;
        case MapFault::no_rows: std::snprintf(text, room, "payload has nothing at %.*s", bytes, path); break;
        case MapFault::not_an_array: std::snprintf(text, room, "payload has no array at %.*s", bytes, path); break;
        case MapFault::not_an_object: std::snprintf(text, room, "payload has no object at %.*s", bytes, path); break;
        case MapFault::nul_in_text: std::snprintf(text, room, "text at %.*s has a NUL character", bytes, path); break;
        case MapFault::too_many_cells:
            std::snprintf(text, room, "rows of the payload have more than %u values", static_cast<unsigned>(kCellCountMax));
            break;
        case MapFault::too_much_text:
            std::snprintf(text, room, "rows of the payload repeat too much text: more than %zu MB", kMappedBytesMin >> 20);
            break;
        case MapFault::out_of_memory: std::snprintf(text, room, "not enough memory to map the payload"); break;
    }
}

const char *map_error_sqlstate(const MapError &error) noexcept {
    switch (error.fault) {
        case MapFault::none: return "00000";
        case MapFault::payload: return payload_error_sqlstate(error.payload.fault);
        case MapFault::nothing_found:
        case MapFault::no_rows:
        case MapFault::not_an_array:
        case MapFault::not_an_object: return "22023";  // invalid_parameter_value
        case MapFault::nul_in_text: return "22P05";    // untranslatable_character
        case MapFault::too_many_cells:
        case MapFault::too_much_text: return "54000";  // program_limit_exceeded
        case MapFault::out_of_memory: return "53200";
    }
    return "XX000";
}

}  // namespace historian::bgworker
