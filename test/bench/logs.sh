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

# Milliseconds of a query, so often (20 times by default) in one session, after a time that warms the cache.
#   time_query file query [repetitions]
time_query() {
    {
        printf '%s\n' '\timing on'
        for repeat in $(seq 0 "${3:-20}"); do echo "$2;"; done
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
    sql -c 'SET client_min_messages = warning' -c 'DROP TABLE lines_heap, lines_gin, lines_log'
    weigh_log_sets
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
    report_log_sets
}
