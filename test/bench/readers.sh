# Part readers of test/bench/run: what two readers notice of delete_before. Sourced.

# Two clients ask for one tag and one hour without a pause; meanwhile the older half is deleted five times, the last time for
# good. Milliseconds of delete_before: tag.beside; of the readers' queries before the first one: readers.before, and of those
# that ran while one did, from psql's start to its end: readers.while.
read_beside_delete_before() {
    cat >"$folder/reader.sql" <<SQL
\\set tag 3 * random(0, 332)
\\set hour random(0, $((hours - 1)))
SELECT time, value FROM copy_tag
WHERE name = 'site' || (:tag % 4)::text || '.line' || lpad((:tag / 20)::text, 2, '0') || '.temp_' || lpad(:tag::text, 5, '0')
  AND time >= timestamptz '2026-01-01 00:00+00' + :hour * interval '1 h'
  AND time < timestamptz '2026-01-01 00:00+00' + (:hour + 1) * interval '1 h';
SQL
    rm -f "$folder"/reader.log.*
    "$bindir/pgbench" -n -c 2 -j 2 -T 15 -l --log-prefix="$folder/reader.log" -f "$folder/reader.sql" >"$folder/reader.out" 2>&1 &
    readers=$!
    sleep 2
    half="timestamptz '2026-01-01 00:00+00' + $((rows / 2000)) * interval '1 s'"
    for ending in ROLLBACK ROLLBACK ROLLBACK ROLLBACK COMMIT; do
        begin=$(now)
        time_statement tag.beside "SELECT delete_before('copy_tag', $half)" $ending
        echo "$begin $(now)" >>"$folder/beside.spans"
        sleep 2
    done
    wait "$readers" || true
    # A line of pgbench's log: client, transaction, microseconds, script, and when it ended: seconds, microseconds.
    cat "$folder"/reader.log.* | awk -v folder="$folder" '
        BEGIN {
            while ((getline line < (folder "/beside.spans")) > 0) {
                split(line, span)
                n++
                begin[n] = span[1]
                end[n] = span[2]
            }
        }
        { until = $5 + $6 / 1e6; since = until - $3 / 1e6; to = until < begin[1] ? "before" : ""
          for (i = 1; i <= n; i++) if (since < end[i] && until > begin[i]) to = "while"
          if (to != "") printf "%.3f\n", $3 / 1e3 >> (folder "/readers." to) }'
    reader_queries=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$folder/reader.out")
    reader_failures=$(awk '/^number of failed transactions:/ { n += $5 } / aborted / { n++ }
        END { print n + 0 }' "$folder/reader.out")
}

report_readers() {
    say "" "## Readers beside delete_before" ""
    say "delete_before of the older half five times, the last time for good: median $(median "$folder/tag.beside") ms" \
        "($(least "$folder/tag.beside")–$(most "$folder/tag.beside")). Two clients queried one tag and one hour meanwhile:" \
        "$reader_queries queries, $reader_failures failed." ""
    say '| one tag, one hour | queries | median ms | 99th percentile | longest |' '| --- | ---: | ---: | ---: | ---: |'
    for when in before while; do
        numbers=$folder/readers.$when
        echo "| $when | $(wc -l <"$numbers") | $(percentile "$numbers" 0.5) | $(percentile "$numbers" 0.99) |" \
            "$(most "$numbers") |"
    done
}
