# What the parts of test/bench/run share: psql, medians, the row of a table. Sourced; files of numbers are in $folder.

sql() {
    "$bindir/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

# Seconds since 1970.
now() { date +%s.%N; }

# Median, least and most of the numbers in a file.
median() { sort -n "$1" | awk '{ v[NR] = $1 }
    END { printf "%.3f\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
least() { sort -n "$1" | head -n 1; }
most() { sort -n "$1" | tail -n 1; }
# The value that a share of the numbers does not exceed, such as: percentile file 0.99
percentile() { sort -n "$1" | awk -v share="$2" '{ v[NR] = $1 }
    END { at = share * NR; printf "%.2f\n", v[at == int(at) ? at : int(at) + 1] }'; }

# Appends the milliseconds of one statement, run in a transaction that ends as said.
#   time_statement name statement ending
time_statement() {
    sql -c '\timing on' -c "BEGIN" -c "$2" -c "$3" 2>/dev/null |
        sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | sed -n 2p >>"$folder/$1"
}

# Waits until the worker has done nothing for a tag table for 3 s and leaves nothing to seal but an open run; prints the time at
# which it was last seen at work.
wait_until_quiet() {
    worked_at=$(now)
    before=
    quiet=0
    while [ $quiet -lt 12 ]; do
        state=$(sql -c "
            SELECT w.work, (SELECT count(*) FROM historian_segments('$1') WHERE state = 'closed'),
                   (SELECT count(*) FROM pg_locks WHERE relation = '$1'::regclass AND mode = 'RowExclusiveLock')
            FROM historian_workers w")
        case $state in
            "$before") quiet=$((quiet + 1)) ;;
            *) quiet=0; worked_at=$(now) ;;
        esac
        # Work that goes on for long changes no count.
        case $state in *'|0|0') before=$state ;; *) before= ;; esac
        sleep 0.25
    done
    echo "$worked_at"
}

# A row of a table with two columns of numbers and their ratio. Ratio 1: the right over the left, 0: the left over the right.
#   row what unit left right (names of files) format ratio
row() {
    for numbers in "$3" "$4"; do
        echo "$(median "$folder/$numbers") $(least "$folder/$numbers") $(most "$folder/$numbers")"
    done | tr '\n' ' ' | awk -v what="$1" -v unit="$2" -v format="$5" -v more="$6" '
        { cell = format " (" format "–" format ")"
          printf "| %s | %s | " cell " | " cell " | %.2f |\n", what, unit, $1, $2, $3, $4, $5, $6, more ? $4 / $1 : $1 / $4 }'
}
