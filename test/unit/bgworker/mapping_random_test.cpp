// Random mappings of random messages, against a slow reference that shares nothing with the implementation: it knows the message
// as a tree of its own, names each row by the places that its arrays have come to, and walks every path from the root.
#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "bgworker/mapping.h"
#include "test_arena.h"

namespace historian::bgworker {
namespace {

using Random = std::mt19937_64;

std::size_t below(Random &random, std::size_t limit) { return random() % limit; }

struct Document {
    char kind;  // 0 null, b boolean, n number, s text, a array, o object
    std::string scalar;
    std::vector<std::pair<std::string, Document>> members;  // of an array without names
};

const char *const kNames[] = {"a", "b", "c", "odd key", "\u00e9"};

Document random_document(Random &random, int depth) {
    const std::size_t choice = below(random, depth <= 0 ? 4 : 10);
    if (choice == 0) return {'0', "null", {}};
    if (choice == 1) return {'b', below(random, 2) == 0 ? "true" : "false", {}};
    if (choice == 2) return {'n', std::to_string(below(random, 1000)) + (below(random, 2) == 0 ? ".50" : ""), {}};
    if (choice == 3) return {'s', "t" + std::to_string(below(random, 1000)) + (below(random, 3) == 0 ? "\"\n\u00e9" : ""), {}};
    Document made{choice < 7 ? 'a' : 'o', "", {}};
    for (std::size_t left = below(random, 5); left > 0; --left) {
        const char *name = made.kind == 'o' ? kNames[below(random, std::size(kNames))] : "";
        made.members.emplace_back(name, random_document(random, depth - 1));
    }
    return made;
}

std::string quoted(const std::string &text, bool spell_out) {
    std::string out = "\"";
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '"' || text[i] == '\\') {
            out += std::string("\\") + text[i];
        } else if (text[i] == '\n') {
            out += spell_out ? "\\u000a" : "\\n";
        } else if (spell_out && text.compare(i, 2, "\u00e9") == 0) {
            out += "\\u00e9";
            ++i;
        } else {
            out += text[i];
        }
    }
    return out + "\"";
}

// As JSON; with white space here and there when `random` is given, else as a json cell has it.
std::string written(const Document &document, Random *random) {
    const auto space = [random]() { return random != nullptr && below(*random, 4) == 0 ? std::string(" \n") : std::string(); };
    const bool spell_out = random != nullptr && below(*random, 2) == 0;
    if (document.kind == 's') return space() + quoted(document.scalar, spell_out);
    if (document.kind != 'a' && document.kind != 'o') return space() + document.scalar;
    std::string out = space() + (document.kind == 'a' ? "[" : "{");
    for (std::size_t i = 0; i < document.members.size(); ++i) {
        if (i > 0) out += ",";
        if (document.kind == 'o') out += space() + quoted(document.members[i].first, spell_out) + space() + ":";
        out += written(document.members[i].second, random);
    }
    return out + space() + (document.kind == 'a' ? "]" : "}");
}

// json cells write a line feed as \u000a.
std::string as_json_cell(const Document &document) {
    std::string text = written(document, nullptr);
    for (std::size_t at; (at = text.find("\\n")) != std::string::npos;) text.replace(at, 2, "\\u000a");
    return text;
}

struct Step {
    char kind;  // m member, e element, A every element, O every member
    std::string name;
    int index = 0;
};
using Path = std::vector<Step>;

Step random_step(Random &random) {
    if (below(random, 2) == 0) return {'m', kNames[below(random, std::size(kNames))]};
    return {'e', "", static_cast<int>(below(random, 6)) - 3};
}

std::string spelled(const Path &path) {
    std::string out = "$";
    for (const Step &step : path) {
        if (step.kind == 'A') out += "[*]";
        if (step.kind == 'O') out += ".*";
        if (step.kind == 'e') out += "[" + std::to_string(step.index) + "]";
        if (step.kind == 'm') out += step.name == "odd key" ? "['odd key']" : "." + step.name;
    }
    return out;
}

// Follows one step; nullptr: it leads nowhere.
const Document *go(const Document *at, const Step &step) {
    if (step.kind == 'm' && at->kind == 'o') {
        for (std::size_t i = at->members.size(); i > 0; --i) {
            if (at->members[i - 1].first == step.name) return &at->members[i - 1].second;
        }
    }
    if (step.kind == 'e' && at->kind == 'a') {
        const auto size = static_cast<int>(at->members.size());
        const int index = step.index < 0 ? size + step.index : step.index;
        if (index >= 0 && index < size) return &at->members[static_cast<std::size_t>(index)].second;
    }
    return nullptr;
}

// Places of a row: which member each array has come to. From the root along the path; *name: of the last member passed by `.*`.
const Document *walk(const Document *at, const Path &path, const std::vector<std::size_t> &places, std::string *name) {
    std::size_t passed = 0;
    for (const Step &step : path) {
        if (at == nullptr) return nullptr;
        if (step.kind != 'A' && step.kind != 'O') {
            at = go(at, step);
            continue;
        }
        const auto &member = at->members.at(places.at(passed++));
        if (step.kind == 'O') *name = member.first;
        at = &member.second;
    }
    return at;
}

bool is_star(const Step &step) { return step.kind == 'A' || step.kind == 'O'; }

bool same(const Step &one, const Step &other) {
    return one.kind == other.kind && one.name == other.name && one.index == other.index;
}

// What the paths that part from the chain at its step `at` go on with.
std::vector<Step> parting_at(const std::vector<Path> &paths, const Path &chain, std::size_t at) {
    std::vector<Step> steps;
    for (const Path &path : paths) {
        bool along = path.size() > at;
        for (std::size_t i = 0; along && i < at; ++i) along = same(path[i], chain[i]);
        if (along && !is_star(path[at])) steps.push_back(path[at]);
    }
    return steps;
}

bool is_refused(const std::vector<Path> &paths, const Path &chain) {
    for (std::size_t i = 0; i < chain.size(); ++i) {
        const bool leads_to_rows = std::any_of(chain.begin() + static_cast<std::ptrdiff_t>(i), chain.end(), is_star);
        for (const Step &step : parting_at(paths, chain, i)) {
            if (step.kind != 'e') continue;
            if (chain[i].kind == 'A') return true;
            // One element may have both numbers.
            if (chain[i].kind == 'e' && leads_to_rows && (step.index < 0) != (chain[i].index < 0)) return true;
        }
    }
    return false;
}

// All rows' places along the chain; nullopt: an array is missing or is none.
std::optional<std::vector<std::vector<std::size_t>>> places_of(const Document &root, const Path &chain,
                                                               const std::vector<Path> &paths) {
    std::vector<std::vector<std::size_t>> found{{}};
    Path path;
    std::string name;
    for (const Step &step : chain) {
        std::vector<std::string> named;
        for (const Step &parting : parting_at(paths, chain, path.size())) {
            named.push_back(parting.kind == 'm' ? parting.name : "-");
        }
        if (is_star(step)) {
            std::vector<std::vector<std::size_t>> next;
            for (const auto &places : found) {
                const Document *at = walk(&root, path, places, &name);
                if (at == nullptr && places.empty()) return std::nullopt;
                if (at == nullptr) continue;
                if (at->kind != (step.kind == 'A' ? 'a' : 'o')) return std::nullopt;
                for (std::size_t i = 0; i < at->members.size(); ++i) {
                    if (step.kind == 'O' && std::count(named.begin(), named.end(), at->members[i].first) > 0) continue;
                    next.push_back(places);
                    next.back().push_back(i);
                }
            }
            found = next;
        }
        path.push_back(step);
    }
    return found;
}

// A column: paths with texts between them; or the name of a member.
struct Column {
    bool is_key;
    std::vector<Path> paths;
};

struct Case {
    Document document;
    Path chain;  // ends with its last star
    std::vector<Column> columns;
};

Path random_path(Random &random, const Path &chain) {
    Path path;
    std::vector<std::size_t> ends{0};
    for (std::size_t i = 0; i < chain.size(); ++i) {
        if (is_star(chain[i])) ends.push_back(i + 1);
    }
    const std::size_t end = ends[below(random, ends.size())];
    path.assign(chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(end));
    for (std::size_t left = below(random, 3); left > 0; --left) path.push_back(random_step(random));
    return path;
}

Case random_case(Random &random) {
    Case made{random_document(random, 5), {}, {}};
    const Document *at = &made.document;
    for (std::size_t stars = below(random, 4); stars > 0; --stars) {
        // Mostly along the document, so that rows come of it.
        for (std::size_t left = below(random, 2); left > 0; --left) {
            Step step = random_step(random);
            if (at != nullptr && at->kind == 'o' && !at->members.empty()) {
                step = {'m', at->members[below(random, at->members.size())].first};
            }
            if (at != nullptr) at = go(at, step);
            made.chain.push_back(step);
        }
        const bool named = at != nullptr ? at->kind == 'o' : below(random, 2) == 0;
        made.chain.push_back({named ? 'O' : 'A', ""});
        if (at != nullptr) at = at->members.empty() ? nullptr : &at->members[0].second;
    }
    // One column holds the whole chain, so that it is the mapping's.
    made.columns.push_back({false, {made.chain}});
    bool named = false;
    for (const Step &step : made.chain) named = named || step.kind == 'O';
    for (std::size_t left = below(random, 4); left > 0; --left) {
        if (named && below(random, 3) == 0) {
            made.columns.push_back({true, {}});
            continue;
        }
        Column column{false, {}};
        for (std::size_t paths = 1 + below(random, 2); paths > 0; --paths) {
            column.paths.push_back(random_path(random, made.chain));
        }
        made.columns.push_back(column);
    }
    return made;
}

std::string mapping_of(const Case &one) {
    std::string out = "{";
    for (std::size_t i = 0; i < one.columns.size(); ++i) {
        std::string expression;
        for (const Path &path : one.columns[i].paths) expression += (expression.empty() ? "" : "/") + spelled(path);
        if (one.columns[i].is_key) expression = "key";
        out += (i > 0 ? "," : "") + quoted("column" + std::to_string(i), false) + ":" + quoted(expression, false);
    }
    return out + "}";
}

std::string expected_cell(const Case &one, const Column &column, const std::vector<std::size_t> &places, bool *found) {
    std::string name;
    if (column.is_key) {
        walk(&one.document, one.chain, places, &name);
        return "s" + name;
    }
    std::string joined;
    bool whole = true;
    for (const Path &path : column.paths) {
        const Document *value = walk(&one.document, path, places, &name);
        *found = *found || value != nullptr;
        const bool alone = column.paths.size() == 1;
        if (value == nullptr) {
            if (alone) return "-";
            whole = false;
            continue;
        }
        if (alone && value->kind == '0') return "0";
        if (value->kind == '0') whole = false;
        const bool nested = value->kind == 'a' || value->kind == 'o';
        const std::string text = nested ? as_json_cell(*value) : value->scalar;
        if (alone) return (nested ? 'j' : value->kind) + text;
        joined += (&path == &column.paths[0] ? "" : "/") + text;
    }
    return whole ? "s" + joined : "-";
}

// The rows, or "error", or "refused".
std::string expected_rows(const Case &one) {
    std::vector<Path> paths;
    for (const Column &column : one.columns) paths.insert(paths.end(), column.paths.begin(), column.paths.end());
    if (is_refused(paths, one.chain)) return "refused";
    const auto rows = places_of(one.document, one.chain, paths);
    if (!rows) return "error";
    bool found = false;
    std::string out;
    for (const auto &places : *rows) {
        for (const Column &column : one.columns) out += expected_cell(one, column, places, &found) + "|";
        out += ";";
    }
    return found || rows->empty() ? out : "error";
}

// *parts: of each row the payload that comes to it alone.
std::string actual_rows(const std::string &mapping_text, const std::string &payload, std::vector<std::string> *parts = nullptr) {
    test::TestArena arena;
    Mapping mapping;
    const MappingError refusal = parse_mapping(mapping_text, arena, &mapping);
    if (refusal.what != nullptr) return "refused";
    Payload rows;
    MappedMessage message;
    message.payload = payload;
    if (map_message(mapping, message, arena, &rows).fault != MapFault::none) return "error";
    std::string out;
    for (std::uint32_t row = 0; row < rows.row_count; ++row) {
        if (parts != nullptr) parts->emplace_back(write_mapped_row(mapping, message, row, arena));
        for (std::uint32_t i = 0; i < rows.name_count; ++i) {
            const Cell &each = rows.cells[row * rows.name_count + i];
            out += "0bnsjra-"[static_cast<int>(each.kind)] + std::string(each.text, each.bytes) + "|";
        }
        out += ";";
    }
    return out;
}

TEST(MappingRandom, MapsAsTheSlowReferenceDoes) {
    const std::uint64_t seed = std::random_device{}();
    Random random{seed};
    std::size_t with_rows = 0;
    for (int i = 0; i < 30'000; ++i) {
        const Case one = random_case(random);
        const std::string mapping = mapping_of(one);
        const std::string payload = written(one.document, &random);
        const std::string expected = expected_rows(one);
        const std::string what = "seed " + std::to_string(seed) + ", mapping " + mapping + ", payload " + payload;
        ASSERT_EQ(actual_rows(mapping, payload), expected) << what;
        if (expected.empty() || expected == "error" || expected == "refused") continue;
        ++with_rows;
        // A cell that holds the array as a whole holds less of it in a part.
        if (expected.find_first_of("[{") != std::string::npos) continue;
        std::vector<std::string> parts;
        (void)actual_rows(mapping, payload, &parts);
        std::string together;
        for (const std::string &part : parts) {
            const std::string row = actual_rows(mapping, part);
            // A row without any value is an error when it stands alone.
            const std::size_t end = expected.find(';', together.size()) + 1;
            together += row == "error" ? expected.substr(together.size(), end - together.size()) : row;
        }
        ASSERT_EQ(together, expected) << what;
    }
    EXPECT_GT(with_rows, 3'000u) << "too few cases come to rows, seed " << seed;
}

// Every prefix of a good message, and every message with one byte changed, gives rows or an error.
TEST(MappingRandom, DamagedMessagesAreErrorsOrRows) {
    const std::uint64_t seed = std::random_device{}();
    Random random{seed};
    for (int i = 0; i < 2'000; ++i) {
        const Case one = random_case(random);
        const std::string mapping = mapping_of(one);
        std::string payload = written(one.document, &random);
        (void)actual_rows(mapping, payload.substr(0, below(random, payload.size())));
        payload[below(random, payload.size())] = static_cast<char>(random());
        (void)actual_rows(mapping, payload);
        std::string damaged = mapping;
        damaged[below(random, damaged.size())] = static_cast<char>(random());
        (void)actual_rows(damaged, payload);
    }
}

}  // namespace
}  // namespace historian::bgworker
