# Part queries of test/bench/run: reads of tag tables against a heap table with a btree, and against TimescaleDB and DuckDB where
# they are at hand. Sourced.
#
# Tables, each of tag, heap, timescale and duckdb in the form that suits it best:
#   points   the rows of test/bench/generate.cpp, 1,000 tags at 1 Hz
#   noise    those of its noisy tags: a sine of ten minutes between 40 and 60, with noise. A granule holds an hour, so each has
#            values below 45, above 55 and between them, a third of its values: statistics cannot say what is between
#   many     a point a minute of many tags, 200 each
# Heap tables have a btree of (name, time), but for noise; hypertables are compressed by tag, in order of time; DuckDB's tables
# are sorted by tag and time.

query_start=1767225600   # 2026-01-01 00:00:00 UTC, when the points begin
one_tag=site0.line01.vib_00032

# So many seconds after the first point, as all systems read it.
after() { date -u -d "@$((query_start + $1))" '+%F %T'; }

# Names of tags, number i * step of each.
#   tag_names count step
tag_names() {
    awk -v count="$1" -v step="$2" 'BEGIN { split("temp count vib", kind, " ")
        for (i = 0; i < count * step; i += step)
            printf "site%d.line%02d.%s_%05d\n", i % 4, int(i / 20) % 100, kind[i % 3 + 1], i }'
}

# The numbers that the statements have in common, by the number of rows.
set_up_questions() {
    seconds=$(((rows + 999) / 1000))
    points_end=$(after "$seconds")
    last_hour=$(after $((seconds > 3600 ? seconds - 3600 : 0)))
    # The third hour. Half of the integer tags count, 3.5 a second from at most 1,000 on: theirs are the high values, of the
    # hour's last minutes. Value > 38000, if there are three hours.
    high_until=$((seconds < 10800 ? seconds : 10800))
    high_since=$((high_until > 3600 ? high_until - 3600 : 0))
    high_value=$((high_until * 7 / 2 + 200))
    many_seconds=$(((many_rows + many_tags - 1) / many_tags * 60))
    many_last_hour=$(after $((many_seconds > 3600 ? many_seconds - 3600 : 0)))
    many_names=$((many_tags < 1000 ? many_tags : 1000))
    tag_names "$many_names" $((many_tags / many_names)) >"$folder/names"
    names=$(paste -sd , "$folder/names")
    quoted_names=$(sed "s/.*/'&'/" "$folder/names" | paste -sd ,)
}

# Grafana's macros: $__timeGroup and $__timeFilter.
grafana_bucket() { echo "floor(extract(epoch from time)/$1)*$1"; }
grafana_times="time BETWEEN '2026-01-01T00:00:00Z' AND '2026-02-01T00:00:00Z'"

# The statement of a question in the dialect of a system.
#   statement question system
statement() {
    case $2 in
        heap) minute="date_bin('1 minute', time, '2000-01-01')" hour="date_bin('1 hour', time, '2000-01-01')" ;;
        duckdb) minute="time_bucket(INTERVAL '1 minute', time)" hour="time_bucket(INTERVAL '1 hour', time)" ;;
        *) minute="time_bucket('1 minute', time)" hour="time_bucket('1 hour', time)" ;;
    esac
    case $1 in
        hour)
            echo "SELECT time, value FROM points_$2" \
                "WHERE name = '$one_tag' AND time >= '$last_hour' AND time < '$points_end'" ;;
        hour_inside | high_inside) echo "EXPLAIN (ANALYZE, TIMING OFF) $(statement "${1%_inside}" "$2")" ;;
        minutes) echo "SELECT $minute, avg(value) FROM points_$2 WHERE name = '$one_tag' GROUP BY 1 ORDER BY 1" ;;
        minutes_grafana)
            echo "SELECT $(grafana_bucket 60) AS \"time\", avg(value) FROM points_$2" \
                "WHERE name = '$one_tag' AND $grafana_times GROUP BY 1 ORDER BY 1" ;;
        hours) echo "SELECT name, $hour, avg(value) FROM points_$2 GROUP BY 1, 2" ;;
        hours_grafana)
            echo "SELECT $(grafana_bucket 3600) AS \"time\", name AS metric, avg(value) FROM points_$2" \
                "WHERE $grafana_times GROUP BY 1, 2" ;;
        last) last_points "$2" ;;
        totals) echo "SELECT count(*), avg(value), min(value), max(value) FROM points_$2" ;;
        high)
            echo "SELECT name, time, value FROM points_$2" \
                "WHERE time >= '$(after $high_since)' AND time < '$(after $high_until)' AND value > $high_value" ;;
        extremes) echo "SELECT count(*), min(value), max(value) FROM points_$2 WHERE name = '$one_tag'" ;;
        middle) echo "SELECT sum(value) FROM points_$2 WHERE value BETWEEN 45 AND 55" ;;
        noise) echo "SELECT sum(value) FROM noise_$2 WHERE value BETWEEN 45 AND 55" ;;
        many_hour) echo "SELECT time, value FROM many_$2 WHERE name = '$one_tag' AND time >= '$many_last_hour'" ;;
        many_latest) latest_points "$2" ;;
    esac
}

# The last point of every tag. A heap table's btree is skipped through by recursion, tag by tag: DISTINCT ON would read all of it.
last_points() {
    case $1 in
        heap) cat <<'SQL' ;;
WITH RECURSIVE last AS (
    (SELECT name, time, value FROM points_heap ORDER BY name DESC, time DESC LIMIT 1)
    UNION ALL
    SELECT earlier.* FROM last, LATERAL (SELECT name, time, value FROM points_heap AS p
        WHERE p.name < last.name ORDER BY name DESC, time DESC LIMIT 1) AS earlier)
SELECT * FROM last
SQL
        duckdb) echo "SELECT name, max(time), arg_max(value, time) FROM points_duckdb GROUP BY name" ;;
        *) echo "SELECT DISTINCT ON (name) name, time, value FROM points_$1 ORDER BY name, time DESC" ;;
    esac
}

latest_points() {
    case $1 in
        tag) echo "SELECT * FROM latest('many_tag', names => '{$names}')" ;;
        duckdb)
            echo "SELECT name, max(time), arg_max(value, time) FROM many_duckdb" \
                "WHERE name IN ($quoted_names) GROUP BY name" ;;
        *)
            echo "SELECT last.* FROM unnest('{$names}'::text[]) AS wanted (name), LATERAL (SELECT name, time, value" \
                "FROM many_$1 AS p WHERE p.name = wanted.name ORDER BY time DESC LIMIT 1) AS last" ;;
    esac
}

# What a table is made of, and what is done once its rows are in it.
#   load_table table file system
load_table() {
    made=$1_$3
    columns='name text, time timestamptz NOT NULL, value double precision'
    case $3 in
        tag)
            sql -c "CREATE TABLE $made ($columns) USING tag" -c "COPY $made FROM '$2'" -c "CALL compact('$made')" \
                -c "VACUUM ANALYZE $made" ;;
        heap)
            sql -c "CREATE TABLE $made ($columns) USING heap" -c "COPY $made FROM '$2'"
            if [ "$1" != noise ]; then sql -c "CREATE INDEX ON $made (name, time)"; fi
            sql -c "VACUUM ANALYZE $made" ;;
        timescale)
            sql -d timescale -c "CREATE TABLE $made ($columns)" -c "SELECT create_hypertable('$made', 'time')" \
                -c "COPY $made FROM '$2'" -c "ALTER TABLE $made SET (timescaledb.compress,
                    timescaledb.compress_segmentby = 'name', timescaledb.compress_orderby = 'time DESC')" \
                -c "SELECT compress_chunk(chunk) FROM show_chunks('$made') AS chunk" -c "VACUUM ANALYZE $made" >/dev/null ;;
        duckdb)
            node "$top/test/bench/duckdb.mjs" "$folder/duckdb" <<SQL ;;
CREATE TABLE $made AS
SELECT * FROM read_csv('$2', delim = '\t', header = false, columns = {'name': 'VARCHAR', 'time': 'TIMESTAMP', 'value': 'DOUBLE'})
ORDER BY name, time;
CHECKPOINT;
SQL
    esac
}

# The systems at hand: $systems; what is to be said of them and of the others: $compared.
find_systems() {
    systems='tag heap'
    compared=' heap tables with a btree (name, time).'
    timescale=$(sql -c "SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'")
    if [ -z "$timescale" ]; then
        compared="$compared Not with TimescaleDB: the server does not have it."
    elif sql -c 'CREATE DATABASE timescale' && sql -d timescale -c 'CREATE EXTENSION timescaledb' >&2; then
        systems="$systems timescale"
        compared="$compared TimescaleDB $timescale."
    else
        compared="$compared Not with TimescaleDB $timescale: it could not be created."
    fi
    if duckdb=$(node "$top/test/bench/duckdb.mjs" version 2>/dev/null); then
        systems="$systems duckdb"
        compared="$compared DuckDB $duckdb, its node package."
    else
        compared="$compared Not with DuckDB: \`make bench-peers\` installs it for node."
    fi
}

has_system() { case " $systems " in *" $1 "*) return 0 ;; esac; return 1; }

database_of() { if [ "$1" = timescale ]; then echo timescale; else echo postgres; fi; }

# The statement in question.sql so often in one session of a database: what psql says of it.
repeat_in_psql() {
    {
        printf '%s\n' '\timing on'
        for repetition in $(seq "$2"); do
            cat "$folder/question.sql"
            echo ';'
        done
    } | sql -d "$1"
}

milliseconds() { sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'; }

# Asks for the first time. How many rows come: question.system.count; milliseconds: question.system.first.
ask_first() {
    statement "$1" "$2" >"$folder/question.sql"
    if [ "$2" = duckdb ]; then
        node "$top/test/bench/duckdb.mjs" "$folder/duckdb" 1 <"$folder/question.sql" >"$folder/answer"
        head -n 1 "$folder/answer" >"$folder/$1.$2.count"
        tail -n 1 "$folder/answer" >"$folder/$1.$2.first"
    else
        repeat_in_psql "$(database_of "$2")" 1 >"$folder/answer"
        sed '/^Time: /d' "$folder/answer" | wc -l >"$folder/$1.$2.count"
        milliseconds <"$folder/answer" >"$folder/$1.$2.first"
    fi
}

# Asks in one session, as often as the first time suggests, after once that does not count unless it takes long; appends the
# median of the milliseconds: question.system.
ask() {
    statement "$1" "$2" >"$folder/question.sql"
    times=$(awk '{ print $1 < 25 ? 20 : $1 < 250 ? 5 : 1 }' "$folder/$1.$2.first")
    if [ "$2" = duckdb ]; then
        node "$top/test/bench/duckdb.mjs" "$folder/duckdb" "$times" <"$folder/question.sql" | tail -n +2 >"$folder/times"
    else
        repeat_in_psql "$(database_of "$2")" $((times > 1 ? times + 1 : 1)) | milliseconds | tail -n "$times" >"$folder/times"
    fi
    median "$folder/times" >>"$folder/$1.$2"
}

# 16 clients ask for the last hour of tags at random.
ask_by_clients() {
    cat >"$folder/clients.sql" <<SQL
\\set tag random(0, 999)
SELECT time, value FROM points_$1
WHERE name = 'site' || (:tag % 4)::text || '.line' || lpad((:tag / 20)::text, 2, '0')
          || (ARRAY['.temp_', '.count_', '.vib_'])[:tag % 3 + 1] || lpad(:tag::text, 5, '0')
  AND time >= '$last_hour' AND time < '$points_end';
SQL
    "$bindir/pgbench" -n -M simple -c 16 -j 2 -T "$insert_seconds" -f "$folder/clients.sql" "$(database_of "$1")" 2>/dev/null |
        sed -n 's/^tps = \([0-9.]*\).*/\1/p' >>"$folder/clients.$1"
}

questions='hour hour_inside minutes minutes_grafana hours hours_grafana last totals high high_inside extremes middle noise
    many_hour many_latest'

ask_questions() {
    set_up_questions
    find_systems
    grep -F .vib_ "$folder/points.tsv" >"$folder/noise.tsv"
    "$folder/generate" "$many_rows" 0 "$many_tags" 60 >"$folder/many.tsv"
    chmod 644 "$folder/noise.tsv" "$folder/many.tsv"
    for table in points noise many; do
        for system in $systems; do
            say "queries, loading $table: $system" >&2
            load_table $table "$folder/$table.tsv" "$system"
        done
    done
    rm "$folder/noise.tsv" "$folder/many.tsv"
    sql -c CHECKPOINT
    for question in $questions; do
        for system in $systems; do
            case $system.$question in duckdb.*_inside) ;; *) ask_first $question "$system" ;; esac
        done
    done
    run=1
    while [ $run -le "$runs" ]; do
        say "queries, run $run of $runs" >&2
        for question in $questions; do
            for system in $systems; do
                if [ ! -f "$folder/$question.$system.first" ]; then continue; fi
                # Three times are enough for what takes seconds.
                if [ $run -gt 3 ] && awk '{ exit !($1 > 1000) }' "$folder/$question.$system.first"; then continue; fi
                ask $question "$system"
            done
        done
        for system in tag heap timescale; do
            if has_system $system; then ask_by_clients $system; fi
        done
        run=$((run + 1))
    done
    sql -c 'DROP TABLE points_tag, points_heap, noise_tag, noise_heap, many_tag, many_heap'
}

# Median, least and most of a file of numbers, or nothing.
spread() {
    [ ! -s "$folder/$1" ] || echo "$(median "$folder/$1") $(least "$folder/$1") $(most "$folder/$1")"
}

# A row: what a question is, its goal, medians of all systems and how many times those of the others are the tag table's.
#   question_row question goal words ...
question_row() {
    question=$1
    goal=$2
    shift 2
    {
        for system in tag heap timescale duckdb; do echo "$system $(spread "$question.$system")"; done
    } | awk -v what="$*" -v goal="$goal" -v count="$(cat "$folder/${question%_inside}.tag.count")" '
        { median[$1] = $2; cell[$1] = NF > 1 ? sprintf("%.2f (%.2f–%.2f)", $2, $3, $4) : "–" }
        function ratio(a, b) { return (a > 0 && b > 0) ? sprintf("%.2f", a / b) : "–" }
        END { goal_cell = (goal > 0) ? sprintf("%.2f", goal) : "–"
              printf "| %s | %s | %s | %s | %s | %s | %s", what, count, goal_cell,
                  cell["tag"], cell["heap"], cell["timescale"], cell["duckdb"]
              printf " | %s | %s | %s | %s |\n", ratio(goal, median["tag"]), ratio(median["heap"], median["tag"]),
                  ratio(median["timescale"], median["tag"]), ratio(median["duckdb"], median["tag"]) }'
}

# So many times the median of a question, or nothing if the system is not at hand.
times_median() {
    [ ! -s "$folder/$2" ] || median "$folder/$2" | awk -v times="$1" '{ print times * $1 }'
}

# Questions whose answers do not have as many rows from every system.
find_differences() {
    for question in $questions; do
        case $question in *_inside) continue ;; esac
        for system in $systems; do
            counts="$(cat "$folder/$question.tag.count") $(cat "$folder/$question.$system.count")"
            if [ "${counts% *}" = "${counts#* }" ]; then continue; fi
            say "" "Different answers: $question, ${counts% *} rows from tag, ${counts#* } from $system."
        done
    done
}

report_queries() {
    say "" "## Queries" ""
    say "$rows points of 1,000 tags at 1 Hz (test/bench/generate.cpp); their noisy tags alone; $many_rows points of $many_tags" \
        "tags, one a minute. Tables and statements of each system: test/bench/queries.sh. Compacted, indexed, analyzed, warm." ""
    say "Milliseconds as psql sees them, values written out as text and sent; \"inside\": the same by EXPLAIN (ANALYZE," \
        "TIMING OFF), nothing written out or sent. DuckDB runs within the process that asks. A run's number is the median of 20" \
        "repetitions (of 5 from 25 ms on, 1 from 250 ms on); of these the median (least–most) of $runs runs, of 3 from a second" \
        "on. Systems alternate. Goals are for 20,000,000 rows; ratios: how many times better the tag table is." ""
    say "Compared with:$compared" ""
    say '| | rows | goal | tag | heap | TimescaleDB | DuckDB | goal / tag | heap / tag | TimescaleDB / tag | DuckDB / tag |' \
        '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |'
    question_row hour 0.7 'one tag, last hour, its rows'
    question_row hour_inside 0 'the same, inside'
    question_row minutes 0.6 'one tag, all of it, average a minute'
    question_row minutes_grafana "$(times_median 1.2 minutes.tag)" "the same as Grafana asks (goal: 1.2 times that)"
    question_row hours 40 'all tags, average an hour'
    question_row hours_grafana "$(times_median 1.2 hours.tag)" "the same as Grafana asks (goal: 1.2 times that)"
    question_row last 5 'last point of every tag'
    question_row totals 2 'count, avg, min, max of everything'
    question_row high 5 'all tags, one hour, the rows of high values'
    question_row high_inside 0 'the same, inside'
    question_row extremes 0.3 'one tag, all of it, count, min, max'
    question_row middle "$(times_median 1 middle.duckdb)" 'sum of the values from 45 to 55, all tags (goal: DuckDB)'
    question_row noise "$(times_median 1 noise.duckdb)" 'the same, noisy tags alone, a third of whose values it is (goal: DuckDB)'
    question_row many_hour 1 "one of $many_tags tags, last hour, its rows"
    question_row many_latest 5 "latest point of $many_names of $many_tags tags"
    find_differences
    say "" "16 clients that ask for the last hour of tags at random, pgbench, $insert_seconds s a run." ""
    say '| | unit | heap, btree | tag | tag / heap |' '| --- | --- | ---: | ---: | ---: |'
    row 'one tag, last hour' 1/s clients.heap clients.tag %.0f 1
    if has_system timescale; then
        say "" '| | unit | TimescaleDB | tag | tag / TimescaleDB |' '| --- | --- | ---: | ---: | ---: |'
        row 'one tag, last hour' 1/s clients.timescale clients.tag %.0f 1
    fi
}
