// The type search_query, `text @@ search_query` and tokens(): src/search for SQL. What they mean is said in doc/search.md.
//
// A search_query is stored as its text, in the database's encoding, after a check that it can be parsed. Texts and queries of
// other encodings are converted to UTF-8 for the time of a call.
#include "engine/report.h"
#include "engine/segment_store.h"
#include "search/match.h"

extern "C" {
#include "libpq/pqformat.h"
#include "utils/array.h"

PG_FUNCTION_INFO_V1(historian_search_query_in);
PG_FUNCTION_INFO_V1(historian_search_query_recv);
PG_FUNCTION_INFO_V1(historian_search);
PG_FUNCTION_INFO_V1(historian_search_matches);
PG_FUNCTION_INFO_V1(historian_search_matches_commuted);
PG_FUNCTION_INFO_V1(historian_tokens);
}

namespace historian {

namespace {

using search::Matcher;
using search::Query;
using search::QueryError;
using search::QueryFault;
using search::Tokenizer;
using search::Word;

// Between looks at whether the statement is cancelled: about a millisecond.
constexpr std::size_t kWordsBetweenInterrupts = 16384;
// More room than this, made by a word of this length, is given back when its text has been read.
constexpr std::size_t kKeptRoomBytes = std::size_t{1} << 20;
// Of a query in an error message.
constexpr int kShownQueryBytes = 200;

std::string_view view_of(const text *value) { return {VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))}; }

bool is_ascii(std::string_view bytes) {
    unsigned char all = 0;
    for (const char byte : bytes) all |= static_cast<unsigned char>(byte);
    return all < 0x80;
}

// Whether texts are UTF-8 as they are. In a SQL_ASCII database nobody knows what they are: they are read as UTF-8, and what is
// not, byte by byte.
bool encoding_is_utf8() { return GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII; }

// The same bytes, or new ones in the current memory context.
std::string_view convert_to_utf8(std::string_view bytes) {
    if (encoding_is_utf8() || is_ascii(bytes)) return bytes;
    const char *converted = pg_server_to_any(bytes.data(), static_cast<int>(bytes.size()), PG_UTF8);
    return {converted, strlen(converted)};
}

std::string_view convert_from_utf8(std::string_view bytes) {
    if (encoding_is_utf8() || is_ascii(bytes)) return bytes;
    const char *converted = pg_any_to_server(bytes.data(), static_cast<int>(bytes.size()), PG_UTF8);
    return {converted, strlen(converted)};
}

void free_converted(std::string_view converted, std::string_view source) {
    if (converted.data() != source.data()) pfree(const_cast<char *>(converted.data()));
}

// In characters, from 1.
int position_of(std::string_view utf8, std::size_t offset) {
    int position = 1;
    for (const char byte : utf8.substr(0, offset)) position += (byte & 0xc0) != 0x80;
    return position;
}

// Raises an error for a query that cannot be parsed; returns otherwise.
void check_query(QueryError error, std::string_view utf8) {
    if (likely(error.fault == QueryFault::none)) return;
    if (error.fault == QueryFault::out_of_memory)
        engine::check_status({StatusCode::out_of_memory, "no memory for its words"}, "parse a search query");
    if (error.fault == QueryFault::too_long) {
        ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("search query is too long"),
                errdetail("It has %zu bytes, at most %zu are allowed.", utf8.size(), search::kQueryBytesMax),
                errhint("Look for the words in several queries."));
    }
    const std::string_view query = convert_from_utf8(utf8);
    const int bytes = static_cast<int>(query.size());
    const int shown = pg_mbcliplen(query.data(), bytes, kShownQueryBytes);
    const int position = position_of(utf8, error.offset);
    const char *hint = "Put text in double quotes to search for its words alone.";
    const char *detail = nullptr;
    switch (error.fault) {
        case QueryFault::open_quote:
            detail = psprintf("The quote at character %d is not closed.", position);
            hint =
                "Double quotes enclose words that must follow one another. A single one can be left out: only words are searched "
                "for.";
            break;
        case QueryFault::open_group: detail = psprintf("The parenthesis at character %d is not closed.", position); break;
        case QueryFault::unopened_group: detail = psprintf("The parenthesis at character %d closes nothing.", position); break;
        default:
            detail = psprintf("The operator at character %d has no term where it needs one.", position);
            hint =
                "Operators are AND, OR and NOT in upper case, | and a leading -. Put them in double quotes to search for words.";
    }
    ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR),
            errmsg("syntax error in search query \"%.*s%s\"", shown, query.data(), shown < bytes ? "..." : ""),
            errdetail("%s", detail), errhint("%s", hint));
}

// Parses for the sake of the errors.
void validate_query(std::string_view query) {
    const MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian search query", ALLOCSET_DEFAULT_SIZES);
    Arena arena = engine::arena_in(context);
    Query parsed;
    const std::string_view utf8 = convert_to_utf8(query);
    check_query(parse_query(utf8, arena, &parsed), utf8);
    MemoryContextDelete(context);
}

// A query ready to be matched: what fn_extra of `text @@ search_query` points to. It is compiled again when another query comes,
// from a parameter or a column.
struct CompiledQuery {
    MemoryContext context;  // of all that follows, and of its parts
    bool is_ready;
    std::string_view source;
    Arena arena;
    Query query;
    Matcher *matcher;
    Tokenizer::Space space;
};

void compile(CompiledQuery *compiled, std::string_view source) {
    compiled->is_ready = false;
    MemoryContextReset(compiled->context);
    char *copy = static_cast<char *>(MemoryContextAlloc(compiled->context, source.size() + 1));
    memcpy(copy, source.data(), source.size());
    compiled->source = {copy, source.size()};
    compiled->arena = engine::arena_in(compiled->context);
    const std::string_view utf8 = convert_to_utf8(compiled->source);
    check_query(parse_query(utf8, compiled->arena, &compiled->query), utf8);
    free_converted(utf8, compiled->source);
    engine::check_status(Matcher::create(compiled->query, compiled->arena, &compiled->matcher), "prepare a search");
    compiled->space = Tokenizer::Space(compiled->arena);
    compiled->is_ready = true;
}

CompiledQuery *compiled_query(FmgrInfo *function, std::string_view source) {
    auto *compiled = static_cast<CompiledQuery *>(function->fn_extra);
    if (compiled == nullptr) {
        compiled = static_cast<CompiledQuery *>(MemoryContextAllocZero(function->fn_mcxt, sizeof(CompiledQuery)));
        compiled->context = AllocSetContextCreate(function->fn_mcxt, "historian search", ALLOCSET_DEFAULT_SIZES);
        function->fn_extra = compiled;
    }
    if (!compiled->is_ready || compiled->source != source) compile(compiled, source);
    return compiled;
}

bool matches(FmgrInfo *function, std::string_view source, std::string_view query) {
    CompiledQuery *compiled = compiled_query(function, query);
    const std::string_view utf8 = convert_to_utf8(source);
    Tokenizer words(utf8, compiled->space);
    compiled->matcher->begin();
    while (compiled->matcher->read(words, kWordsBetweenInterrupts)) CHECK_FOR_INTERRUPTS();
    engine::check_status(words.status(), "search a text");
    const bool found = compiled->matcher->finish();
    if (compiled->space.room_bytes() > kKeptRoomBytes) compiled->is_ready = false;
    free_converted(utf8, source);
    return found;
}

}  // namespace

}  // namespace historian

// search_query: its input function, binary and as text; its output functions are those of text.
extern "C" PGDLLEXPORT Datum historian_search_query_in(PG_FUNCTION_ARGS) {
    const char *query = PG_GETARG_CSTRING(0);
    historian::validate_query({query, strlen(query)});
    PG_RETURN_TEXT_P(cstring_to_text(query));
}

extern "C" PGDLLEXPORT Datum historian_search_query_recv(PG_FUNCTION_ARGS) {
    const StringInfo message = reinterpret_cast<StringInfo>(PG_GETARG_POINTER(0));
    int bytes;
    const char *query = pq_getmsgtext(message, message->len - message->cursor, &bytes);
    historian::validate_query({query, static_cast<std::size_t>(bytes)});
    PG_RETURN_TEXT_P(cstring_to_text_with_len(query, bytes));
}

// search(text): the text as a search_query.
extern "C" PGDLLEXPORT Datum historian_search(PG_FUNCTION_ARGS) {
    text *query = PG_GETARG_TEXT_PP(0);
    historian::validate_query(historian::view_of(query));
    PG_RETURN_TEXT_P(query);
}

// text @@ search_query
extern "C" PGDLLEXPORT Datum historian_search_matches(PG_FUNCTION_ARGS) {
    text *source = PG_GETARG_TEXT_PP(0);
    text *query = PG_GETARG_TEXT_PP(1);
    const bool found = historian::matches(fcinfo->flinfo, historian::view_of(source), historian::view_of(query));
    PG_FREE_IF_COPY(source, 0);
    PG_FREE_IF_COPY(query, 1);
    PG_RETURN_BOOL(found);
}

// search_query @@ text
extern "C" PGDLLEXPORT Datum historian_search_matches_commuted(PG_FUNCTION_ARGS) {
    text *query = PG_GETARG_TEXT_PP(0);
    text *source = PG_GETARG_TEXT_PP(1);
    const bool found = historian::matches(fcinfo->flinfo, historian::view_of(source), historian::view_of(query));
    PG_FREE_IF_COPY(query, 0);
    PG_FREE_IF_COPY(source, 1);
    PG_RETURN_BOOL(found);
}

// tokens(text): how a text is cut.
extern "C" PGDLLEXPORT Datum historian_tokens(PG_FUNCTION_ARGS) {
    using namespace historian;
    text *source = PG_GETARG_TEXT_PP(0);
    const std::string_view utf8 = convert_to_utf8(view_of(source));
    const MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian tokens", ALLOCSET_DEFAULT_SIZES);
    Arena arena = engine::arena_in(context);
    Tokenizer::Space space(arena);
    Tokenizer words(utf8, space);
    ArrayBuildState *tokens = initArrayResult(TEXTOID, CurrentMemoryContext, false);
    for (Word word; words.next(&word);) {
        CHECK_FOR_INTERRUPTS();
        if (word.token().empty()) continue;
        const std::string_view token = convert_from_utf8(word.token());
        text *element = cstring_to_text_with_len(token.data(), static_cast<int>(token.size()));
        accumArrayResult(tokens, PointerGetDatum(element), false, TEXTOID, CurrentMemoryContext);
        pfree(element);
        free_converted(token, word.token());
    }
    engine::check_status(words.status(), "cut a text into words");
    MemoryContextDelete(context);
    PG_RETURN_DATUM(makeArrayResult(tokens, CurrentMemoryContext));
}
