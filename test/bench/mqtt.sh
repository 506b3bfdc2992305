# Part mqtt of test/bench/run: points from a publisher through mosquitto into a table, by historian's worker and by a Python
# program that stores with COPY or in InfluxDB (mqtt_consumer.py). All on one machine; a broker, and an InfluxDB, of its own for
# each run. Sourced.
#
# Every path has a name:
#   tag       historian's worker into a tag table
#   heap      the program into a heap table with an index on (name, time), by COPY
#   bare      the same without the index; nobody could query it, so it has no latency
#   influxdb  the program into InfluxDB 1.x by HTTP
#
# Numbers of a path and of so many points a message, one a run:
#   PATH.SIZE.rate          points per second until the last one was committed and acknowledged (the program acknowledges before)
#   PATH.SIZE.store         processor seconds per million points of what takes them from the broker and stores them: the
#                           program and all processes of the database, until five seconds after the last point, when what is
#                           put off is done
#   PATH.SIZE.cpu           the same and the broker's, which nobody can spare
#   PATH.SIZE.median, .p99  milliseconds from publish to visible at 10,000 points a second

mqtt_topic=bench/points
mqtt_rate=10000
mqtt_warm_seconds=5
settle_seconds=5
mqtt_timeout_seconds=300

# Processor seconds that processes and their dead children have used so far.
processor_seconds() {
    for pid; do cat "/proc/$pid/stat" 2>/dev/null || true; done | sed 's/^.*) //' |
        awk -v hertz="$(getconf CLK_TCK)" '{ ticks += $12 + $13 + $14 + $15 } END { printf "%.2f\n", ticks / hertz }'
}

# Of what stores: the database's processes, which come and go below its first one, or InfluxDB. Not of the program.
processor_seconds_of_store() {
    case $1 in
        influxdb) processor_seconds "$(cat "$folder/influxdb/pid")" ;;
        *)
            postmaster=$(head -n 1 "$folder/data/postmaster.pid")
            processor_seconds "$postmaster" $(pgrep -P "$postmaster")
            ;;
    esac
}

processor_seconds_of_broker() {
    processor_seconds "$(cat "$folder/broker/pid")"
}

# Ends what wrote its process id into a file.
stop_by_pid_file() {
    if [ -f "$1" ]; then
        pid=$(cat "$1")
        kill "$pid" 2>/dev/null || true
        for tenth in $(seq 100); do
            if ! kill -0 "$pid" 2>/dev/null; then break; fi
            sleep 0.1
        done
        rm -f "$1"
    fi
}

stop_broker() {
    stop_by_pid_file "$folder/broker/pid"
}

stop_influxdb() {
    stop_by_pid_file "$folder/influxdb/pid"
}

# The settings that doc/mqtt.md recommends.
start_broker() {
    stop_broker
    rm -rf "$folder/broker"
    as_server_user mkdir "$folder/broker"
    broker_port=$(free_port)
    as_server_user tee "$folder/broker/conf" >/dev/null <<SETTINGS
listener $broker_port 127.0.0.1
allow_anonymous true
pid_file $folder/broker/pid
persistence true
persistence_location $folder/broker/
autosave_interval 10
max_queued_messages 0
max_inflight_messages 0
log_dest file $folder/broker/log
SETTINGS
    mosquitto=$(PATH=$PATH:/usr/sbin command -v mosquitto)
    as_server_user "$mosquitto" -c "$folder/broker/conf" >/dev/null 2>&1 &
    wait_for_port "$broker_port"
}

wait_for_port() {
    for tenth in $(seq 300); do
        if perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new("127.0.0.1:$ARGV[0]")' "$1"; then return; fi
        sleep 0.1
    done
    fail "Nothing listens on port $1; see $folder"
}

start_influxdb() {
    stop_influxdb
    rm -rf "$folder/influxdb"
    as_server_user mkdir "$folder/influxdb"
    influxdb_port=$(free_port)
    as_server_user tee "$folder/influxdb/conf" >/dev/null <<SETTINGS
reporting-disabled = true
bind-address = "127.0.0.1:$(free_port)"
[meta]
  dir = "$folder/influxdb/meta"
[data]
  dir = "$folder/influxdb/data"
  wal-dir = "$folder/influxdb/wal"
  query-log-enabled = false
${influxdb_settings-}
[http]
  bind-address = "127.0.0.1:$influxdb_port"
  log-enabled = false
[monitor]
  store-enabled = false
SETTINGS
    as_server_user influxd -config "$folder/influxdb/conf" -pidfile "$folder/influxdb/pid" >"$folder/influxdb.log" 2>&1 &
    wait_for_port "$influxdb_port"
    ask_influxdb 'CREATE DATABASE bench' >/dev/null
}

ask_influxdb() {
    python3 -c 'import sys, urllib.parse, urllib.request
body = urllib.parse.urlencode({"db": "bench", "q": sys.argv[2]}).encode()
print(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/query", body).read().decode())' "$influxdb_port" "$1"
}

# Installs the peers if there are packages of them, and says which paths there are: mqtt_paths. What is not at hand: mqtt_absent.
find_mqtt_paths() {
    "$top/test/install-packages" --mqtt-peers || say 'The peers of the part mqtt could not be installed.' >&2
    PATH=/usr/bin:$PATH    # Debian's packages are for Debian's Python
    mqtt_paths=tag
    mqtt_absent=Telegraf
    if python3 -c 'import paho.mqtt.client, psycopg2' 2>/dev/null; then
        mqtt_paths="$mqtt_paths heap bare"
    else
        mqtt_absent="$mqtt_absent, the Python program (python3-paho-mqtt, python3-psycopg2)"
    fi
    if python3 -c 'import paho.mqtt.client' 2>/dev/null && command -v influxd >/dev/null; then
        mqtt_paths="$mqtt_paths influxdb"
        influxdb_version=$(influxd version | sed -n 's/^InfluxDB v*\([^ ]*\).*/\1/p')
    else
        mqtt_absent="$mqtt_absent, InfluxDB (influxdb)"
    fi
    mqtt_paths=$(for path in $mqtt_paths; do case " ${MQTT_PATHS:-$mqtt_paths} " in *" $path "*) echo "$path" ;; esac; done)
}

# A table, or InfluxDB, and who fills it from the broker.
#   start_path path points
start_path() {
    start_broker
    case $1 in
        tag | heap | bare)
            if [ "$1" = tag ]; then access=tag; else access=heap; fi
            sql -c 'SET client_min_messages = warning' -c "DROP TABLE IF EXISTS mqtt_$1" \
                -c "CREATE TABLE mqtt_$1 (name text, time timestamptz, value double precision) USING $access"
            if [ "$1" = heap ]; then sql -c 'CREATE INDEX ON mqtt_heap (name, time)'; fi
            sql -c CHECKPOINT
            ;;
        influxdb) start_influxdb ;;
    esac
    case $1 in
        tag)
            sql -c "SELECT mqtt_subscribe('bench', broker => 'mqtt://127.0.0.1:$broker_port', topic => '$mqtt_topic',
                                          target => 'mqtt_tag')" >/dev/null
            wait_in_database "SELECT state = 'receiving' FROM mqtt_status" >/dev/null
            ;;
        *)
            if [ "$1" = influxdb ]; then store="influxdb $influxdb_port"; else store="postgres mqtt_$1"; fi
            python3 "$top/test/bench/mqtt_consumer.py" "$broker_port" $mqtt_topic "$2" $store >"$folder/consumed" &
            consumer=$!
            for tenth in $(seq 300); do
                if grep -qs ready "$folder/consumed"; then break; fi
                sleep 0.1
            done
            ;;
    esac
}

stop_path() {
    case $1 in
        tag)
            sql -c "SELECT mqtt_unsubscribe('bench')" >/dev/null
            wait_in_database "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE '%mqtt%')" >/dev/null
            ;;
        *)
            kill "$consumer" 2>/dev/null || true
            wait "$consumer" || true
            ;;
    esac
    stop_broker
    if [ "$1" = influxdb ]; then stop_influxdb; fi
}

# Waits, 20 ms at a time in one session, until a query says true; prints the seconds since 1970 then.
wait_in_database() {
    sql >/dev/null <<SQL
DO \$\$
BEGIN
    FOR round IN 1 .. $mqtt_timeout_seconds * 50 LOOP
        IF ($1) THEN RETURN; END IF;
        COMMIT;
        PERFORM pg_sleep(0.02);
    END LOOP;
    RAISE 'waited too long for: %', \$wanted\$ $1 \$wanted\$;
END \$\$
SQL
    now
}

# How many points a path has stored.
points_stored() {
    case $1 in
        influxdb)
            ask_influxdb 'SELECT count(value) FROM points' | sed -n 's/.*"values":\[\[[^,]*,\([0-9]*\)\]\].*/\1/p'
            ;;
        *) sql -c "SELECT count(*) FROM mqtt_$1" ;;
    esac
}

# As fast as they go.
#   measure_rate path points points_per_message
measure_rate() {
    start_path "$1" "$2"
    store_before=$(processor_seconds_of_store "$1")
    broker_before=$(processor_seconds_of_broker)
    "$folder/mqtt_publish" "$broker_port" $mqtt_topic "$2" "$3" >"$folder/published"
    consumer_cpu=0
    if [ "$1" = tag ]; then
        stored_at=$(wait_in_database "SELECT rows >= $2 FROM mqtt_status")
    else
        for tenth in $(seq $((mqtt_timeout_seconds * 10))); do
            if ! kill -0 "$consumer" 2>/dev/null; then break; fi
            sleep 0.1
        done
        read -r stored stored_at consumer_cpu <<CONSUMED
$(tail -n 1 "$folder/consumed")
CONSUMED
    fi
    sleep $settle_seconds
    store_after=$(processor_seconds_of_store "$1")
    broker_after=$(processor_seconds_of_broker)
    read -r published published_from published_until <"$folder/published"
    stored=$(points_stored "$1")
    if [ "$stored" != "$published" ]; then say "$1: $published points published, $stored stored" >&2; fi
    echo "$stored $published_from $stored_at $store_before $store_after $consumer_cpu $broker_before $broker_after" |
        awk -v name="$folder/$1.$3" '{
            printf "%.0f\n", $1 / ($3 - $2) >> (name ".rate")
            printf "%.3f\n", ($5 - $4 + $6) / $1 * 1e6 >> (name ".store")
            printf "%.3f\n", ($5 - $4 + $6 + $8 - $7) / $1 * 1e6 >> (name ".cpu") }'
    stop_path "$1"
}

# At 10,000 points a second, with a reader that asks for the newest.
#   measure_latency path points_per_message
measure_latency() {
    start_path "$1" 1000000000
    all=$((mqtt_rate * (mqtt_seconds + mqtt_warm_seconds)))
    if [ "$1" = influxdb ]; then reader="influxdb $influxdb_port"; else reader="postgres mqtt_$1"; fi
    "$folder/mqtt_publish" "$broker_port" $mqtt_topic $all "$2" $mqtt_rate >"$folder/published" &
    publisher=$!
    "$folder/mqtt_latency" "$mqtt_seconds" $mqtt_warm_seconds $reader >"$folder/latencies"
    wait $publisher
    if [ -s "$folder/latencies" ]; then
        percentile "$folder/latencies" 0.5 >>"$folder/$1.$2.median"
        percentile "$folder/latencies" 0.99 >>"$folder/$1.$2.p99"
    fi
    stop_path "$1"
}

feed_by_mqtt() {
    find_mqtt_paths
    g++ -std=c++20 -O2 "$top/test/bench/mqtt_publish.cpp" -o "$folder/mqtt_publish"
    g++ -std=c++20 -O2 $(pkg-config --cflags libpq) "$top/test/bench/mqtt_latency.cpp" $(pkg-config --libs libpq) \
        -o "$folder/mqtt_latency"
    run=1
    while [ $run -le "$runs" ]; do
        for size in 100 1; do
            for path in $mqtt_paths; do
                say "mqtt into $path, $size points a message, run $run of $runs" >&2
                if [ $size = 1 ]; then all=$mqtt_messages; else all=$mqtt_points; fi
                measure_rate "$path" "$all" $size
                if [ "$path" != bare ]; then measure_latency "$path" $size; fi
            done
        done
        run=$((run + 1))
    done
}

# A cell: median (least-most) of a file of numbers.
#   mqtt_cell file format
mqtt_cell() {
    if [ -s "$folder/$1" ]; then
        echo "$(median "$folder/$1") $(least "$folder/$1") $(most "$folder/$1")" |
            awk -v format="$2" '{ printf format " (" format "–" format ")", $1, $2, $3 }'
    else
        printf '–'
    fi
}

report_mqtt() {
    say "" "## From MQTT into a table" ""
    broker="mosquitto $(dpkg-query -W -f '${Version}' mosquitto 2>/dev/null || true)"
    say "Publisher, $broker with the settings of doc/mqtt.md, and what stores the points are on one machine." \
        "Median (least–most) of $runs runs." "" \
        "- Points per second: until the last of $mqtt_points points ($mqtt_messages where a message is a point) was committed." \
        "- Processor seconds, user and system, from /proc/PID/stat, until $settle_seconds s after that: of the broker, of the" \
        "  program, and of all processes of the database; not of the publisher. The broker does the same work for each path." \
        "- Publish to visible: from the making of a point to a query that sees it, asked every millisecond, at $mqtt_rate" \
        "  points per second for $mqtt_seconds s." \
        "- historian's worker has its default settings. The Python program stores 1,000 messages or 10,000 points at once, or" \
        "  what has come in 100 ms; paho acknowledges when a message arrives, before it is stored." \
        "- Not at hand: $mqtt_absent."
    for size in 100 1; do
        if [ $size = 1 ]; then what='one point a message'; else what="$size points a message"; fi
        say "" "| $what | points/s | processor s / million points | without the broker |$(
            ) publish to visible, median ms | 99th percentile ms |" \
            '| --- | ---: | ---: | ---: | ---: | ---: |'
        for path in $mqtt_paths; do
            case $path in
                tag) name='historian, tag table' ;;
                heap) name='Python, COPY, heap with (name, time) index' ;;
                bare) name='Python, COPY, heap without index' ;;
                influxdb) name="Python, InfluxDB $influxdb_version" ;;
            esac
            numbers=$path.$size
            say "| $name | $(mqtt_cell "$numbers.rate" %.0f) | $(mqtt_cell "$numbers.cpu" %.2f) | $(
                mqtt_cell "$numbers.store" %.2f) | $(mqtt_cell "$numbers.median" %.1f) | $(mqtt_cell "$numbers.p99" %.1f) |"
        done
        if [ ! -s "$folder/tag.$size.cpu" ]; then continue; fi
        for counted in cpu store; do
            ours=$(median "$folder/tag.$size.$counted")
            for path in $mqtt_paths; do
                if [ "$path" != tag ]; then echo "$(median "$folder/$path.$size.$counted") $ours $path"; fi
            done | sort -n | awk -v what="$what" -v counted=$counted '
                { list = list (NR > 1 ? ", " : "") sprintf("%.1f times %s", $1 / $2, $3) }
                END {
                    if (NR > 0) printf "\nPoints per processor second, %s, %s the broker: historian has %s.\n", what,
                        counted == "cpu" ? "with" : "without", list
                }'
        done
    done
}
