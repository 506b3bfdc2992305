# Part memory of test/bench/run: how much memory COPY of many rows of many tags takes. Sourced.
#
# Counted is the anonymous memory of the server process that runs COPY (RssAnon of /proc/PID/status, sampled ten times a second):
# what it has for itself, without shared buffers.

# The goal, beyond maintenance_work_mem.
copy_memory_beyond_mb=64

# Megabytes of a process's anonymous memory, at most, until it ends.
most_anonymous_mb() {
    most=0
    while kb=$(sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status" 2>/dev/null) && [ -n "$kb" ]; do
        if [ "$kb" -gt "$most" ]; then most=$kb; fi
        sleep 0.1
    done
    echo $((most / 1024))
}

# Adds a line "setting memory seconds bytes_a_row" to $folder/copy_memory: weigh_copy megabytes
weigh_copy() {
    say "memory, COPY of $memory_rows rows of $memory_tags tags, maintenance_work_mem = $1 MB" >&2
    sql -c 'CREATE TABLE memory_tag (name text, time timestamptz, value double precision) USING tag'
    begin=$(now)
    PGAPPNAME=memory PGOPTIONS="-c maintenance_work_mem=${1}MB" sql \
        -c "COPY memory_tag FROM PROGRAM '$folder/generate $memory_rows 0 $memory_tags'" &
    copying=$!
    pid=
    while [ -z "$pid" ]; do
        sleep 0.1
        pid=$(sql -c "SELECT pid FROM pg_stat_activity WHERE application_name = 'memory' AND query LIKE 'COPY%'")
    done
    most=$(most_anonymous_mb "$pid")
    wait $copying
    seconds=$(echo "$begin $(now)" | awk '{ printf "%.1f", $2 - $1 }')
    [ "$(sql -c 'SELECT count(*) FROM memory_tag')" = "$memory_rows" ] || fail "memory: rows are missing"
    sql -c "CALL compact('memory_tag')"
    bytes=$(sql -c "SELECT round(pg_table_size('memory_tag')::numeric / $memory_rows, 2)")
    echo "$1 $most $seconds $bytes" >>"$folder/copy_memory"
    sql -c 'DROP TABLE memory_tag'
}

weigh_copies() {
    : >"$folder/copy_memory"
    for megabytes in 64 512; do weigh_copy $megabytes; done
}

report_copy_memory() {
    say "" "## Memory" "" \
        "COPY of $memory_rows rows of $memory_tags tags, one a tag and second; the generator runs beside it." "" \
        "| maintenance_work_mem, MB | anonymous memory at most, MB | goal: less than, MB | seconds | bytes a row, compacted |" \
        '| ---: | ---: | ---: | ---: | ---: |'
    while read -r setting most seconds bytes; do
        say "| $setting | $most | $((setting + copy_memory_beyond_mb)) | $seconds | $bytes |"
    done <"$folder/copy_memory"
}
