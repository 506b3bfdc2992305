# Part sizes of test/bench/run: what real sensor data take, set by set, everything included, and what small tables take. Sourced.
#
# The sets are HISTORIAN_DATA_DIR/sensors/*.csv.zst (name, time, value; in order of time), where they are at hand. Sizes repeat
# exactly: one run is enough, and nothing is timed.

# Goals in bytes a row, after compact(): of the sets that have one.
goal_of_set() {
    case $1 in
        nab) echo 1.8 ;;
        room_occupancy) echo 0.4 ;;
        power) echo 1.3 ;;
        strasbourg_weather) echo 1.0 ;;
        beijing_air) echo 0.60 ;;
        *) echo - ;;
    esac
}

# Bytes of a tag table of the rows of a query, its file and its segments: weigh_tag_table columns query
weigh_tag_table() {
    sql -c 'SET client_min_messages = warning' -c 'DROP TABLE IF EXISTS set_tag' -c "CREATE TABLE set_tag ($1) USING tag" \
        -c "INSERT INTO set_tag $2" -c "CALL compact('set_tag')" -c "VACUUM ANALYZE set_tag"
    sql -A -F ' ' -c "SELECT pg_table_size('set_tag'), encoded_bytes FROM historian_size('set_tag')"
}

# Bytes of its file when it is packed hard.
weigh_hard() {
    sql -c 'SET historian.merge_effort = high' -c "CALL compact('set_tag')" -c 'VACUUM set_tag'
    sql -c "SELECT pg_table_size('set_tag')"
}

# The rows of a table, in any order: weigh nothing, but must be those of the heap table.
fingerprint_of() {
    sql -c "SELECT count(*), sum(hashtextextended(r::text, 0)::numeric) FROM $1 AS r"
}
check_rows() {
    [ "$(fingerprint_of set_tag)" = "$(fingerprint_of set_heap)" ] || fail "$1: the tag table has other rows than the heap table"
}

# Adds a line to $folder/sensor_sets: weigh_sensor_set name
weigh_sensor_set() {
    sql -c 'SET client_min_messages = warning' -c 'DROP TABLE IF EXISTS set_heap' \
        -c 'CREATE TABLE set_heap (name text, time timestamptz NOT NULL, value double precision) USING heap' \
        -c "COPY set_heap FROM '$folder/set.csv' (FORMAT csv, HEADER)" -c 'CREATE INDEX ON set_heap (name, time)' \
        -c 'VACUUM ANALYZE set_heap'
    heap=$(sql -A -F ' ' -c "SELECT count(*), pg_table_size('set_heap'), pg_total_relation_size('set_heap') FROM set_heap")
    whole=$(weigh_tag_table 'name text, time timestamptz NOT NULL, value float8' 'SELECT * FROM set_heap')
    check_rows "$1"
    hard=$(weigh_hard)
    check_rows "$1, packed hard"
    times=$(weigh_tag_table 'name text, time timestamptz NOT NULL' 'SELECT name, time FROM set_heap')
    echo "$1 $heap $whole $hard $times $(weigh_influxdb) $(weigh_victoria_metrics)" >>"$folder/sensor_sets"
    sql -c 'DROP TABLE set_heap, set_tag'
}

weigh_sensor_sets() {
    : >"$folder/sensor_sets"
    for packed in "${HISTORIAN_DATA_DIR:-$top/../shared/data}/sensors"/*.csv.zst; do
        [ -f "$packed" ] || continue
        name=$(basename "$packed" .csv.zst)
        say "sizes, $name" >&2
        zstd -dqcf "$packed" >"$folder/set.csv"
        chmod 644 "$folder/set.csv"
        weigh_sensor_set "$name"
    done
    for count in 1000 10000 100000; do
        weigh_tag_table 'name text, time timestamptz NOT NULL, value float8' "SELECT 'sensor' || i % 10,
            timestamptz '2026-01-01 00:00+00' + i / 10 * interval '10 s', round((20 + sin(i / 500.0) * 5)::numeric, 2)
            FROM generate_series(0, $count - 1) AS i" >"$folder/small.$count"
    done
    rm -f "$folder/set.csv"
}

report_sensor_sets() {
    say "" "## Sizes" "" "Real sensor data, bytes a row after compact(). Segments: without the pages' own bytes and the" \
        "directory." \
        "Hard: after SET historian.merge_effort = high and compact()." \
        "Without values: a table of the same names and times alone. Peers: test/bench/size_peers.sh." ""
    columns='| set | rows | heap | with (name, time) index | tag | goal | segments | hard | without values | InfluxDB '
    say "$columns| VictoriaMetrics | heap / tag |"
    say '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |'
    while read -r name count heap indexed file segments hard times_file times_segments influxdb victoria; do
        goal=$(goal_of_set "$name")
        echo "$name $count $heap $indexed $file $goal $segments $hard $times_segments $influxdb $victoria" | awk '
            function of_peer(bytes) { return bytes == "-" ? "–" : sprintf("%.3f", bytes / $2) }
            { printf "| %s | %d | %.1f | %.1f | %.3f | %s | %.3f | %.3f | %.3f | %s | %s | %.0f |\n", $1, $2, $3 / $2, $4 / $2,
                $5 / $2, $6, $7 / $2, $8 / $2, $9 / $2, of_peer($10), of_peer($11), $3 / $5 }'
    done <"$folder/sensor_sets"
    say "" "Small tables: rows of 10 tags, one each ten seconds, a sine of two decimals; bytes." "" \
        '| rows | file | segments | goal |' '| ---: | ---: | ---: | --- |'
    for count in 1000 10000 100000; do
        read -r file segments <"$folder/small.$count"
        case $count in 1000) goal='at most 65536' ;; 100000) goal='at most twice the segments' ;; *) goal= ;; esac
        say "| $count | $file | $segments | $goal |"
    done
}
