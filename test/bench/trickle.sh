# Part trickle of test/bench/run: batches of 1,000 rows and a reader of one tag's last hour (trickle.cpp). Sourced.

# Two hours of points to begin with. Rows per second: am.trickle; milliseconds of the reader: am.last_hour, and of a query
# that reads no table: am.control; bytes of WAL for a row, what sealing and merging wrote included: am.wal; of the table:
# am.stored. How often a row was written to segments: written.
trickle_into() {
    say "trickle into a $1 table" >&2
    prefilled=$((rows < 7200000 ? rows : 7200000))
    sql -c "CREATE TABLE trickle_$1 (name text, time timestamptz, value double precision) USING $1" \
        -c "COPY trickle_$1 FROM PROGRAM 'head -n $prefilled $folder/points.tsv'"
    if [ "$1" = heap ]; then sql -c 'CREATE INDEX ON trickle_heap (name, time)'; else wait_until_quiet trickle_tag >/dev/null; fi
    sql -c "VACUUM ANALYZE trickle_$1" -c CHECKPOINT
    begin=$(sql -c 'SELECT pg_current_wal_insert_lsn()')
    "$folder/trickle" "trickle_$1" $(((prefilled + 999) / 1000)) "$trickle_seconds" $((trickle_seconds / 4)) "$trickle_rate" \
        "$folder/$1.latencies" >"$folder/$1.trickled"
    if [ "$1" = tag ]; then wait_until_quiet trickle_tag >/dev/null; fi
    read -r counted seconds inserted <"$folder/$1.trickled"
    awk '{ print $2 }' "$folder/$1.latencies" >"$folder/$1.last_hour"
    awk '{ print $4 }' "$folder/$1.latencies" >"$folder/$1.control"
    echo "$counted $seconds" | awk '{ printf "%.0f\n", $1 / $2 }' >"$folder/$1.trickle"
    sql -c "SELECT round((pg_current_wal_insert_lsn() - '$begin') / $inserted, 1)" >"$folder/$1.wal"
    sql -c "SELECT round(pg_total_relation_size('trickle_$1')::numeric / ($prefilled + $inserted), 2)" >"$folder/$1.stored"
    if [ "$1" = tag ]; then
        sql -c "SELECT round(1 + rows_rewritten::numeric / rows_stored, 2) FROM historian_size('trickle_tag')" >"$folder/written"
    fi
    sql -c "DROP TABLE trickle_$1"
}

report_trickle() {
    say "" "## Trickle" ""
    say "One client inserts batches of 1,000 rows by a prepared INSERT ... SELECT unnest, one a tag and simulated second, for" \
        "$trickle_seconds s; every 50 ms another one reads one tag's last hour. Sealing and merging go on meanwhile." \
        "What the query that reads no table waits, it waits for a processor." ""
    say '| | unit | heap with (name, time) index | tag |' '| --- | --- | ---: | ---: |'
    both() { echo "| $1 | $2 | $3 | $4 |"; }
    both 'rows inserted' 'rows/s' "$(cat "$folder/heap.trickle")" "$(cat "$folder/tag.trickle")"
    for share in 0.5 0.95 0.99 1; do
        case $share in 0.5) what=median ;; 1) what=longest ;; *) what="${share#0.}th percentile" ;; esac
        both "last hour of one tag, $what" ms "$(percentile "$folder/heap.last_hour" $share)" \
            "$(percentile "$folder/tag.last_hour" $share)"
    done
    for share in 0.5 0.99; do
        if [ $share = 0.5 ]; then what=median; else what='99th percentile'; fi
        both "a query that reads no table, $what" ms "$(percentile "$folder/heap.control" $share)" \
            "$(percentile "$folder/tag.control" $share)"
    done
    both 'WAL, what sealing and merging write included' bytes/row "$(cat "$folder/heap.wal")" "$(cat "$folder/tag.wal")"
    both 'writes of a row to segments, by sealing and merging' times '' "$(cat "$folder/written")"
    both 'table at the end, without compact()' bytes/row "$(cat "$folder/heap.stored")" "$(cat "$folder/tag.stored")"
}
