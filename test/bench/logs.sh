# Part logs of test/bench/run: records against a heap table, and one with a GIN index of words. Sourced.

log_columns='_arrival_time, host, level, component, msg'
log_words="to_tsvector('simple', msg)"


make_log_table() {
    definition='_arrival_time timestamptz NOT NULL, host text, level text, component text, msg text'
    case $1 in
        log) access=log ;;
        *) access=heap ;;
    esac
    sql -c 'SET client_min_messages = warning' -c "DROP TABLE IF EXISTS lines_$1" \
        -c "CREATE TABLE lines_$1 ($definition) USING $access"
    if [ "$1" = gin ]; then
        sql -c "CREATE INDEX ON lines_gin USING gin ($log_words)" -c "CREATE INDEX ON lines_gin (_arrival_time)"
    fi
    sql -c CHECKPOINT
}

# Rows per second of processor time of the loading backend: its own, told by the backend itself.
load_lines() {
    make_log_table "$1"
    begin=$(now)
    sql <<LOAD | awk -v rows="$log_rows" -v name="$folder/$1" -v hertz="$(getconf CLK_TCK)" '
        NF > 15 { used[++answers] = ($14 + $15) / hertz }
        END { printf "%.0f\n", rows / (used[2] - used[1]) >> (name ".load") }'
SELECT pg_read_file('/proc/self/stat');
COPY lines_$1 ($log_columns) FROM '$folder/lines.tsv';
SELECT pg_read_file('/proc/self/stat');
LOAD
    echo "$begin $(now)" | awk -v rows="$log_rows" -v name="$folder/$1" '{
        printf "%.0f\n", rows / ($2 - $1) >> (name ".load_wall") }'
}

# Milliseconds of a query, 21 times in one session, of which the first warms the cache.
#   time_query file query
time_query() {
    {
        printf '%s\n' '\timing on'
        for repeat in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo "$2;"; done
    } >"$folder/query.sql"
    sql -f "$folder/query.sql" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -n +2 >>"$folder/$1"
}

query_lines() {
    for table in gin log; do
        if [ $table = log ]; then
            has() { echo "msg @@ search('$1')"; }
        else
            has() { echo "$log_words @@ to_tsquery('simple', '$1')"; }
        fi
        time_query $table.rare "SELECT count(*) FROM lines_$table WHERE $(has xyzzy42fault)"
        time_query $table.rare_rows "SELECT * FROM lines_$table WHERE $(has xyzzy42fault)"
        time_query $table.common "SELECT count(*) FROM lines_$table WHERE $(has slow)"
        time_query $table.last_common "SELECT * FROM lines_$table WHERE $(has slow) ORDER BY _arrival_time DESC LIMIT 100"
        time_query $table.last_rare "SELECT * FROM lines_$table WHERE $(has xyzzy42fault) ORDER BY _arrival_time DESC LIMIT 100"
        time_query $table.last "SELECT * FROM lines_$table ORDER BY _arrival_time DESC LIMIT 100"
        middle="timestamptz '2026-01-16 12:00+00'"
        time_query $table.duration "SELECT * FROM lines_$table WHERE _arrival_time <@ duration('10 minutes', before => $middle)"
    done
    # A btree serves comparisons, not containment in a range.
    : >"$folder/gin.duration"
    time_query gin.duration "SELECT * FROM lines_gin WHERE _arrival_time BETWEEN $middle - interval '10 minutes' AND $middle"
}

# Half of the table by each way, rolled back; heap tables by an ordinary DELETE.
delete_lines() {
    half=$((log_rows / 2))
    middle=$(sql -c "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY _arrival_time) FROM lines_log")
    for run in 1 2 3 4 5; do
        time_statement log.delete_before "SELECT delete_before('lines_log', '$middle')" ROLLBACK
        time_statement log.delete_oldest "SELECT delete_oldest('lines_log', rows => $half)" ROLLBACK
        time_statement log.delete_except "SELECT delete_except('lines_log', rows => $half)" ROLLBACK
        time_statement heap.delete "DELETE FROM lines_heap WHERE _arrival_time < '$middle'" ROLLBACK
    done
}

# The real sets of logs, where they are at hand: size of a table of the lines alone against zstd of the file. The table's file has
# pages of its own, up to 80 kB, which weigh in small sets: both are told.
weigh_real_logs() {
    data=${HISTORIAN_DATA_DIR:-$top/../shared/data}/logs
    for packed in "$data"/*.log.zst; do
        [ -f "$packed" ] || continue
        name=$(basename "$packed" .log.zst)
        zstd -dqcf "$packed" >"$folder/real.log"
        # As COPY text: backslashes doubled, tabs and carriage returns written out.
        sed -e 's/\\/\\\\/g' -e "s/$(printf '\t')/\\\\t/g" -e "s/$(printf '\r')/\\\\r/g" "$folder/real.log" >"$folder/real.tsv"
        chmod 644 "$folder/real.tsv"
        for option in all none; do
            searched=
            if [ $option = none ]; then searched="WITH (historian.search = '')"; fi
            sql -c 'SET client_min_messages = warning' -c 'DROP TABLE IF EXISTS real' \
                -c "CREATE TABLE real (msg text) USING log $searched" -c "COPY real (msg) FROM '$folder/real.tsv'" \
                -c "CALL compact('real')"
            sql -A -F ' ' -c "SELECT encoded_bytes, pg_table_size('real') FROM historian_size('real')" >"$folder/real.$option"
        done
        echo "$name $(wc -l <"$folder/real.log") $(wc -c <"$folder/real.log") $(zstd -3 -qc "$folder/real.log" | wc -c)" \
            "$(zstd -19 -qc "$folder/real.log" | wc -c) $(cat "$folder/real.all") $(cat "$folder/real.none")"
    done >"$folder/real_logs"
    sql -c 'SET client_min_messages = warning' -c 'DROP TABLE IF EXISTS real'
}

load_logs() {
    g++ -std=c++20 -O2 "$top/test/bench/log_lines.cpp" -o "$folder/log_lines"
    "$folder/log_lines" "$log_rows" 2592000 >"$folder/lines.tsv"
    chmod 644 "$folder/lines.tsv"
    run=1
    while [ $run -le "$runs" ]; do
        say "logs, run $run of $runs" >&2
        for table in heap gin log; do load_lines $table; done
        run=$((run + 1))
    done
    for table in heap gin log; do sql -c "VACUUM ANALYZE lines_$table"; done
    for table in heap gin log; do
        sql -c "SELECT pg_total_relation_size('lines_$table')::float / $log_rows" >"$folder/$table.bytes"
    done
    zstd -3 -qc "$folder/lines.tsv" | wc -c | awk -v rows="$log_rows" '{ print $1 / rows }' >"$folder/zstd3"
    zstd -19 -T0 -qc "$folder/lines.tsv" | wc -c | awk -v rows="$log_rows" '{ print $1 / rows }' >"$folder/zstd19"
    query_lines
    delete_lines
    weigh_real_logs
    sql -c 'SET client_min_messages = warning' -c 'DROP TABLE lines_heap, lines_gin, lines_log'
}

report_logs() {
    say "" "## Logs" ""
    say "$log_rows generated records of 30 days (test/bench/log_lines.cpp). heap: without index; GIN: heap with" \
        "gin ($log_words) and btree (_arrival_time); log: its filter of words included. Median (least–most) of $runs" \
        "runs, and of 20 repetitions of each query; milliseconds as psql sees them." ""
    say '| COPY | unit | heap | log | log / heap |' '| --- | --- | ---: | ---: | ---: |'
    row 'rows a second of processor time' 'rows/s' heap.load log.load %.0f 1
    row 'rows a second' 'rows/s' heap.load_wall log.load_wall %.0f 1
    row 'size' 'bytes/row' heap.bytes log.bytes %.2f 1
    say "" '| | unit | GIN | log | GIN / log |' '| --- | --- | ---: | ---: | ---: |'
    row 'COPY, rows a second of processor time (log / GIN)' 'rows/s' gin.load log.load %.0f 1
    row 'size, indexes included' 'bytes/row' gin.bytes log.bytes %.2f 0
    row 'count of a rare word (30 records)' ms gin.rare log.rare %.2f 0
    row 'the records with a rare word' ms gin.rare_rows log.rare_rows %.2f 0
    row 'count of a word in 7 % of the records' ms gin.common log.common %.2f 0
    row 'the last 100 records with that word' ms gin.last_common log.last_common %.2f 0
    row 'the last 100 with the rare word' ms gin.last_rare log.last_rare %.2f 0
    row 'the last 100 records' ms gin.last log.last %.2f 0
    row 'ten minutes' ms gin.duration log.duration %.2f 0
    say "" '| half of the table goes | unit | heap, DELETE | log | heap / log |' '| --- | --- | ---: | ---: | ---: |'
    row delete_before ms heap.delete log.delete_before %.1f 0
    row delete_oldest ms heap.delete log.delete_oldest %.1f 0
    row delete_except ms heap.delete log.delete_except %.1f 0
    say "" "zstd of the same text: -3 $(cat "$folder/zstd3") bytes a record, -19 $(cat "$folder/zstd19")." ""
    [ -s "$folder/real_logs" ] || return 0
    say "Real logs, a table of their lines alone (and of their time of arrival): bytes of its segments, filter of words" \
        "included and without, and of its whole file; against zstd of the text." ""
    say '| set | lines | raw | zstd -3 | zstd -19 | log | without filter | file | log / -3 | without filter / -19 | file / -3 |'
    say '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |'
    awk '{ printf "| %s | %d | %d | %d | %d | %d | %d | %d | %.2f | %.2f | %.2f |\n",
        $1, $2, $3, $4, $5, $6, $8, $7, $6 / $4, $8 / $5, $7 / $4 }' "$folder/real_logs"
}
