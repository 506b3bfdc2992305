# Part growth of test/bench/run: the last hour of one tag's rows among $rows rows, and among $growth times as many. Sourced.

# load_grown table rows
load_grown() {
    say "growth, loading $2 rows" >&2
    sql -c "CREATE TABLE $1 (name text, time timestamptz NOT NULL, value double precision) USING tag" \
        -c "COPY $1 FROM PROGRAM '$folder/generate $2'" -c "CALL compact('$1')" -c "VACUUM ANALYZE $1"
}

# Milliseconds, alternately: growth.few, growth.many, each a median of 20 in one session. What the tables take: *.stored.
read_growing() {
    load_grown few_rows "$rows"
    load_grown many_rows $((rows * growth))
    run=1
    while [ $run -le "$runs" ]; do
        for size in few many; do
            count=$rows
            if [ $size = many ]; then count=$((rows * growth)); fi
            seconds=$((count / 1000))
            echo "SELECT time, value FROM ${size}_rows WHERE name = '$one_tag'" \
                "AND time >= '$(after $((seconds > 3600 ? seconds - 3600 : 0)))' AND time < '$(after $seconds)'" \
                >"$folder/question.sql"
            repeat_in_psql postgres 21 | milliseconds | tail -n 20 >"$folder/times"
            median "$folder/times" >>"$folder/growth.$size"
        done
        run=$((run + 1))
    done
    for size in few many; do
        sql -c "SELECT round(pg_table_size('${size}_rows')::numeric / (SELECT count(*) FROM ${size}_rows), 2)" \
            >"$folder/growth.$size.stored"
    done
    sql -c 'DROP TABLE few_rows, many_rows'
}

report_growth() {
    say "" "## Growth" "" "| | unit | $rows rows | $((rows * growth)) rows | more / fewer (goal: at most 1.3) |" \
        '| --- | --- | ---: | ---: | ---: |'
    row 'one tag, last hour, its rows' ms growth.few growth.many %.2f 1
    row 'table' bytes/row growth.few.stored growth.many.stored %.2f 1
}
