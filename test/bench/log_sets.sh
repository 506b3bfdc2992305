# Of part logs of test/bench/run: tables of messages and times of arrival alone, against zstd, pg_trgm and DuckDB. Sourced.
#
# The messages are the generated lines and the real sets of logs, where they are at hand, each repeated until there are $log_rows
# records: else a file's 80 kB of pages of its own would weigh more than a small set's records.
#
# What zstd is to be compared with: the same text again and again costs zstd next to nothing as far as its window reaches (2 MB at
# -3, 8 MB at -19), and our dictionaries little, so repeat_lines shifts the numbers and times of day of each repetition. The words
# around them still are those of before; sets that are smaller than a window gain by that, and so do segments, whose dictionaries
# reach further. Therefore zstd of the set once and of the repeated text are both told for each record, and so is the table of the
# set once (its segments without the file's own pages). Ratios are against the better one of zstd's.
#
# Peers where they are installed: heap with a GIN index of trigrams (contrib's pg_trgm), and DuckDB (make bench-peers).

# Bytes a record of the text of a file's second column: zstd_bytes option file
zstd_bytes() {
    cut -f2 "$2" | zstd "$1" -T0 -qc | wc -c | awk -v rows="$(wc -l <"$2")" '{ print $1 / rows }'
}

# Bytes a record of the segments and of the file of a log table: weigh_log_table table options file
weigh_log_table() {
    sql -c 'SET client_min_messages = warning' -c "DROP TABLE IF EXISTS $1" \
        -c "CREATE TABLE $1 (_arrival_time timestamptz NOT NULL, msg text) USING log $2" \
        -c "COPY $1 (_arrival_time, msg) FROM '$3'" -c "CALL compact('$1')" -c "VACUUM ANALYZE $1"
    sql -A -F ' ' -c "SELECT encoded_bytes::float8 / n, pg_table_size('$1')::float8 / n
        FROM historian_size('$1'), (SELECT count(*) AS n FROM $1) AS c"
}

# Milliseconds of counting the records with the rare word, and that the count is right: time_rare file table condition
time_rare() {
    counted=$(sql -c "SELECT count(*) FROM $2 WHERE $3")
    [ "$counted" = "$rare_count" ] || fail "$2 WHERE $3: $counted records instead of $rare_count"
    : >"$folder/$1"
    time_query "$1" "SELECT count(*) FROM $2 WHERE $3" 5
    median "$folder/$1"
}

load_trigrams() {
    sql -c 'SET client_min_messages = warning' -c 'CREATE EXTENSION IF NOT EXISTS pg_trgm' -c 'DROP TABLE IF EXISTS set_trgm' \
        -c 'CREATE TABLE set_trgm (_arrival_time timestamptz NOT NULL, msg text) USING heap' \
        -c "COPY set_trgm FROM '$1'" -c 'CREATE INDEX ON set_trgm USING gin (msg gin_trgm_ops)' -c 'VACUUM ANALYZE set_trgm'
    sql -c "SELECT pg_total_relation_size('set_trgm')::float8 / $log_rows"
}

load_duckdb() {
    rm -f "$folder/duckdb"
    node "$top/test/bench/duckdb.mjs" "$folder/duckdb" <<LOAD
CREATE TABLE lines AS SELECT time::TIMESTAMPTZ AS _arrival_time, msg FROM read_csv('$1', delim = '\t', quote = '', escape = '',
    header = false, columns = {'time': 'VARCHAR', 'msg': 'VARCHAR'});
CHECKPOINT;
LOAD
    wc -c <"$folder/duckdb" | awk -v rows="$log_rows" '{ print $1 / rows }'
}

time_rare_in_duckdb() {
    sql="SELECT count(*) FROM lines WHERE msg $1 '%xyzzy42fault%'"
    counted=$(echo "COPY ($sql) TO '$folder/counted' (HEADER false)" |
        node "$top/test/bench/duckdb.mjs" "$folder/duckdb" && cat "$folder/counted")
    [ "$counted" = "$rare_count" ] || fail "DuckDB, $1: $counted records instead of $rare_count"
    echo "$sql" | node "$top/test/bench/duckdb.mjs" "$folder/duckdb" 5 | tail -n +2 >"$folder/rare.duckdb"
    median "$folder/rare.duckdb"
}

# Adds a line to $folder/sets: weigh_set name file_once file_repeated (COPY text of time and message)
weigh_set() {
    rare_count=$(grep -c xyzzy42fault "$3" || true)
    chmod 644 "$2" "$3"
    line="$1 $(wc -l <"$2") $(cut -f2 "$3" | wc -c | awk -v rows="$log_rows" '{ print $1 / rows }')"
    for option in -3 -19; do line="$line $(zstd_bytes $option "$2") $(zstd_bytes $option "$3")"; done
    line="$line $(weigh_log_table set_once '' "$2" | cut -d' ' -f1)"
    line="$line $(weigh_log_table set_log '' "$3")"
    line="$line $(weigh_log_table set_bare "WITH (historian.search = '')" "$3" | cut -d' ' -f1)"
    line="$line $(time_rare rare.log set_log "msg @@ search('xyzzy42fault')")"
    line="$line $(time_rare rare.log_like set_log "msg LIKE '%xyzzy42fault%'")"
    line="$line $(time_rare rare.log_ilike set_log "msg ILIKE '%XYZZY42fault%'")"
    if [ "$has_trigrams" = 1 ]; then
        line="$line $(load_trigrams "$3")"
        line="$line $(time_rare rare.trgm set_trgm "msg LIKE '%xyzzy42fault%'")"
        line="$line $(time_rare rare.trgm_ilike set_trgm "msg ILIKE '%XYZZY42fault%'")"
    else
        line="$line - - -"
    fi
    if [ -n "$duckdb" ]; then
        line="$line $(load_duckdb "$3")"
        line="$line $(time_rare_in_duckdb LIKE)"
        line="$line $(time_rare_in_duckdb ILIKE)"
    else
        line="$line - - -"
    fi
    echo "$line" >>"$folder/sets"
    sql -c 'SET client_min_messages = warning' -c 'DROP TABLE IF EXISTS set_once, set_log, set_bare, set_trgm'
}

weigh_log_sets() {
    g++ -std=c++20 -O2 "$top/test/bench/repeat_lines.cpp" -o "$folder/repeat_lines"
    has_trigrams=$(sql -c "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'")
    duckdb=$(node "$top/test/bench/duckdb.mjs" version 2>/dev/null || true)
    say "logs, generated" >&2
    cut -f1,5 "$folder/lines.tsv" >"$folder/repeated.tsv"
    weigh_set generated "$folder/repeated.tsv" "$folder/repeated.tsv"
    data=${HISTORIAN_DATA_DIR:-$top/../shared/data}/logs
    for packed in "$data"/*.log.zst; do
        [ -f "$packed" ] || continue
        name=$(basename "$packed" .log.zst)
        say "logs, $name" >&2
        zstd -dqcf "$packed" >"$folder/real.log"
        "$folder/repeat_lines" "$log_rows" 2592000 <"$folder/real.log" >"$folder/repeated.tsv"
        head -n "$(wc -l <"$folder/real.log")" "$folder/repeated.tsv" >"$folder/once.tsv"
        weigh_set "$name" "$folder/once.tsv" "$folder/repeated.tsv"
    done
    rm -f "$folder/duckdb" "$folder/repeated.tsv" "$folder/once.tsv" "$folder/real.log"
}

report_log_sets() {
    trigrams='heap with gin (msg gin_trgm_ops)'
    [ "$has_trigrams" = 1 ] || trigrams='not installed'
    say "Messages and times of arrival alone, $log_rows records of each set, the real ones repeated; in each repetition numbers" \
        "of four digits and more and times of day are shifted. Bytes a record. zstd (of the messages) and log: the set once;" \
        "repeated. zstd gains by text that comes again within its window, 2 MB at -3, 8 MB at -19, as in no real log: both are" \
        "told, and ratios are against the less. log: the segments, filter of words included; file: the whole table. Rare:" \
        "milliseconds of counting the records with a word that one in 100,003 has, median of 5: log by search; LIKE; ILIKE," \
        "the others by LIKE; ILIKE. pg_trgm: $trigrams. DuckDB: ${duckdb:-not installed (make bench-peers)}." ""
    printf '| set | records | raw | zstd -3 | zstd -19 | log | without filter | file | pg_trgm | DuckDB | file / -3 |'
    say ' without filter / -19 | pg_trgm / file | DuckDB / file | rare: log | pg_trgm | DuckDB |'
    say "| --- |$(printf ' ---: |%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)"
    awk '
        function less(a, b) { return a < b ? a : b }
        function ratio(a, b) { return a == "-" ? "-" : sprintf("%.2f", a / b) }
        function number(a) { return a == "-" ? "-" : sprintf("%.2f", a) }
        function times(a, b) { return a == "-" ? "-" : sprintf("%.1f; %.1f", a, b) }
        {
            printf "| %s | %d | %.1f | %.2f; %.2f | %.2f; %.2f | %.2f; %.2f", $1, $2, $3, $4, $5, $6, $7, $8, $9
            printf " | %.2f | %.2f | %s | %s", $11, $10, number($15), number($18)
            printf " | %.2f | %.2f", $10 / less($4, $5), $11 / less($6, $7)
            printf " | %s | %s | %.1f; %s | %s | %s |\n", ratio($15, $10), ratio($18, $10), $12, times($13, $14), times($16, $17),
                times($19, $20)
        }' "$folder/sets"
}
