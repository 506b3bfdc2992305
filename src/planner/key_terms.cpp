#include "planner/key_terms.h"

#include "engine/report.h"
#include "engine/segment_shape.h"
#include "format/segment_keys.h"
#include "planner/array_elements.h"
#include "planner/literal_words.h"
#include "search/query.h"

extern "C" {
#include "catalog/pg_operator.h"
#include "utils/typcache.h"

Datum historian_search_matches(PG_FUNCTION_ARGS);
}

namespace historian::planner {

using codec::KeyKind;
using engine::KeyOperation;
using engine::KeyStep;

namespace {

bool is_text(Oid type) { return type == TEXTOID || type == VARCHAROID; }
bool is_integer(Oid type) { return type == INT2OID || type == INT4OID || type == INT8OID; }

// What a type's operators take.
Oid operator_type(Oid type) { return type == CIDROID ? INETOID : type_is_enum(type) ? ANYENUMOID : type; }

bool is_search_operator(Oid op) {
    const Oid procedure = get_opcode(op);
    if (!OidIsValid(procedure) || procedure < FirstNormalObjectId) return false;
    FmgrInfo function;
    fmgr_info(procedure, &function);
    return function.fn_addr == historian_search_matches;
}

// Operators of patterns. (bpchar's and name's have other numbers.)
bool classify_pattern(Oid op, Comparison *comparison) {
    switch (op) {
        case OID_TEXT_LIKE_OP: *comparison = Comparison::like; return true;
        case OID_TEXT_ICLIKE_OP: *comparison = Comparison::like_any_case; return true;
        case OID_TEXT_REGEXEQ_OP: *comparison = Comparison::matches; return true;
        case OID_TEXT_ICREGEXEQ_OP: *comparison = Comparison::matches_any_case; return true;
        default: return false;
    }
}

bool classify_text(Oid op, Oid collation, bool is_array, Comparison *comparison) {
    if (!is_array && is_search_operator(op)) {
        *comparison = Comparison::search;
        return true;
    }
    if (!is_array && classify_pattern(op, comparison)) return true;
    // Under a nondeterministic collation equal texts may have other words.
    if (op != TextEqualOperator || !OidIsValid(collation) || !get_collation_isdeterministic(collation)) return false;
    *comparison = is_array ? Comparison::text_any : Comparison::text_equal;
    return true;
}

bool has_range_only(Oid type) {
    return type == BOOLOID || type == CHAROID || type == DATEOID || type == TIMEOID || type == TIMESTAMPOID ||
           type == TIMESTAMPTZOID;
}

// ------------------------------------------------------------------------------------------------------------------- steps

void append_step(const KeyStep &step, StepList *list) {
    if (list->count == list->room) {
        list->room = Max(8, list->room * 2);
        const Size bytes = sizeof(KeyStep) * list->room;
        list->steps = static_cast<KeyStep *>(list->steps == nullptr ? palloc_extended(bytes, MCXT_ALLOC_HUGE)
                                                                    : repalloc_huge(list->steps, bytes));
    }
    list->steps[list->count++] = step;
}

void append_operation(KeyOperation operation, uint32 count, StepList *list) {
    if (count == 1) return;
    KeyStep step = {};
    step.operation = operation;
    step.count = count;
    append_step(step, list);
}

void append_any(StepList *list) {
    KeyStep step = {};
    step.operation = KeyOperation::any;
    append_step(step, list);
}

void append_word(uint64 token_hash, uint32 column, StepList *list) {
    KeyStep step = {};
    step.operation = KeyOperation::key;
    step.kind = KeyKind::word;
    step.column = column;
    step.hash = format::word_key(token_hash, column);
    append_step(step, list);
}

// More words than these say little more.
constexpr uint32 kWordsMax = 32;

// All words of an exact text.
void append_words(std::string_view characters, uint32 column, StepList *list) {
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian words", ALLOCSET_DEFAULT_SIZES);
    Arena arena = engine::arena_in(context);
    search::Tokenizer::Space space(arena);
    search::Tokenizer words(characters, space);
    uint32 count = 0;
    for (search::Word word; count < kWordsMax && words.next(&word);) {
        if (word.token().empty()) continue;
        append_word(search::hash_token(word.token()), column, list);
        count++;
    }
    engine::check_status(words.status(), "look for words");
    MemoryContextDelete(context);
    append_operation(KeyOperation::conjunction, count, list);
}

void append_literal_words(std::string_view pattern, PatternKind kind, uint32 column, StepList *list) {
    uint32 count = 0;
    for_each_literal_word(pattern, kind, [&](std::string_view word) {
        if (count == kWordsMax) return;
        append_word(search::hash_token(word), column, list);
        count++;
    });
    append_operation(KeyOperation::conjunction, count, list);
}

// The query's nodes stand behind their operands, as the steps do.
void append_query(std::string_view text, uint32 column, StepList *list) {
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian query", ALLOCSET_DEFAULT_SIZES);
    Arena arena = engine::arena_in(context);
    search::Query query;
    // What cannot be parsed did not become a search_query.
    if (parse_query(text, arena, &query).fault != search::QueryFault::none) elog(ERROR, "could not parse a search_query");
    for (const search::QueryNode &node : query.nodes) {
        KeyStep not_one = {};
        switch (node.kind) {
            case search::NodeKind::phrase: {
                const search::Phrase &phrase = query.phrases[node.count];
                for (const uint64 hash : query.token_hashes.subspan(phrase.token_begin, phrase.token_count))
                    append_word(hash, column, list);
                append_operation(KeyOperation::conjunction, phrase.token_count, list);
                break;
            }
            case search::NodeKind::conjunction: append_operation(KeyOperation::conjunction, node.count, list); break;
            case search::NodeKind::disjunction: append_operation(KeyOperation::disjunction, node.count, list); break;
            case search::NodeKind::negation:
                // Whatever its operand is: it is joined with everything.
                not_one.operation = KeyOperation::any;
                append_step(not_one, list);
                append_operation(KeyOperation::disjunction, 2, list);
                break;
        }
    }
    if (query.nodes.empty()) append_operation(KeyOperation::disjunction, 0, list);
    MemoryContextDelete(context);
}

// ------------------------------------------------------------------------------------------------------------------ values

int64 sign_extended(Datum value, int16 length) {
    switch (length) {
        case 1: return static_cast<int8>(value);
        case 2: return static_cast<int16>(value);
        case 4: return static_cast<int32>(value);
        default: return static_cast<int64>(value);
    }
}

int64 integer_of(Datum value, Oid type) {
    return type == INT2OID ? DatumGetInt16(value) : type == INT4OID ? DatumGetInt32(value) : DatumGetInt64(value);
}

// A value that the operator takes, as the column stores it.
void append_value(const Condition &condition, Datum value, StepList *list) {
    KeyStep step = {};
    step.operation = KeyOperation::key;
    step.kind = engine::may_index_values(condition.column_type) ? KeyKind::value : KeyKind::reserved;
    step.column = static_cast<uint32>(condition.column - 1);
    int16 length;
    bool by_value;
    get_typlenbyval(condition.column_type, &length, &by_value);
    if (by_value) {
        step.has_number = true;
        step.number = is_integer(condition.column_type) ? integer_of(value, condition.value_type) : sign_extended(value, length);
        if (step.number != sign_extended(static_cast<Datum>(step.number), length)) {
            append_operation(KeyOperation::disjunction, 0, list);  // the column cannot hold it
            return;
        }
        step.hash = format::number_key(step.number, step.column);
    } else if (length > 0) {
        step.hash = format::bytes_key({reinterpret_cast<const std::byte *>(DatumGetPointer(value)), static_cast<size_t>(length)},
                                      step.column);
    } else {
        const varlena *flat = PG_DETOAST_DATUM_PACKED(value);
        step.hash =
            format::bytes_key({reinterpret_cast<const std::byte *>(VARDATA_ANY(flat)), VARSIZE_ANY_EXHDR(flat)}, step.column);
    }
    append_step(step, list);
}

std::string_view text_of(Datum value) {
    const varlena *flat = PG_DETOAST_DATUM_PACKED(value);
    return {VARDATA_ANY(flat), static_cast<size_t>(VARSIZE_ANY_EXHDR(flat))};
}

// One set for all elements of an array that are not NULL.
template <typename Append>
void append_elements(Datum value, StepList *list, Append append) {
    uint32 sets = 0;
    for_each_element(value, [&](Datum element) {
        append(element);
        sets++;
    });
    append_operation(KeyOperation::disjunction, sets, list);
}

}  // namespace

bool classify_key_comparison(const Condition &condition, Oid op, Oid collation, bool is_array, Comparison *comparison) {
    const Oid type = condition.column_type;
    if (is_text(type)) return GetDatabaseEncoding() == PG_UTF8 && classify_text(op, collation, is_array, comparison);
    if (!engine::may_index_values(type) && !has_range_only(type)) return false;
    const TypeCacheEntry *about = lookup_type_cache(operator_type(type), TYPECACHE_BTREE_OPFAMILY);
    if (!OidIsValid(about->btree_opf) || !op_in_opfamily(op, about->btree_opf)) return false;
    int strategy;
    Oid left_type;
    Oid right_type;
    get_op_opfamily_properties(op, about->btree_opf, false, &strategy, &left_type, &right_type);
    const Oid wanted = operator_type(type);
    if (strategy != BTEqualStrategyNumber || left_type != wanted) return false;
    if (right_type != wanted && !(is_integer(wanted) && is_integer(right_type))) return false;
    *comparison = is_array ? Comparison::value_any : Comparison::value_equal;
    return true;
}

bool says_something(const Condition &condition) {
    if (!IsA(condition.value, Const) || condition.comparison == Comparison::text_any ||
        condition.comparison == Comparison::value_any)
        return true;
    const Const *constant = reinterpret_cast<const Const *>(condition.value);
    StepList list = {};
    append_key_steps(condition, {true, constant->constisnull, constant->constvalue}, &list);
    if (list.count != 1) return true;
    const KeyStep &step = list.steps[0];
    return step.operation != KeyOperation::any && !(step.operation == KeyOperation::conjunction && step.count == 0);
}

const search::Query *parse_search(Datum value) {
    const std::string_view characters = text_of(PointerGetDatum(PG_DETOAST_DATUM_COPY(value)));
    Arena arena = engine::arena_in(CurrentMemoryContext);
    search::Query *query = static_cast<search::Query *>(palloc(sizeof(search::Query)));
    *query = search::Query{};
    if (parse_query(characters, arena, query).fault != search::QueryFault::none) elog(ERROR, "could not parse a search_query");
    return query;
}

void append_disjunction(uint32 count, StepList *list) { append_operation(KeyOperation::disjunction, count, list); }

void append_key_steps(const Condition &condition, const ConditionValue &value, StepList *list) {
    const uint32 column = static_cast<uint32>(condition.column - 1);
    if (value.is_null) return append_operation(KeyOperation::disjunction, 0, list);
    switch (condition.comparison) {
        case Comparison::search: return append_query(text_of(value.value), column, list);
        case Comparison::text_equal: return append_words(text_of(value.value), column, list);
        case Comparison::text_any:
            return append_elements(value.value, list, [&](Datum element) { append_words(text_of(element), column, list); });
        case Comparison::value_equal: return append_value(condition, value.value, list);
        case Comparison::value_any:
            return append_elements(value.value, list, [&](Datum element) { append_value(condition, element, list); });
        case Comparison::like: return append_literal_words(text_of(value.value), PatternKind::like, column, list);
        case Comparison::like_any_case:
            return append_literal_words(text_of(value.value), PatternKind::like_any_case, column, list);
        case Comparison::matches: return append_literal_words(text_of(value.value), PatternKind::regex, column, list);
        case Comparison::matches_any_case:
            return append_literal_words(text_of(value.value), PatternKind::regex_any_case, column, list);
        default: return append_any(list);
    }
}

}  // namespace historian::planner
