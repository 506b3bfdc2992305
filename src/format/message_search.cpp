#include "format/message_search.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <new>

#include "format/chunk.h"
#include "format/hole_values.h"
#include "format/message_plan.h"
#include "format/segment_index.h"

namespace historian::format {

struct MessageSearch {
    MessageSearch(const search::Query &wanted, Arena &arena) noexcept : query(&wanted), space(arena) {}

    const codec::TemplateModel *model = nullptr;
    const search::Query *query;
    search::Matcher *matcher = nullptr;
    search::Tokenizer::Space space;
    MessagePlan plan;
};

namespace {

using search::NodeKind;

constexpr std::uint32_t kWordRows = 64;

Status no_search_memory() noexcept { return {StatusCode::out_of_memory, "no memory to search messages"}; }

struct Answer {
    RowBits certain;
    RowBits possible;
};

void fill(RowBits *rows, std::uint64_t word) noexcept { std::fill(std::begin(rows->words), std::end(rows->words), word); }

void intersect(RowBits *rows, const RowBits &others) noexcept {
    for (std::size_t i = 0; i < std::size(rows->words); ++i) rows->words[i] &= others.words[i];
}

void unite(RowBits *rows, const RowBits &others) noexcept {
    for (std::size_t i = 0; i < std::size(rows->words); ++i) rows->words[i] |= others.words[i];
}

void invert(RowBits *rows) noexcept {
    for (std::uint64_t &word : rows->words) word = ~word;
}

bool is_all(const RowBits &rows, std::uint64_t word) noexcept {
    return std::all_of(std::begin(rows.words), std::end(rows.words), [&](std::uint64_t other) { return other == word; });
}

/// The first `count` rows alone.
void cut_off(RowBits *rows, std::uint32_t count) noexcept {
    for (std::uint32_t i = 0; i < std::size(rows->words); ++i) {
        const std::uint32_t first = i * kWordRows;
        if (count >= first + kWordRows) continue;
        rows->words[i] &= count <= first ? 0 : (std::uint64_t{1} << (count - first)) - 1;
    }
}

Status match_text(MessageSearch &search, std::span<const std::byte> text, bool *matches) noexcept {
    search::Tokenizer words(characters_of(text), search.space);
    search.matcher->begin();
    search.matcher->read(words, SIZE_MAX);
    *matches = search.matcher->finish();
    return words.status();
}

/// Matches each text once; the rows that have it.
Status match_texts(MessageSearch &search, const codec::DecodedTexts &texts, std::uint32_t row_count, Arena &arena,
                   RowBits *matching) noexcept {
    // One more: the entry of rows that are all NULL.
    auto *matches = arena.array<std::uint8_t>(std::size_t{texts.entry_count} + 1);
    if (matches == nullptr) return no_search_memory();
    matches[texts.entry_count] = 0;
    for (std::uint32_t e = 0; e < texts.entry_count; ++e) {
        const std::span text{texts.data + texts.offsets[e], static_cast<std::size_t>(texts.offsets[e + 1] - texts.offsets[e])};
        bool is_match = false;
        if (const Status status = match_text(search, text, &is_match); !status.ok()) return status;
        matches[e] = is_match;
    }
    for (std::uint32_t row = 0; row < row_count; ++row) {
        if (matches[texts.entry_of_row[row]] != 0) matching->add(row);
    }
    return Status::success();
}

/// From the rows that are not NULL to all rows.
void spread(const std::uint8_t *nulls, std::uint32_t row_count, RowBits *rows) noexcept {
    if (nulls == nullptr) return;
    const RowBits values = *rows;
    *rows = {};
    std::uint32_t value = 0;
    for (std::uint32_t row = 0; row < row_count; ++row) {
        if (nulls[row] != 0) continue;
        if (values.has(value)) rows->add(row);
        ++value;
    }
}

/// Rows whose template's byte has a bit, for two bits at once.
void gather(std::span<const std::uint32_t> numbers, const std::uint8_t *bytes, RowBits *low, RowBits *high) noexcept {
    constexpr std::uint64_t kLowBits = 0x0101010101010101;
    constexpr std::uint64_t kPack = 0x0102040810204080;
    std::size_t row = 0;
    for (std::size_t word = 0; row < numbers.size(); ++word) {
        std::uint64_t low_bits = 0;
        std::uint64_t high_bits = 0;
        for (unsigned shift = 0; shift < kWordRows && row < numbers.size(); shift += 8) {
            std::uint8_t eight[8] = {};
            const std::size_t count = std::min<std::size_t>(8, numbers.size() - row);
            if (count == 8) {
                for (std::size_t i = 0; i < 8; ++i) eight[i] = bytes[numbers[row + i]];
            } else {
                for (std::size_t i = 0; i < count; ++i) eight[i] = bytes[numbers[row + i]];
            }
            std::uint64_t packed = 0;
            std::memcpy(&packed, eight, sizeof packed);
            low_bits |= ((packed & kLowBits) * kPack >> 56) << shift;
            high_bits |= ((packed >> 1 & kLowBits) * kPack >> 56) << shift;
            row += count;
        }
        low->words[word] |= low_bits;
        high->words[word] |= high_bits;
    }
}
static_assert(std::endian::native == std::endian::little, "the first of eight bytes becomes the lowest bit");

/// A granule whose rows are asked about; rows are those that are not NULL.
class GranuleSearch {
public:
    GranuleSearch(MessageSearch &search, codec::TemplateGranule &granule, Arena &arena) noexcept
        : search_(search),
          granule_(granule),
          arena_(arena),
          values_(*search.model, granule, arena),
          numbers_(codec::template_numbers(granule)),
          row_counts_(codec::template_row_counts(granule)) {}

    Status run(Answer *answer) noexcept {
        Status status = extend_plan(search_.plan, row_counts_);
        if (status.ok()) status = combine(answer);
        return status.ok() ? match_escapes(answer) : status;
    }

private:
    /// The query's nodes from the leaves up, in Kleene's logic.
    Status combine(Answer *answer) noexcept {
        const search::Query &query = *search_.query;
        *answer = {};
        if (query.nodes.empty()) return Status::success();
        auto *answers = arena_.array<Answer>(query.nodes.size());
        if (answers == nullptr) return no_search_memory();
        for (std::size_t i = 0; i < query.nodes.size(); ++i) {
            const std::uint64_t first = query.nodes[i].kind == NodeKind::conjunction ? ~std::uint64_t{0} : 0;
            fill(&answers[i].certain, first);
            fill(&answers[i].possible, first);
        }
        for (std::size_t i = 0; i < query.nodes.size(); ++i) {
            const search::QueryNode &node = query.nodes[i];
            Answer &parent = answers[node.parent];
            const NodeKind above = query.nodes[node.parent].kind;
            if (node.kind == NodeKind::phrase) {
                const bool is_settled =
                    node.parent != i && ((above == NodeKind::conjunction && is_all(parent.possible, 0)) ||
                                         (above == NodeKind::disjunction && is_all(parent.certain, ~std::uint64_t{0})));
                if (is_settled) continue;
                if (const Status status = find_phrase(search_.plan.phrases[node.count], &answers[i]); !status.ok()) return status;
            }
            if (node.parent == i) break;
            if (above == NodeKind::conjunction) {
                intersect(&parent.certain, answers[i].certain);
                intersect(&parent.possible, answers[i].possible);
            } else if (above == NodeKind::disjunction) {
                unite(&parent.certain, answers[i].certain);
                unite(&parent.possible, answers[i].possible);
            } else {
                parent = {answers[i].possible, answers[i].certain};
                invert(&parent.certain);
                invert(&parent.possible);
            }
        }
        *answer = answers[query.nodes.size() - 1];
        return Status::success();
    }

    Status find_phrase(const PhrasePlan &phrase, Answer *answer) noexcept {
        std::uint8_t seen = 0;
        for (std::size_t number = 1; number < row_counts_.size(); ++number) {
            seen |= row_counts_[number] != 0 ? phrase.verdicts[number] : 0;
        }
        if ((seen & kAlways) != 0) gather(numbers_, phrase.verdicts, &answer->certain, &answer->possible);
        if ((seen & kDepends) == 0) return Status::success();
        if (phrase.words.size() == 1) {
            RowBits found{};
            const Status status = find_word(*phrase.words[0], &found);
            unite(&answer->certain, found);
            unite(&answer->possible, found);
            return status;
        }
        return find_words(phrase, answer);
    }

    /// Rows of the templates that depend on holes for a phrase of several words.
    Status find_words(const PhrasePlan &phrase, Answer *answer) noexcept {
        auto *check_rows = arena_.array<RowBits **>(phrase.words.size());
        auto *reached = arena_.array<RowBits>(2 * phrase.places_max);
        if (check_rows == nullptr || reached == nullptr) return no_search_memory();
        for (std::size_t w = 0; w < phrase.words.size(); ++w) {
            check_rows[w] = arena_.array<RowBits *>(phrase.words[w]->checks.checks.size());
            if (check_rows[w] == nullptr) return no_search_memory();
            std::fill_n(check_rows[w], phrase.words[w]->checks.checks.size(), nullptr);
        }
        for (std::uint32_t number = 1; number < row_counts_.size(); ++number) {
            if (phrase.verdicts[number] != kDepends || row_counts_[number] == 0) continue;
            if (const Status status = find_words_in(phrase, number, check_rows, reached, answer); !status.ok()) return status;
        }
        return Status::success();
    }

    /// Goes from word to word: which rows have the words so far, the last of them at this place?
    ///
    /// check_rows   the rows of each check of each word, nullptr where it was not needed yet
    /// reached      room for the rows of all places of two words
    Status find_words_in(const PhrasePlan &phrase, std::uint32_t number, RowBits ***check_rows, RowBits *reached,
                         Answer *answer) noexcept {
        const std::span<const MessageUnit> units = search_.plan.units->of(number);
        RowBits *before = reached;
        RowBits *now = reached + phrase.places_max;
        for (std::size_t w = 0; w < phrase.words.size(); ++w) {
            WordPlan &word = *phrase.words[w];
            const std::span<const WordPlace> places = word.places_in(number);
            bool any = false;
            for (std::size_t p = 0; p < places.size(); ++p) {
                fill(&now[p], w == 0 ? ~std::uint64_t{0} : 0);
                const std::span<const WordPlace> places_before =
                    w == 0 ? std::span<const WordPlace>{} : phrase.words[w - 1]->places_in(number);
                for (std::size_t b = 0; b < places_before.size(); ++b) {
                    if (can_follow(units, places_before[b].unit, places[p].unit)) unite(&now[p], before[b]);
                }
                if (is_all(now[p], 0)) continue;
                if (const Status status = keep_holding(word, places[p], check_rows[w], &now[p]); !status.ok()) return status;
                any |= !is_all(now[p], 0);
            }
            if (!any) return Status::success();
            std::swap(before, now);
        }
        for (std::size_t p = 0; p < phrase.words.back()->places_in(number).size(); ++p)
            add_rows(before[p], number, &answer->possible);
        return Status::success();
    }

    /// Of some rows those where one of a place's checks holds.
    Status keep_holding(WordPlan &word, const WordPlace &place, RowBits **check_rows, RowBits *rows) noexcept {
        if (place.check_count == 0) return Status::success();
        RowBits holding{};
        for (const std::uint32_t check : word.checks.added.items().subspan(place.check_begin, place.check_count)) {
            if (check_rows[check] == nullptr) {
                check_rows[check] = arena_.array<RowBits>(1);
                if (check_rows[check] == nullptr) return no_search_memory();
                *check_rows[check] = {};
                if (const Status status = values_.find(word, word.checks.checks[check], check_rows[check]); !status.ok())
                    return status;
            }
            unite(&holding, *check_rows[check]);
        }
        intersect(rows, holding);
        return Status::success();
    }

    /// The rows of one template.
    void add_rows(const RowBits &rows, std::uint32_t number, RowBits *found) const noexcept {
        for (std::uint32_t i = 0; i < std::size(rows.words); ++i) {
            for (std::uint64_t word = rows.words[i]; word != 0; word &= word - 1) {
                const std::uint32_t row = i * kWordRows + static_cast<std::uint32_t>(std::countr_zero(word));
                if (row < numbers_.size() && numbers_[row] == number) found->add(row);
            }
        }
    }

    Status find_word(WordPlan &word, RowBits *found) noexcept {
        for (const HoleCheck &check : word.checks.checks.items()) {
            bool is_here = false;
            for (std::uint32_t use = check.first_use; use != UINT32_MAX && !is_here; use = word.checks.uses[use].next) {
                is_here = row_counts_[word.checks.uses[use].template_number] != 0;
            }
            if (!is_here) continue;
            if (const Status status = values_.find(word, check, found); !status.ok()) return status;
        }
        return Status::success();
    }

    /// Rows without a template are few, and their texts are there.
    Status match_escapes(Answer *answer) noexcept {
        if (row_counts_[0] == 0) return Status::success();
        codec::TextRange texts;
        if (const Status status = codec::decode_template_escapes(granule_, &texts); !status.ok()) return status;
        std::uint32_t next = 0;
        for (std::uint32_t row = 0; row < numbers_.size(); ++row) {
            if (numbers_[row] != 0) continue;
            bool is_match = false;
            if (const Status status = match_text(search_, texts[next++], &is_match); !status.ok()) return status;
            set(&answer->certain, row, is_match);
            set(&answer->possible, row, is_match);
        }
        return Status::success();
    }

    static void set(RowBits *rows, std::uint32_t row, bool value) noexcept {
        std::uint64_t &word = rows->words[row / kWordRows];
        word = (word & ~(std::uint64_t{1} << (row % kWordRows))) | std::uint64_t{value} << (row % kWordRows);
    }

    MessageSearch &search_;
    codec::TemplateGranule &granule_;
    Arena &arena_;
    HoleValues values_;
    std::span<const std::uint32_t> numbers_;
    std::span<const std::uint32_t> row_counts_;
};

Status search_messages(MessageSearch &search, const OpenMessages &messages, Arena &arena, Answer *answer) noexcept {
    if (messages.granule == nullptr) return Status::success();
    const bool has_templates = !codec::template_row_counts(*messages.granule).empty();
    if (has_templates && search.plan.planner != nullptr) {
        const Status status = GranuleSearch(search, *messages.granule, arena).run(answer);
        cut_off(&answer->certain, messages.value_count);
        cut_off(&answer->possible, messages.value_count);
        return status;
    }
    codec::DecodedTexts texts;
    Status status = codec::decode_template_granule(*messages.granule, &texts);
    if (status.ok()) status = match_texts(search, texts, messages.value_count, arena, &answer->certain);
    answer->possible = answer->certain;
    return status;
}

/// A column without a model.
Status search_texts(MessageSearch &search, const ColumnVector &column, Arena &arena, Answer *answer) noexcept {
    if (column.kind == PhysicalKind::absent) return Status::success();
    if (is_number(column.kind)) return {StatusCode::unsupported, "a column of numbers has no words"};
    const codec::DecodedTexts texts{column.entry_data, column.entry_offsets, column.entry_of_row, column.entry_count};
    const Status status = match_texts(search, texts, column.row_count, arena, &answer->certain);
    for (std::uint32_t row = 0; column.nulls != nullptr && row < column.row_count; ++row) {
        if (column.nulls[row] != 0) answer->certain.words[row / kWordRows] &= ~(std::uint64_t{1} << (row % kWordRows));
    }
    answer->possible = answer->certain;
    return status;
}

}  // namespace

Status prepare_message_search(const codec::TemplateModel *model, const search::Query &query, Arena &arena, MessageSearch **search,
                              MessageUnits *units) noexcept {
    void *memory = arena.allocate(sizeof(MessageSearch));
    if (memory == nullptr) return no_search_memory();
    MessageSearch &prepared = *new (memory) MessageSearch(query, arena);
    *search = &prepared;
    prepared.model = model;
    if (const Status status = search::Matcher::create(query, arena, &prepared.matcher); !status.ok() || model == nullptr)
        return status;
    if (units == nullptr) {
        if (const Status status = MessageUnits::create(*model, arena, &units); !status.ok()) return status;
    }
    return begin_plan(*model, *units, query, arena, &prepared.plan);
}

Status search_chunk(MessageSearch &search, const SegmentIndex &index, std::uint32_t granule, std::uint32_t column,
                    OpenChunk &chunk, Arena &arena, RowBits *certain, RowBits *possible) noexcept {
    assert(granule < index.header.granule_count && column < index.header.column_count);
    const std::uint32_t row_count = index.granules[granule].row_count;
    const bool is_messages =
        search.model != nullptr && column != index.header.tag_column && index.types[column].kind == PhysicalKind::bytes;
    Answer answer{};
    const std::uint8_t *nulls = nullptr;
    Status status;
    if (is_messages) {
        assert(chunk.model == search.model);
        status = open_messages(row_count, chunk, arena);
        if (status.ok()) {
            nulls = chunk.messages->nulls;
            status = search_messages(search, *chunk.messages, arena, &answer);
        }
    } else {
        ColumnVector decoded;
        status = decode_chunk(index, granule, column, chunk, arena, &decoded);
        if (status.ok()) status = search_texts(search, decoded, arena, &answer);
    }
    *certain = answer.certain;
    *possible = answer.possible;
    spread(nulls, row_count, certain);
    spread(nulls, row_count, possible);
    return status;
}

}  // namespace historian::format
