# Part late of test/bench/run: a tenth of the points comes an hour to 30 days late. Sourced.

# The rows in 40 files, as a consumer would deliver them.
#   split_rows name late_share
split_rows() {
    "$folder/generate" "$rows" "$2" | split -l $(((rows + 39) / 40)) -d -a 2 - "$folder/$1.part."
    chmod 644 "$folder/$1.part."*
}

# COPY by COPY, while the worker seals and merges. Rows per second until the last one is committed: name.ingest; until the worker
# has nothing left to do: name.settled.
ingest() {
    sql -c 'SET client_min_messages = warning' -c "DROP TABLE IF EXISTS late_$1" \
        -c "CREATE TABLE late_$1 (name text, time timestamptz, value double precision) USING tag" -c CHECKPOINT
    for file in "$folder/$1.part."*; do echo "COPY late_$1 FROM '$file';"; done >"$folder/ingest.sql"
    begin=$(now)
    sql -f "$folder/ingest.sql"
    committed=$(now)
    settled=$(wait_until_quiet "late_$1")
    echo "$begin $committed $settled $rows" | awk -v name="$folder/$1" '{
        printf "%.0f\n", $4 / ($2 - $1) >> (name ".ingest")
        printf "%.0f\n", $4 / (($3 > $2 ? $3 : $2) - $1) >> (name ".settled") }'
}

come_late() {
    split_rows in_order 0
    split_rows late 0.1
    run=1
    while [ $run -le "$runs" ]; do
        say "late points, run $run of $runs" >&2
        for set in in_order late; do ingest $set; done
        run=$((run + 1))
    done
    for set in in_order late; do
        rm -f "$folder/$set.part."*
        sql -c "CALL compact('late_$set')" -c "VACUUM ANALYZE late_$set"
    done
    for run in 1 2 3 4 5; do
        for set in in_order late; do
            query_hour late_$set $set.hour
            time_statement $set.aggregate "SELECT count(*), sum(value), max(time) FROM late_$set" COMMIT
        done
    done
    for set in in_order late; do
        sql -c "SELECT pg_total_relation_size('late_$set')::float / $rows" >"$folder/$set.bytes"
        sql -c "DROP TABLE late_$set"
    done
}

report_late() {
    say "" "## Late points" ""
    say "A tenth of the points, at random, is an hour to 30 days older than what comes with it. 40 COPYs one after the other," \
        "historian's worker on; queries after compact(). Median (least–most) of $runs runs; of 150 queries; of 5 aggregates." ""
    say '| | unit | in order | late | late / in order |' '| --- | --- | ---: | ---: | ---: |'
    row 'COPY, until the last one is committed' 'rows/s' in_order.ingest late.ingest %.0f 1
    row 'COPY, until the worker has nothing left to do' 'rows/s' in_order.settled late.settled %.0f 1
    row 'one tag, one hour (a tenth fewer rows when late)' ms in_order.hour late.hour %.2f 1
    row 'full aggregate' ms in_order.aggregate late.aggregate %.0f 1
    row 'size' bytes/row in_order.bytes late.bytes %.2f 1
}
