// A handler for Boost.JSON's event parser links the values while the text is read once.
// Built with exceptions: the library may throw (it allocates only when a text arrives in pieces, which it does not here).
// tidy: exceptions inside
#include "bgworker/json_tree.h"

#include <cstring>
#include <functional>
#include <limits>

#include <boost/json/basic_parser_impl.hpp>

namespace historian::bgworker {

namespace {

namespace json = boost::json;
using boost::json::string_view;
using boost::system::error_code;

// Values are taken from the arena in blocks: it aligns each piece to 16 bytes.
constexpr std::uint32_t kValuesPerBlock = 32;

/// Receives the parser's events.
class TreeBuilder {
public:
    static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t max_string_size = std::numeric_limits<std::uint32_t>::max() / 2;
    static constexpr std::size_t max_key_size = max_string_size;

    TreeBuilder(Arena *arena, std::string_view source) noexcept : arena_(arena), source_(source) {}

    bool on_document_begin(error_code &) noexcept { return true; }
    bool on_document_end(error_code &) noexcept { return true; }
    bool on_array_begin(error_code &ec) noexcept { return open(JsonKind::array, ec); }
    bool on_array_end(std::size_t, error_code &) noexcept { return close(); }
    bool on_object_begin(error_code &ec) noexcept { return open(JsonKind::object, ec); }
    bool on_object_end(std::size_t, error_code &) noexcept { return close(); }

    bool on_key_part(string_view part, std::size_t, error_code &ec) noexcept { return gather(part, ec); }
    bool on_key(string_view part, std::size_t, error_code &ec) noexcept { return finish_text(part, &key_, ec); }
    bool on_string_part(string_view part, std::size_t, error_code &ec) noexcept { return gather(part, ec); }
    bool on_string(string_view part, std::size_t, error_code &ec) noexcept { return add_text(JsonKind::text, part, ec); }
    bool on_number_part(string_view part, error_code &ec) noexcept { return gather(part, ec); }
    bool on_int64(std::int64_t, string_view part, error_code &ec) noexcept { return add_text(JsonKind::number, part, ec); }
    bool on_uint64(std::uint64_t, string_view part, error_code &ec) noexcept { return add_text(JsonKind::number, part, ec); }
    bool on_double(double, string_view part, error_code &ec) noexcept { return add_text(JsonKind::number, part, ec); }
    bool on_bool(bool value, error_code &ec) noexcept {
        return add(JsonKind::boolean, value ? std::string_view("true") : std::string_view("false"), ec) != nullptr;
    }
    bool on_null(error_code &ec) noexcept { return add(JsonKind::null, "", ec) != nullptr; }
    bool on_comment_part(string_view, error_code &) noexcept { return true; }
    bool on_comment(string_view, error_code &) noexcept { return true; }

    PayloadFault fault() const noexcept { return fault_; }
    const JsonValue *root() const noexcept { return root_; }

private:
    bool fail(PayloadFault fault, error_code &ec) noexcept {
        fault_ = fault;
        ec = json::error::exception;
        return false;
    }

    /// Links a new value behind the last one of the array or object that is open; nullptr after a failure.
    JsonValue *add(JsonKind kind, std::string_view text, error_code &ec) noexcept {
        if (value_count_ >= kCellCountMax) return fail(PayloadFault::too_many_cells, ec), nullptr;
        if (value_count_ % kValuesPerBlock == 0) block_ = arena_->array<JsonValue>(kValuesPerBlock);
        if (block_ == nullptr) return fail(PayloadFault::out_of_memory, ec), nullptr;
        JsonValue *value = &block_[value_count_++ % kValuesPerBlock];
        value->chars = text.data();
        value->key_chars = key_.data();
        value->next = nullptr;
        value->bytes = static_cast<std::uint32_t>(text.size());
        value->key_bytes = static_cast<std::uint32_t>(key_.size());
        value->kind = kind;
        key_ = {};
        if (depth_ == 0) {
            root_ = value;
        } else if (last_[depth_] == nullptr) {
            open_[depth_]->first = value;
        } else {
            last_[depth_]->next = value;
        }
        last_[depth_] = value;
        return value;
    }

    bool open(JsonKind kind, error_code &ec) noexcept {
        JsonValue *value = add(kind, {}, ec);
        if (value == nullptr) return false;
        value->first = nullptr;
        if (depth_ == kPayloadDepthMax) return fail(PayloadFault::too_deep, ec);  // the parser has refused it before
        ++depth_;
        open_[depth_] = value;
        last_[depth_] = nullptr;
        return true;
    }
    bool close() noexcept {
        --depth_;
        return true;
    }

    /// One piece of a text that comes in several: it held escapes.
    bool gather(string_view part, error_code &ec) noexcept {
        if (part.size() > gathered_room_ - gathered_bytes_) {
            std::size_t room = gathered_room_ < 128 ? 256 : gathered_room_ * 2;
            if (room < gathered_bytes_ + part.size()) room = gathered_bytes_ + part.size();
            char *larger = arena_->array<char>(room);
            if (larger == nullptr) return fail(PayloadFault::out_of_memory, ec);
            if (gathered_bytes_ > 0) std::memcpy(larger, gathered_, gathered_bytes_);
            gathered_ = larger;
            gathered_room_ = room;
        }
        if (!part.empty()) std::memcpy(gathered_ + gathered_bytes_, part.data(), part.size());
        gathered_bytes_ += part.size();
        return true;
    }

    bool is_in_source(string_view part) const noexcept {
        const std::less_equal<const char *> not_after;
        return not_after(source_.data(), part.data()) &&
               not_after(part.data() + part.size(), source_.data() + source_.size());
    }

    /// The last piece of a text: points to the source when it is the only one, else copies what was gathered.
    bool finish_text(string_view part, std::string_view *text, error_code &ec) noexcept {
        if (gathered_bytes_ == 0 && is_in_source(part)) {
            *text = {part.data(), part.size()};
            return true;
        }
        if (!gather(part, ec)) return false;
        char *copy = arena_->array<char>(gathered_bytes_);
        if (copy == nullptr) return fail(PayloadFault::out_of_memory, ec);
        if (gathered_bytes_ > 0) std::memcpy(copy, gathered_, gathered_bytes_);
        *text = {copy, gathered_bytes_};
        gathered_bytes_ = 0;
        return true;
    }
    bool add_text(JsonKind kind, string_view part, error_code &ec) noexcept {
        std::string_view text;
        return finish_text(part, &text, ec) && add(kind, text, ec) != nullptr;
    }

    Arena *arena_;
    std::string_view source_;
    std::string_view key_;
    JsonValue *block_ = nullptr;
    const JsonValue *root_ = nullptr;
    char *gathered_ = nullptr;
    std::size_t gathered_bytes_ = 0;
    std::size_t gathered_room_ = 0;
    std::uint32_t value_count_ = 0;
    std::uint32_t depth_ = 0;
    JsonValue *open_[kPayloadDepthMax + 1] = {};  ///< of each depth, the array or object whose members are being read
    JsonValue *last_[kPayloadDepthMax + 1] = {};  ///< of each depth, the value read last
    PayloadFault fault_ = PayloadFault::none;
};

PayloadError parse_or_throw(std::string_view bytes, Arena &arena, const JsonValue **root) {
    json::parse_options options;
    options.max_depth = kPayloadDepthMax;
    json::basic_parser<TreeBuilder> parser(options, &arena, bytes);
    error_code ec;
    std::size_t offset = parser.write_some(false, bytes.data(), bytes.size(), ec);
    const TreeBuilder &builder = parser.handler();
    if (builder.fault() != PayloadFault::none) return {builder.fault(), offset};
    if (!ec && offset == bytes.size()) {
        *root = builder.root();
        return {};
    }
    const std::size_t invalid = find_invalid_utf8(bytes);
    if (invalid != std::string_view::npos && invalid <= offset + 4) return {PayloadFault::invalid_utf8, invalid};
    return {ec == json::error::too_deep ? PayloadFault::too_deep : PayloadFault::malformed, offset};
}

/// Writes JSON twice: first only counting, with nowhere to write.
class JsonWriter {
public:
    JsonWriter(char *to, const JsonFilter *filter) noexcept : to_(to), filter_(filter) {}
    std::size_t bytes() const noexcept { return bytes_; }

    void write(const JsonValue *value) noexcept {
        switch (value->kind) {
            case JsonKind::null: put("null"); break;
            case JsonKind::boolean:
            case JsonKind::number: put(value->text()); break;
            case JsonKind::text: put_quoted(value->text()); break;
            case JsonKind::array:
            case JsonKind::object: write_members(value); break;
        }
    }

private:
    /// Recursion as deep as the tree: kPayloadDepthMax.
    void write_members(const JsonValue *value) noexcept {
        const bool named = value->kind == JsonKind::object;
        bool first = true;
        put(named ? "{" : "[");
        for (const JsonValue *member = value->first; member != nullptr; member = member->next) {
            if (filter_ != nullptr && !filter_->keeps(filter_->self, value, member)) continue;
            if (!first) put(",");
            first = false;
            if (named) {
                put_quoted(member->key());
                put(":");
            }
            write(member);
        }
        put(named ? "}" : "]");
    }

    void put(std::string_view text) noexcept {
        if (to_ != nullptr && !text.empty()) std::memcpy(to_ + bytes_, text.data(), text.size());
        bytes_ += text.size();
    }

    void put_quoted(std::string_view text) noexcept {
        static constexpr char kHexadecimal[] = "0123456789abcdef";
        put("\"");
        std::size_t done = 0;
        for (std::size_t at = 0; at < text.size(); ++at) {
            const auto byte = static_cast<unsigned char>(text[at]);
            if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
            const char escape[] = {'\\', 'u', '0', '0', kHexadecimal[byte >> 4], kHexadecimal[byte & 15]};
            const char pair[] = {'\\', text[at]};
            put(text.substr(done, at - done));
            put(byte < 0x20 ? std::string_view(escape, sizeof escape) : std::string_view(pair, sizeof pair));
            done = at + 1;
        }
        put(text.substr(done));
        put("\"");
    }

    char *to_;
    const JsonFilter *filter_;
    std::size_t bytes_ = 0;
};

}  // namespace

PayloadError parse_json(std::string_view bytes, Arena &arena, const JsonValue **root) noexcept {
    if (bytes.empty()) return {PayloadFault::empty, 0};
    try {
        return parse_or_throw(bytes, arena, root);
    } catch (...) {
        return {PayloadFault::out_of_memory, 0};
    }
}

const JsonValue *find_member(const JsonValue *object, std::string_view name) noexcept {
    if (object->kind != JsonKind::object) return nullptr;
    const JsonValue *found = nullptr;
    for (const JsonValue *member = object->first; member != nullptr; member = member->next) {
        if (member->key() == name) found = member;
    }
    return found;
}

const JsonValue *find_element(const JsonValue *array, std::int32_t index) noexcept {
    if (array->kind != JsonKind::array) return nullptr;
    std::int64_t skip = index;
    if (index < 0) {
        for (const JsonValue *each = array->first; each != nullptr; each = each->next) ++skip;
        if (skip < 0) return nullptr;
    }
    const JsonValue *element = array->first;
    for (; element != nullptr && skip > 0; --skip) element = element->next;
    return element;
}

std::string_view write_json(const JsonValue *value, Arena &arena, const JsonFilter *filter) noexcept {
    JsonWriter counter(nullptr, filter);
    counter.write(value);
    char *text = arena.array<char>(counter.bytes() + 1);
    if (text == nullptr) return {};
    JsonWriter writer(text, filter);
    writer.write(value);
    text[writer.bytes()] = '\0';
    return {text, writer.bytes()};
}

}  // namespace historian::bgworker
