# What demo/run, demo/stop, test/run and test/bench/run share. Sourced, with $top set to the checkout.
#
#   say, fail              messages, one line an argument
#   find_server            sets PG_CONFIG, bindir and server_user: $PG_CONFIG if set, else Debian's newest server with headers
#   install_extension      builds in the checkout and installs into that server
#   as_server_user         runs a command as the unprivileged user: PostgreSQL refuses to run as root
#   can_server_user        true when that user passes a test(1), such as: can_server_user -x /root
#   free_port              prints a TCP port that nobody listens on
#   server_folder, make_server_folder   where a server that stays may keep its files

say() {
    printf '%s\n' "$@"
}

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

find_server() {
    if [ -z "${PG_CONFIG-}" ]; then
        for config in $(ls -d /usr/lib/postgresql/*/bin/pg_config 2>/dev/null | sort -V); do
            if [ -f "$("$config" --pgxs)" ] && [ -x "$("$config" --bindir)/postgres" ] &&
                [ -f "$("$config" --includedir-server)/postgres.h" ]; then PG_CONFIG=$config; fi
        done
    fi
    [ -n "${PG_CONFIG-}" ] || fail "No PostgreSQL server with headers found: set PG_CONFIG to its pg_config."
    bindir=$("$PG_CONFIG" --bindir) || fail "PG_CONFIG=$PG_CONFIG does not run."
    export PG_CONFIG
    if [ "$(id -u)" != 0 ]; then
        server_user=$(id -un)
    elif id postgres >/dev/null 2>&1; then
        server_user=postgres
    else
        server_user=nobody
    fi
}

# Output of the compiler goes to $1; it is shown only when the build fails.
install_extension() {
    build_log=$1
    say "Building with $(nproc) jobs for $("$PG_CONFIG" --version) ..."
    if ! make -C "$top" -j"$(nproc)" PG_CONFIG="$PG_CONFIG" >"$build_log" 2>&1; then
        grep -E 'error|Error' "$build_log" | head -n 20
        fail "The build failed; all of its output is in $build_log"
    fi
    install_as=
    if [ ! -w "$("$PG_CONFIG" --pkglibdir)" ]; then install_as=sudo; fi
    $install_as make -C "$top" install PG_CONFIG="$PG_CONFIG" >>"$build_log" 2>&1 || fail "make install failed: see $build_log"
}

as_server_user() {
    if [ "$(id -u)" = 0 ]; then
        runuser -u "$server_user" -- "$@"
    else
        "$@"
    fi
}

can_server_user() {
    as_server_user test "$@"
}

free_port() {
    perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}

# Prints a folder below the checkout for a server's files, or one under /var/tmp when the server's user cannot get into the
# checkout (root's home, say). The caller makes it.
#   $1   path below the checkout, such as demo/work
server_folder() {
    if [ "$(id -u)" = 0 ] && ! can_server_user -x "$top/$(dirname "$1")"; then
        echo "/var/tmp/historian-$(echo "$1" | tr / -)"
    else
        echo "$top/$1"
    fi
}

# Makes an empty folder of the server's user; refuses what someone else has put there.
make_server_folder() {
    if [ -L "$1" ]; then fail "$1 is a symbolic link; take it away."; fi
    rm -rf "$1"
    mkdir -m 700 "$1"
    if [ "$(id -u)" = 0 ]; then chown "$server_user" "$1"; fi
}
