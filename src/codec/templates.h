// Templates: log messages as the text that repeats and the values that fill its holes.
//
// A machine writes "pump 17 failed after 250 ms" from a template, "pump <> failed after <> ms". A segment keeps each template
// once, in its *model*; a granule keeps a template number per message and the holes' values by column, as numbers wherever they
// are numbers. Made in this order:
//
//   1. add_message() cuts each message into fixed text and values (message_parser.h) and keeps the values;
//   2. choose_templates() looks at all of them: rare templates that differ in single words become one with a hole there; holes
//      that never vary become text; each column gets a type, the frequent words a dictionary, and some columns a guess;
//   3. encode_template_model() writes the model, encode_template_granule() writes groups of messages, in any order.
//
// Templates and holes
//     A template's text has a byte 1 for each hole. Templates that begin alike, with holes of the same types, share the columns
//     of the holes there: template texts form a tree, and a column is a node of it. So the time and the process at the beginning
//     of each line are one column each, in the order of the messages, whatever follows. Template 0 is not one: its messages are
//     kept as they are (those with a byte 1, those longer than kParsedBytesMax, those whose template no other message has).
//
// What a hole can hold (HoleKind): so that a search knows which templates can contain a word at all.
//     number       -?(0|[1-9][0-9]*)                             padded       [0-9]{width}
//     decimal      number, ".", [0-9]{width}                     time         as its format says (time_pattern.h)
//     hex_lower    [0-9a-f]{width}; width 0: no leading zero      hex_upper    the same with [0-9A-F]
//     uuid_high    the first 19 bytes of a uuid with lower case   uuid_low     the other 17
//     mac          six pairs [0-9a-f] with colons                word         anything: an entry of the dictionary, or other text
//     A word of the text next to a hole may go on inside it ("sensor_" and a hole); elsewhere it is whole.
//
// Searching a word (templates_of_column() and its neighbours are for this)
//     1. In a template's text, where no hole touches it: all of the template's messages have it. One scan of template numbers.
//     2. In a hole: the type says whether it can be there at all ("failed" cannot be in a number); the dictionary's words are
//        looked through once a segment; other words are in the granule.
//     3. Across a hole's edge, when text that touches the hole begins or ends the word ("sensor_" and "0042"): messages of such
//        templates are rebuilt and looked at, after the same test of types. So are messages of template 0.
//
// Model, after the codec number (varints as in byte_writer.h; lists are encode_integer_list())
//     template_count   varint
//     column_count     varint
//     word_count       varint
//     texts            text block (text_block.h) of template_count texts: templates 1, 2, ...; frequent ones first
//     followers        list, one a template from 0 on: which template most often comes next
//     holes            list, one a hole in the order of the texts: its column minus the column of the hole before it in the same
//                      template, or minus 0
//     kinds, widths    list each, one a column: HoleKind, and its width or format
//     sources          list, one a column: 0, no guess; otherwise 1 + (column - source)
//     contexts         list, one a column: 0, no context; otherwise column - context
//     words            text block of word_count texts: the dictionary, words 1, 2, ...
//
// Granule: a text stream (texts.h), or this, after the codec number
//     order            u8       template_numbers.h
//     content_bytes    varint   of all messages together
//     sizes_bytes, numbers_bytes, words_bytes, escapes_bytes, small_bytes     varint each: bytes of the next parts
//     sizes            list: bytes of each column stream that follows
//     numbers          template numbers (template_numbers.h), one a message
//     words            what the dictionary lacks: list of how many each word column has, and a text block of them by column
//     escapes          text block of the messages of template 0
//     head_checksum    u32      low half of XXH3-64 of all before, the codec number included: what a search mostly needs can be
//                      read alone
//     small            varint 0 or frame bytes, then the values of columns with fewer than kColumnValuesMin values here, as
//                      signed varint differences from the value before in the column; columns in ascending order
//     columns          an integer stream for each other column that has values here, in ascending order
//     A word column holds numbers of words, 0 for one that the dictionary lacks. A column with a source holds differences from
//     guesses (column_guess.h).
//     So one message is rebuilt from the numbers and the columns of its template's holes, without those of others.
//
// Invariants:
//   1. decode(encode(x)) == x, byte for byte, whatever the bytes.
//   2. A granule takes at most a third of its messages' bytes, or what encode_texts() takes for them. Templates and words are
//      in a model only if they are used twice.
//   3. A template's text and its words are at most kParsedBytesMax; so n messages from templates take n * kParsedBytesMax of
//      memory at most, and other messages what their frame can hold.
//   4. A source or context has a lower number than its column, or is the column itself; chains are at most kGuessDepthMax long.
//
// source   Rodrigues et al., "CLP: Efficient and Scalable Search on Compressed Text Logs", OSDI 2021 (templates, variables,
//          dictionaries); He et al., "Drain", ICWS 2017 (merging templates that differ in few words)
#pragma once

#include "codec/late_bytes.h"
#include "codec/texts.h"

namespace historian::codec {

/// Messages that one model is built of at most; equal to the rows of a segment.
inline constexpr std::uint32_t kModelMessagesMax = 1u << 20;

/// Longer messages are not cut: a machine's line is shorter, and what a decoder makes of a few bytes has a bound.
inline constexpr std::uint32_t kParsedBytesMax = 16 * 1024;

/// A longer message's rest is one value: the columns of more holes would not pay.
inline constexpr std::uint32_t kHolesMax = 60;

/// Columns with fewer values in a granule share one stream: a stream has 6 to 10 bytes of its own.
inline constexpr std::uint32_t kColumnValuesMin = 12;

/// Columns that must be decoded before one is: bounds the time of a single message.
inline constexpr std::uint32_t kGuessDepthMax = 8;

/// Stored on disk: never renumber.
enum class HoleKind : std::uint8_t {
    reserved = 0,
    number = 1,
    padded = 2,
    decimal = 3,
    hex_lower = 4,
    hex_upper = 5,
    time = 6,
    word = 7,
    uuid_high = 8,
    uuid_low = 9,
    mac = 10,
};

/// width   padded: 1 to 18 digits; decimal: 1 to 18 digits after the point; hex: 0 to 16; time: the format; others 0
struct HoleType {
    HoleKind kind = HoleKind::reserved;
    std::uint16_t width = 0;
    bool operator==(const HoleType &) const = default;
};

// ---------------------------------------------------------------------------------------------------------------- writing

/// Collects messages and learns their templates. Opaque; lives in its arena; no destructor.
struct TemplateBuilder;

/// errors   out_of_memory
Status create_template_builder(Arena &arena, TemplateBuilder **builder) noexcept;

/// message   its bytes must live as long as the builder
/// errors    out_of_memory: the builder cannot be used any more; too_large: the builder has kModelMessagesMax messages, or
///           the message has more than kTextBytesMax bytes; it is not added then
Status add_message(TemplateBuilder &builder, Text message) noexcept;

/// Bytes of memory that the messages added so far hold, without their own.
std::uint64_t template_builder_bytes(const TemplateBuilder &builder) noexcept;

/// Once, after the last message and before anything is encoded.
///
/// errors   out_of_memory
Status choose_templates(TemplateBuilder &builder, EncodeSpace &space) noexcept;

std::size_t template_model_bytes_max(const TemplateBuilder &builder) noexcept;

/// errors   no_room, out_of_memory
Status encode_template_model(const TemplateBuilder &builder, EncodeSpace &space, ByteWriter &out) noexcept;

/// messages   1 to kStreamValuesMax, by their place in the order of add_message(), in any order
std::size_t template_granule_bytes_max(const TemplateBuilder &builder, std::span<const std::uint32_t> messages) noexcept;

/// errors   no_room, out_of_memory
Status encode_template_granule(TemplateBuilder &builder, std::span<const std::uint32_t> messages, EncodeSpace &space,
                               ByteWriter &out) noexcept;

// ---------------------------------------------------------------------------------------------------------------- reading

/// A parsed model. Opaque; lives in the arena given to parse_template_model(); no destructor.
struct TemplateModel;

/// bytes    exactly one model; must live as long as it
/// errors   truncated, corrupt, unsupported, out_of_memory
Status parse_template_model(std::span<const std::byte> bytes, Arena &arena, TemplateModel **model) noexcept;

std::uint32_t template_count(const TemplateModel &model) noexcept;
std::uint32_t column_count(const TemplateModel &model) noexcept;
std::uint32_t word_count(const TemplateModel &model) noexcept;

/// The text with a byte 1 for each hole. number: 1 to template_count()
std::span<const std::byte> template_text(const TemplateModel &model, std::uint32_t number) noexcept;
/// The column of each hole, in the text's order.
std::span<const std::uint32_t> template_columns(const TemplateModel &model, std::uint32_t number) noexcept;
/// The templates that have a hole of this column, ascending. column < column_count()
std::span<const std::uint32_t> templates_of_column(const TemplateModel &model, std::uint32_t column) noexcept;
HoleType hole_type(const TemplateModel &model, std::uint32_t column) noexcept;
/// number: 1 to word_count()
std::span<const std::byte> word_text(const TemplateModel &model, std::uint32_t number) noexcept;

/// A granule whose parts have been found and whose template numbers are decoded; its columns follow when they are asked for.
/// Opaque; lives in the arena given to open_template_granule(); no destructor.
struct TemplateGranule;

/// bytes       exactly one granule; must live as long as it
/// late        says which of them are there; the rest is loaded when more is asked for than the template numbers
/// row_count   1 to kStreamValuesMax
/// arena       also for everything that is decoded later
/// errors      truncated, corrupt, unsupported, out_of_memory
Status open_template_granule(const TemplateModel &model, std::span<const std::byte> bytes, std::uint32_t row_count, Arena &arena,
                             TemplateGranule **granule, const LateBytes &late = {}) noexcept;

/// Each row's template; 0: it has none. Of a granule that is a text stream all are 0.
std::span<const std::uint32_t> template_numbers(const TemplateGranule &granule) noexcept;

/// The values of one column, one for each row whose template has it, in the order of the rows; of a word column the words'
/// numbers. column < column_count()
Status decode_template_column(TemplateGranule &granule, std::uint32_t column, std::span<const std::int64_t> *values) noexcept;

/// The row of each of these values, ascending.
Status find_template_column_rows(TemplateGranule &granule, std::uint32_t column, std::span<const std::uint16_t> *rows) noexcept;

/// How many rows each template has here, by its number; empty of a granule that is a text stream.
std::span<const std::uint32_t> template_row_counts(const TemplateGranule &granule) noexcept;

/// Text i is data[offsets[i] .. offsets[i + 1]).
struct TextRange {
    const std::byte *data = nullptr;
    const std::uint64_t *offsets = nullptr;
    std::uint32_t count = 0;
    std::span<const std::byte> operator[](std::uint32_t i) const noexcept {
        return {data + offsets[i], static_cast<std::size_t>(offsets[i + 1] - offsets[i])};
    }
};

/// The words of a word column that the dictionary lacks: text i is that of the i-th value that is 0. (Of corrupt bytes there may
/// be fewer or more.)
Status decode_template_other_words(TemplateGranule &granule, std::uint32_t column, TextRange *words) noexcept;

/// The texts of the rows without a template, in their order. Not of a granule that is a text stream.
Status decode_template_escapes(TemplateGranule &granule, TextRange *texts) noexcept;

/// The text of some rows, entry i for rows[i].
///
/// rows    ascending, each < row_count, at least one
/// texts   output: memory of the arena
Status decode_template_rows(TemplateGranule &granule, std::span<const std::uint32_t> rows, DecodedTexts *texts) noexcept;

/// The text of all rows.
Status decode_template_granule(TemplateGranule &granule, DecodedTexts *texts) noexcept;

}  // namespace historian::codec
