# What InfluxDB 1.x and VictoriaMetrics make of the sets of the part sizes, where Debian's packages of them are installed: by
# `make bench-peers`. Sourced; stop_by_pid_file(), wait_for_port(), start_influxdb() and ask_influxdb() are mqtt.sh's.
#
# Both get the points by HTTP in line protocol, of one measurement and one tag, and the time to pack them as tightly as they do.
# Of InfluxDB its TSM files count, not the series file, of which 33 MB are empty; of VictoriaMetrics its data and its index.
#
# VictoriaMetrics keeps about 15 digits of a number and milliseconds of a time: what it stores may differ from what it was given.

has_victoria_metrics() { command -v victoria-metrics >/dev/null; }

stop_victoria_metrics() {
    stop_by_pid_file "$folder/victoria/pid"
}

start_victoria_metrics() {
    stop_victoria_metrics
    rm -rf "$folder/victoria"
    as_server_user mkdir "$folder/victoria"
    victoria_port=$(free_port)
    as_server_user sh -c 'echo $$ >"$1/pid"; exec victoria-metrics -storageDataPath="$1/storage" -httpListenAddr="127.0.0.1:$2" \
        -retentionPeriod=100y >"$1/log" 2>&1' sh "$folder/victoria" "$victoria_port" &
    wait_for_port "$victoria_port"
}

# set.csv (name, time, value) as lines of InfluxDB's protocol, sent in pieces to a path of a local port: post_points port path
post_points() {
    python3 - "$folder/set.csv" "http://127.0.0.1:$1$2" <<'PYTHON'
import datetime, sys, urllib.request

def send(lines):
    urllib.request.urlopen(sys.argv[2], "".join(lines).encode()).read()

with open(sys.argv[1], encoding="utf-8") as points:
    next(points)
    lines = []
    for point in points:
        name, time, value = point.rstrip("\n").rsplit(",", 2)
        if not value:
            continue
        for special in ("\\", " ", ",", "="):
            name = name.replace(special, "\\" + special)
        moment = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
        nanoseconds = int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
        lines.append(f"p,name={name} value={value} {nanoseconds}\n")
        if len(lines) == 20000:
            send(lines)
            lines = []
    if lines:
        send(lines)
PYTHON
}

# Bytes of files, by a pattern of find: bytes_of folder pattern
bytes_of() {
    find "$1" -name "$2" -type f -printf '%s\n' 2>/dev/null | awk '{ sum += $1 } END { print sum + 0 }'
}

# The bytes once they are the same for some seconds: settled_bytes folder pattern
settled_bytes() {
    last=-1
    same=0
    for second in $(seq 120); do
        now_bytes=$(bytes_of "$1" "$2")
        if [ "$now_bytes" = "$last" ] && [ "$now_bytes" != 0 ]; then same=$((same + 1)); else same=0; fi
        [ "$same" -lt 8 ] || break
        last=$now_bytes
        sleep 1
    done
    echo "$last"
}

# The bytes of set.csv in InfluxDB, or - where it is not at hand.
weigh_influxdb() {
    command -v influxd >/dev/null || { echo -; return; }
    influxdb_settings='  cache-snapshot-write-cold-duration = "1s"
  compact-full-write-cold-duration = "2s"'
    start_influxdb
    influxdb_settings=
    post_points "$influxdb_port" '/write?db=bench&precision=ns'
    settled_bytes "$folder/influxdb/data" '*.tsm'
    stop_influxdb
}

weigh_victoria_metrics() {
    has_victoria_metrics || { echo -; return; }
    start_victoria_metrics
    post_points "$victoria_port" /write
    for path in /internal/force_flush /internal/force_merge; do
        python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1]).read()' "http://127.0.0.1:$victoria_port$path"
    done
    settled_bytes "$folder/victoria/storage" '*.bin'
    stop_victoria_metrics
}
