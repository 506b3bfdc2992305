# Parts copy, insert, hour and delete of test/bench/run: a tag table against a heap table. Sourced.

# The time, and the processor's: the load of other programs changes the second less; and the WAL. copy_into heap|tag text|binary
copy_into() {
    points=$folder/points.tsv
    if [ "$2" = binary ]; then points=$folder/data/points.binary; fi
    sql <<SQL | awk -v rows="$rows" -v name="$1" -v format="$2" -v folder="$folder" '
        /^Time:/ { ms = $2 } /^cpu/ { cpu = $2 } /^wal/ { wal = $2 }
        END {
            printf "%.0f\n", rows * 1000 / ms >> (folder "/" name ".copy_" format)
            printf "%.0f\n", rows / (cpu > 0 ? cpu : 0.01) >> (folder "/" name ".copy_cpu_" format)
            printf "%.3f\n", wal / rows >> (folder "/" name ".copy_wal_" format)
        }'
SET client_min_messages = warning;
DROP TABLE IF EXISTS copy_$1;
CREATE TABLE copy_$1 (name text, time timestamptz, value double precision) USING $1;
CHECKPOINT;
CREATE FUNCTION pg_temp.ticks() RETURNS bigint LANGUAGE sql AS \$\$
    SELECT f[14]::bigint + f[15]::bigint FROM string_to_array(pg_read_file('/proc/self/stat'), ' ') AS f \$\$;
SELECT pg_temp.ticks() AS before, pg_current_wal_insert_lsn() AS wal_before \\gset
\\timing on
COPY copy_$1 FROM '$points' (FORMAT $2);
\\timing off
SELECT 'cpu ' || (pg_temp.ticks() - :before) / 100.0;
SELECT 'wal ' || pg_current_wal_insert_lsn() - :'wal_before';
SQL
}

# Processor time of all sessions that have ended, in seconds: the server has waited for its children, the last of them a moment
# after its client.
ended_sessions_seconds() {
    sleep 0.5
    sed 's/.*) //' "/proc/$(head -n 1 "$folder/data/postmaster.pid")/stat" |
        awk -v ticks="$(getconf CLK_TCK)" '{ print ($14 + $15) / ticks }'
}

# INSERT of single rows by pgbench: rows a second, and rows a second of the sessions' processor time. insert_into heap|tag on|off
insert_into() {
    sql -c "TRUNCATE insert_$1" -c CHECKPOINT
    seconds_before=$(ended_sessions_seconds)
    echo '\set tag random(0, 999)
\set value random(0, 100000)
INSERT INTO insert_'"$1"" VALUES ('site1.line25.temp_' || :tag, clock_timestamp(), :value / 100.0)" >"$folder/insert.sql"
    PGOPTIONS="-c synchronous_commit=$2" "$bindir/pgbench" -n -M prepared -c 2 -j 2 -T "$insert_seconds" -f "$folder/insert.sql" \
        2>/dev/null >"$folder/pgbench.out"
    sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$folder/pgbench.out" >>"$folder/$1.insert_$2"
    sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$folder/pgbench.out" |
        awk -v before="$seconds_before" -v after="$(ended_sessions_seconds)" '{ printf "%.0f\n", $1 / (after - before) }' \
            >>"$folder/$1.insert_cpu_$2"
}

# copy_heap and copy_tag, made anew each time, and INSERT, alternately. Once is enough when nobody asks for either.
load_and_insert() {
    sql -c 'CREATE TABLE insert_tag (name text, time timestamptz, value double precision) USING tag' \
        -c 'CREATE TABLE insert_heap (name text, time timestamptz, value double precision) USING heap' \
        -c 'CREATE INDEX ON insert_heap (name, time)'
    run=1
    last_run=1
    if wants copy insert; then last_run=$runs; fi
    while [ $run -le "$last_run" ]; do
        say "run $run of $last_run" >&2
        if wants copy || { [ $run = 1 ] && wants hour delete readers; }; then
            for am in heap tag; do copy_into $am text; done
        fi
        if wants copy; then
            if [ $run = 1 ]; then
                sql -c "COPY copy_heap TO '$folder/data/points.binary' (FORMAT binary)"
            fi
            for am in heap tag; do copy_into $am binary; done
        fi
        if wants insert; then
            for commit in on off; do
                for am in heap tag; do insert_into $am $commit; done
            done
        fi
        run=$((run + 1))
    done
    sql -c 'DROP TABLE insert_tag, insert_heap'
}

# Compacts and vacuums what COPY has left, makes the heap table's index, and takes the sizes.
finish_copies() {
    begin=$(now)
    sql -c "CALL compact('copy_tag')"
    compact_seconds=$(echo "$begin $(now)" | awk '{ print $2 - $1 }')
    sql -c 'VACUUM ANALYZE copy_tag' -c 'CREATE INDEX ON copy_heap (name, time)' -c 'VACUUM ANALYZE copy_heap' -c CHECKPOINT
    tag_bytes=$(sql -c "SELECT pg_total_relation_size('copy_tag')")
    heap_bytes=$(sql -c "SELECT pg_total_relation_size('copy_heap')")
}

# One tag, one hour, in ms; the tag changes with every query. The first query of a session is not counted.
#   query_hour table file
query_hour() {
    {
        printf '%s\n' '\timing on' "SELECT time, value FROM $1 WHERE name = 'site0.line00.temp_00000' LIMIT 1;"
        number=0
        while [ $number -lt 31 ]; do
            tag=$((number * 331 % 1000 / 3 * 3))
            printf "SELECT time, value FROM %s WHERE name = 'site%d.line%02d.temp_%05d' " \
                "$1" $((tag % 4)) $((tag / 20)) "$tag"
            printf "AND time >= '2026-01-01 %02d:00:00+00' AND time < '2026-01-01 %02d:00:00+00';\n" \
                $((number % hours)) $((number % hours + 1))
            number=$((number + 1))
        done
    } >"$folder/hour.sql"
    # Twice: the first pass warms the cache.
    sql -o /dev/null -f "$folder/hour.sql" >/dev/null
    sql -f "$folder/hour.sql" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -n +2 >>"$folder/$2"
}

# Another hundredth of the rows each time, the last time for good; a full aggregate before and after. Then the older half, and all
# rows of 50 tags, which lie side by side in a tag table; these stay.
delete_some() {
    aggregate='SELECT count(*), sum(value), max(time) FROM'
    for run in 1 2 3 4 5; do
        for am in heap tag; do time_statement $am.aggregate_before "$aggregate copy_$am" COMMIT; done
    done
    for part in 1 2 3 4 5; do
        if [ $part = 5 ]; then ending=COMMIT; else ending=ROLLBACK; fi
        for am in heap tag; do
            time_statement $am.delete "DELETE FROM copy_$am WHERE hashfloat8extended(value, $part) % 100 = 0" $ending
        done
    done
    for run in 1 2 3 4 5; do
        for am in heap tag; do time_statement $am.aggregate_after "$aggregate copy_$am" COMMIT; done
    done
    half="timestamptz '2026-01-01 00:00+00' + $((rows / 2000)) * interval '1 s'"
    for run in 1 2 3 4 5; do time_statement tag.delete_before "SELECT delete_before('copy_tag', $half)" ROLLBACK; done
    time_statement heap.delete_before "DELETE FROM copy_heap WHERE time < $half" ROLLBACK
    for run in 1 2 3 4 5; do
        for am in heap tag; do
            time_statement $am.delete_tags "DELETE FROM copy_$am WHERE name LIKE 'site0.line0%'" ROLLBACK
        done
    done
}

report_against_heap() {
    say "" "## Against a heap table" ""
    say "Median (least–most) of $runs runs; of 31 queries; of 5 DELETEs. Ratio: how many times better the tag table is." ""
    say '| | unit | heap | tag | ratio |' '| --- | --- | ---: | ---: | ---: |'
    against_heap() { row "$1" "$2" "heap.$3" "tag.$3" "$4" "$5"; }
    if wants copy; then
        for format in text binary; do
            against_heap "COPY $format, heap without index" 'rows/s' copy_$format %.0f 1
            against_heap 'the same, by processor time' 'rows/CPU s' copy_cpu_$format %.0f 1
        done
        against_heap 'WAL of COPY text' 'bytes/row' copy_wal_text %.2f 0
    fi
    if wants insert; then
        against_heap 'INSERT of single rows, 2 clients, heap with (name, time) index' 'rows/s' insert_on %.0f 1
        against_heap 'the same, by processor time of the sessions' 'rows/CPU s' insert_cpu_on %.0f 1
        against_heap 'the same, synchronous_commit = off' 'rows/s' insert_off %.0f 1
        against_heap 'the same, by processor time of the sessions' 'rows/CPU s' insert_cpu_off %.0f 1
    fi
    if wants hour; then against_heap 'one tag, one hour, heap with (name, time) index' ms hour %.2f 0; fi
    if wants delete; then
        against_heap 'DELETE of 1 % of the rows, at random, heap with (name, time) index' ms delete %.0f 0
        against_heap 'full aggregate before it' ms aggregate_before %.0f 0
        against_heap 'full aggregate after it' ms aggregate_after %.0f 0
        against_heap 'deleting the older half: DELETE, delete_before()' ms delete_before %.0f 0
        against_heap 'DELETE of all rows of 5 % of the tags' ms delete_tags %.0f 0
    fi
    if wants copy; then
        echo "$heap_bytes $tag_bytes $rows" | awk '{
            printf "| size, heap with (name, time) index, tag compacted | bytes/row | %.2f | %.2f | %.1f |\n",
                   $1 / $3, $2 / $3, $1 / $2 }'
        say "" "compact() took $compact_seconds s."
    fi
}
