// Two games. Any bytes as a query, a model and a granule: no crash, and certain rows are possible ones. And any bytes as a query
// and messages: what is said of their granule is what the matcher says of each.
#include <string>

#include "codec/templates.h"
#include "format/chunk.h"
#include "format/message_search.h"
#include "format/segment_index.h"
#include "fuzz_input.h"
#include "search/match.h"

using namespace historian;
using namespace historian::fuzz;
using namespace historian::format;

namespace {

constexpr std::uint32_t kChecksumBytes = 4;  // not compared in fuzz builds

struct OneColumn {
    explicit OneColumn(std::uint32_t row_count) {
        granule.row_count = row_count;
        index.header.granule_count = index.header.column_count = 1;
        index.header.tag_column = format::kNoColumn;
        index.types = &type;
        index.granules = &granule;
    }
    ColumnType type{PhysicalKind::bytes};
    Granule granule;
    SegmentIndex index;
};

std::string take(FuzzInput &input, std::size_t size) {
    std::string bytes;
    for (std::size_t i = 0; i < size && !input.empty(); ++i) bytes += static_cast<char>(input.u8());
    return bytes;
}

std::span<const std::byte> bytes_of(const std::string &text) {
    return {reinterpret_cast<const std::byte *>(text.data()), text.size()};
}

void search_any_bytes(FuzzInput &input, const search::Query &query) {
    const std::uint32_t row_count = 1 + input.u16() % kGranuleRowsMax;
    const ExactBytes model_bytes{bytes_of(take(input, input.u16()))};
    const ExactBytes chunk{input.rest()};
    TestArena arena(kArenaBytes);
    codec::TemplateModel *model = nullptr;
    if (!codec::parse_template_model(model_bytes.span(), arena, &model).ok()) model = nullptr;
    MessageSearch *search = nullptr;
    MessageUnits *units = nullptr;
    if (model != nullptr && !MessageUnits::create(*model, arena, &units).ok()) return;
    if (!prepare_message_search(model, query, arena, &search, units).ok()) return;
    const OneColumn column(row_count);
    for (int round = 0; round < 2; ++round) {
        if (round == 1 && units != nullptr && !units->make_runs().ok()) return;
        TestArena call_arena(kArenaBytes);
        RowBits certain;
        RowBits possible;
        OpenChunk opened{chunk.span(), model};
        if (!search_chunk(*search, column.index, 0, 0, opened, call_arena, &certain, &possible).ok()) return;
        for (std::uint32_t row = 0; row < kGranuleRowsMax; ++row) {
            check(possible.has(row) || !certain.has(row), "a certain row is possible");
            check(row < row_count || !possible.has(row), "a possible row is a row");
        }
        std::vector<std::uint32_t> rows;
        for (std::uint32_t row = round; row < row_count; row += 9) rows.push_back(row);
        ColumnVector decoded;
        if (rows.empty() || !decode_chunk_rows(column.index, 0, 0, opened, rows, call_arena, &decoded).ok()) continue;
        for (std::uint32_t row = rows.front(); row <= rows.back(); ++row) {
            if (decoded.nulls != nullptr && decoded.nulls[row] != 0) continue;
            const std::uint32_t entry = decoded.entry_of_row[row - decoded.row_first];
            check(entry < decoded.entry_count, "an entry is one of the entries");
            const std::uint64_t end = decoded.entry_offsets[entry + 1];
            if (end != 0) check(static_cast<int>(decoded.entry_data[end - 1]) >= 0, "an entry can be read");
        }
    }
}

/// Lines, each repeated with other digits, so that templates are found.
std::vector<std::string> make_messages(FuzzInput &input) {
    std::vector<std::string> messages;
    const std::string content = take(input, input.left());
    const std::size_t repeats = 1 + content.size() % 5;
    for (std::size_t at = 0; at < content.size() && messages.size() < 2000;) {
        const std::size_t stop = std::min(content.find('\n', at), content.size());
        std::string line = content.substr(at, stop - at);
        for (std::size_t i = 0; i < repeats; ++i) {
            messages.push_back(line);
            for (char &letter : line) letter = static_cast<char>(letter >= '0' && letter <= '8' ? letter + 1 : letter);
        }
        at = stop + 1;
    }
    return messages;
}

void search_messages(FuzzInput &input, const search::Query &query) {
    const std::vector<std::string> messages = make_messages(input);
    if (messages.empty()) return;
    TestArena arena;
    codec::EncodeSpace space;
    codec::TemplateBuilder *builder = nullptr;
    check(codec::make_encode_space(arena, &space).ok() && codec::create_template_builder(arena, &builder).ok(),
          "memory suffices");
    std::vector<std::uint32_t> places;
    for (const std::string &message : messages) {
        places.push_back(static_cast<std::uint32_t>(places.size()));
        check(codec::add_message(*builder, {bytes_of(message).data(), static_cast<std::uint32_t>(message.size())}).ok(), "room");
    }
    check(codec::choose_templates(*builder, space).ok(), "memory suffices");
    std::vector<std::byte> model_room(codec::template_model_bytes_max(*builder));
    codec::ByteWriter model_bytes{model_room};
    check(codec::encode_template_model(*builder, space, model_bytes).ok(), "room");
    std::vector<std::byte> room(codec::template_granule_bytes_max(*builder, places) + kChecksumBytes);
    codec::ByteWriter chunk{room};
    check(codec::encode_template_granule(*builder, places, space, chunk).ok(), "room");
    chunk.u32(static_cast<std::uint32_t>(codec::hash_bytes(chunk.written())));

    codec::TemplateModel *model = nullptr;
    check(codec::parse_template_model(model_bytes.written(), arena, &model).ok(), "a model is read back");
    MessageUnits *units = nullptr;
    check(MessageUnits::create(*model, arena, &units).ok(), "memory suffices");
    search::Matcher *matcher = nullptr;
    check(search::Matcher::create(query, arena, &matcher).ok(), "memory suffices");
    search::Tokenizer::Space words_space(arena);
    const OneColumn column(static_cast<std::uint32_t>(messages.size()));
    // Without runs of the dictionary, and with them.
    RowBits certain[2];
    RowBits possible[2];
    for (int round = 0; round < 2; ++round) {
        if (round == 1) check(units->make_runs().ok(), "memory suffices");
        MessageSearch *search = nullptr;
        check(prepare_message_search(model, query, arena, &search, units).ok(), "memory suffices");
        OpenChunk opened{chunk.written(), model};
        const Status status = search_chunk(*search, column.index, 0, 0, opened, arena, &certain[round], &possible[round]);
        check(status.ok(), "a granule is searched");
    }
    for (std::uint32_t row = 0; row < messages.size(); ++row) {
        search::Tokenizer words(messages[row], words_space);
        matcher->begin();
        matcher->read(words, SIZE_MAX);
        const bool matches = matcher->finish();
        for (int round = 0; round < 2; ++round) {
            check(matches || !certain[round].has(row), "a certain row matches");
            check(!matches || possible[round].has(row), "a row that matches is possible");
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    FuzzInput input{data, size};
    const std::uint8_t game = input.u8();
    const std::string text = take(input, input.u8());
    TestArena arena(kArenaBytes);
    search::Query query;
    if (search::parse_query(text, arena, &query).fault != search::QueryFault::none) return 0;
    if (game % 2 == 0) {
        search_any_bytes(input, query);
    } else {
        search_messages(input, query);
    }
    return 0;
}
