#include "table_am/options.h"

#include "table_am/callbacks.h"

extern "C" {
#include "commands/defrem.h"
#include "commands/seclabel.h"
#include "parser/scansup.h"
#include "utils/varlena.h"
}

namespace historian::table_am {

namespace {

constexpr char kProvider[] = "historian";
constexpr char kNamespace[] = "historian";
constexpr int kSealIntervalMin_s = 1;
constexpr int kSealIntervalMax_s = 24 * 3600;

// ------------------------------------------------------------------------------------------------------------ the options

[[noreturn]] void report_value_refused(const char *name, const char *value, const char *hint) {
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid value for option historian.%s: \"%s\"", name, value),
            errhint("%s", hint));
    pg_unreachable();
}

// Each checks a value, stores it, and gives its usual form.
const char *take_seal_interval(const char *value, TableOptions *options) {
    int seconds;
    if (!parse_int(value, &seconds, GUC_UNIT_S, nullptr) || seconds < kSealIntervalMin_s || seconds > kSealIntervalMax_s)
        report_value_refused("seal_interval", value, "Use a time from 1 s to 24 h, such as '30s' or '5min'.");
    options->seal_interval_s = seconds;
    return psprintf("%ds", seconds);
}

const char *take_compact(const char *value, TableOptions *options) {
    if (!parse_bool(value, &options->compact)) report_value_refused("compact", value, "Use on or off.");
    return options->compact ? "on" : "off";
}

// Names as in a list of columns: "msg, "Two Words"". None at all: nothing is indexed.
List *split_names(const char *value) {
    List *names = NIL;
    if (!SplitIdentifierString(pstrdup(value), ',', &names) || strpbrk(value, ";=") != nullptr)
        report_value_refused("search", value, "Use names of columns with commas between, or '' for none.");
    return names;
}

const char *take_search(const char *value, TableOptions *options) {
    StringInfoData names;
    initStringInfo(&names);
    ListCell *cell;
    foreach (cell, split_names(value))
        appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", quote_identifier(static_cast<const char *>(lfirst(cell))));
    options->search = names.data;
    return names.data;
}

struct Option {
    const char *name;
    const char *(*take)(const char *value, TableOptions *options);
};

constexpr Option kOptions[kOptionCount] = {
    {"seal_interval", take_seal_interval}, {"compact", take_compact}, {"search", take_search}};

constexpr TableOptions kDefaults = {0, true, nullptr};

int find_option(const char *name) {
    for (int i = 0; i < kOptionCount; i++) {
        if (strcmp(kOptions[i].name, name) == 0) return i;
    }
    StringInfoData names;
    initStringInfo(&names);
    for (int i = 0; i < kOptionCount; i++)
        appendStringInfo(&names, "%shistorian.%s", i == 0 ? "" : i + 1 < kOptionCount ? ", " : " and ", kOptions[i].name);
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unrecognized option historian.%s", name),
            errhint("The options of tag and log tables are %s.", names.data));
    pg_unreachable();
}

// ----------------------------------------------------------------------------------------------------------------- labels

char *trim(char *text) {
    while (scanner_isspace(*text)) text++;
    for (char *end = text + strlen(text); end > text && scanner_isspace(end[-1]);) *--end = '\0';
    return text;
}

// "name=value; name=value" into texts, in their usual form, and options.
void parse_label(const char *label, const char **texts, TableOptions *options) {
    for (int i = 0; i < kOptionCount; i++) texts[i] = nullptr;
    *options = kDefaults;
    if (label == nullptr) return;
    char *rest = pstrdup(label);
    while (rest != nullptr) {
        char *pair = rest;
        char *end = strchr(pair, ';');
        rest = end != nullptr ? end + 1 : nullptr;
        if (end != nullptr) *end = '\0';
        pair = trim(pair);
        if (*pair == '\0') continue;
        char *equals = strchr(pair, '=');
        if (equals == nullptr) {
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid label of provider historian: \"%s\" has no value", pair),
                    errhint("A label is written like 'seal_interval=30s; compact=off'."));
        }
        *equals = '\0';
        const int option = find_option(trim(pair));
        if (texts[option] != nullptr) {
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("option historian.%s specified more than once", kOptions[option].name));
        }
        texts[option] = kOptions[option].take(trim(equals + 1), options);
    }
}

// nullptr, which removes the label, when nothing is set.
const char *format_label(const char *const *texts) {
    StringInfoData label;
    initStringInfo(&label);
    for (int i = 0; i < kOptionCount; i++) {
        if (texts[i] != nullptr) appendStringInfo(&label, "%s%s=%s", label.len > 0 ? "; " : "", kOptions[i].name, texts[i]);
    }
    return label.len > 0 ? label.data : nullptr;
}

void read_label(Oid relid, const char **texts, TableOptions *options) {
    ObjectAddress address;
    ObjectAddressSet(address, RelationRelationId, relid);
    parse_label(GetSecurityLabel(&address, kProvider), texts, options);
}

// SECURITY LABEL FOR historian: pg_restore's way. Any table may have one: with --no-table-access-method the options wait until
// the table becomes a tag table.
void check_label(const ObjectAddress *object, const char *label) {
    const char relkind = object->classId == RelationRelationId ? get_rel_relkind(object->objectId) : '\0';
    if (object->objectSubId != 0 || (relkind != RELKIND_RELATION && relkind != RELKIND_MATVIEW)) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("labels of provider historian are for tables"),
                errdetail("They hold the options of tag and log tables."),
                errhint("Use ALTER TABLE ... SET (historian.x = ...) on a tag or log table."));
    }
    const char *texts[kOptionCount];
    TableOptions options;
    parse_label(label, texts, &options);
}

bool is_option(const DefElem *definition) {
    return definition->defnamespace != nullptr && strcmp(definition->defnamespace, kNamespace) == 0;
}

}  // namespace

// ------------------------------------------------------------------------------------------------------------- statements

bool has_options(const List *definitions) {
    ListCell *cell;
    foreach (cell, definitions) {
        if (is_option(lfirst_node(DefElem, cell))) return true;
    }
    return false;
}

List *take_options(List *definitions, bool is_reset, OptionChanges *changes) {
    List *others = NIL;
    bool is_here[kOptionCount] = {};
    ListCell *cell;
    foreach (cell, definitions) {
        DefElem *definition = lfirst_node(DefElem, cell);
        if (!is_option(definition)) {
            others = lappend(others, definition);
            continue;
        }
        const int option = find_option(definition->defname);
        if (is_here[option]) {
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("option historian.%s specified more than once", definition->defname));
        }
        if (is_reset && definition->arg != nullptr)
            ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR), errmsg("RESET must not include values for parameters"));
        TableOptions checked = kDefaults;
        is_here[option] = true;
        changes->is_changed[option] = changes->any = true;
        // An option without a value means true, as PostgreSQL's own do.
        const char *value = definition->arg != nullptr ? defGetString(definition) : "true";
        changes->texts[option] = is_reset ? nullptr : kOptions[option].take(value, &checked);
    }
    return others;
}

namespace {

// Columns that are to be searched must be there and have words.
void check_search(Oid relid, const char *names) {
    if (kind_of_table(relid) != engine::TableKind::log) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                errmsg("option historian.search cannot be set on table \"%s\"", get_rel_name(relid)),
                errdetail("It is for log tables: tag tables have no index of words."));
    }
    ListCell *cell;
    foreach (cell, split_names(names)) {
        const char *name = static_cast<const char *>(lfirst(cell));
        const AttrNumber column = get_attnum(relid, name);
        if (column <= 0) {
            ereport(ERROR, errcode(ERRCODE_UNDEFINED_COLUMN),
                    errmsg("column \"%s\" of table \"%s\" does not exist", name, get_rel_name(relid)));
        }
        const Oid type = getBaseType(get_atttype(relid, column));
        if (type == TEXTOID || type == VARCHAROID) continue;
        ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH),
                errmsg("column \"%s\" of table \"%s\" is of type %s", name, get_rel_name(relid), format_type_be(type)),
                errdetail("Only columns of type text or character varying have words."));
    }
}

constexpr int kSearchOption = 2;

}  // namespace

void change_options(Oid relid, const OptionChanges &changes) {
    if (!changes.any) return;
    const char *name = get_rel_name(relid);
    if (!is_ours(relid)) {
        const bool is_partitioned = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("options of historian cannot be set on table \"%s\"", name),
                is_partitioned ? errdetail("It is partitioned: its rows are in its partitions.")
                               : errdetail("It is no tag or log table."),
                is_partitioned
                    ? errhint("Set them on the partitions.")
                    : errhint("Such tables are made by CREATE TABLE ... USING tag or log, or ALTER TABLE ... SET ACCESS "
                              "METHOD tag."));
    }
    if (!owns_table(relid, GetUserId())) aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, name);
    if (changes.is_changed[kSearchOption] && changes.texts[kSearchOption] != nullptr)
        check_search(relid, changes.texts[kSearchOption]);
    const char *texts[kOptionCount];
    TableOptions options;
    read_label(relid, texts, &options);
    for (int i = 0; i < kOptionCount; i++) {
        if (changes.is_changed[i]) texts[i] = changes.texts[i];
    }
    ObjectAddress address;
    ObjectAddressSet(address, RelationRelationId, relid);
    SetSecurityLabel(&address, kProvider, format_label(texts));
}

TableOptions read_options(Oid relid) {
    const char *texts[kOptionCount];
    TableOptions options;
    read_label(relid, texts, &options);
    return options;
}

bool searches_column(Relation rel, Form_pg_attribute column) {
    const TableOptions options = read_options(RelationGetRelid(rel));
    if (options.search == nullptr) return true;
    ListCell *cell;
    foreach (cell, split_names(options.search)) {
        if (strcmp(static_cast<const char *>(lfirst(cell)), NameStr(column->attname)) == 0) return true;
    }
    return false;
}

const char *option_name(int option) { return kOptions[option].name; }

void read_option_texts(Oid relid, const char **texts) {
    TableOptions options;
    read_label(relid, texts, &options);
}

void register_option_labels() { register_label_provider(kProvider, check_label); }

}  // namespace historian::table_am
