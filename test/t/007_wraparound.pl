# Transaction numbers wrap around: the cluster's counter is pushed (pg_resetwal) to 300 million, to almost 2 billion, past 2^31
# and round past zero. Tables of every state are alive all the time: segments, rows in the tail, rows and segments of aborted
# transactions, runs and segments that were superseded.
#
#   1. what is visible stays visible, what is not stays away, whichever xids are the past and which the future;
#   2. VACUUM FREEZE, and autovacuum of its own, advance relfrozenxid, and the database's age goes down;
#   3. INSERT, COPY, compact, VACUUM and historian_check work at every place of the circle.
#
# Each push is one that a server could do by itself: less than 2^31 beyond the oldest xid that is stored.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use constant XACT_SEGMENT_BYTES => 32 * 8192;
use constant XACT_SEGMENT_XIDS => 4 * XACT_SEGMENT_BYTES;

# `asleep` is left alone until it is as old as a table can be; `busy` gets everything at each place; `calm` gets large COPYs.
my @tables = qw(asleep busy calm);
my $tables = join ', ', map { "'$_'" } @tables;

my $node = PostgreSQL::Test::Cluster->new('wraparound');
$node->init;
# Autovacuum against wraparound, which nothing switches off, is not to come before it is waited for.
$node->append_conf('postgresql.conf', <<'SETTINGS');
shared_preload_libraries = 'historian'
fsync = off
autovacuum = off
autovacuum_naptime = 1s
autovacuum_freeze_max_age = 2000000000
log_autovacuum_min_duration = 0
log_statement = none
historian.seal_interval = 1h
SETTINGS
$node->start;
my $unwanted = $node->basedir . '/unwanted.data';
my $wanted = $node->basedir . '/wanted.data';
$node->safe_psql('postgres', 'CREATE EXTENSION historian');
$node->safe_psql('postgres', qq{CREATE TABLE $_ (name text, "time" timestamptz, v int) USING tag}) for @tables;
$node->safe_psql('postgres', <<"SQL");
CREATE FUNCTION points(first int, last int) RETURNS TABLE (name text, "time" timestamptz, v int) LANGUAGE sql IMMUTABLE AS
    'SELECT ''s'' || i % 7, timestamptz ''2026-01-01'' + i * interval ''1 s'', i FROM generate_series(first, last) AS i';
COPY (SELECT name, "time", -v FROM points(1, 9000)) TO '$unwanted';
UPDATE pg_database SET datallowconn = true WHERE datname = 'template0';
SQL

# What a table must hold: how many rows, and the sum of v. Each v is used once; negative ones were never committed.
my %rows = map { $_ => 0 } @tables;
my %sum = map { $_ => 0 } @tables;
my $next_v = 1;

# The SQL of rows that are to be there; whoever calls it commits them.
sub new_points
{
    my ($table, $count) = @_;
    my ($first, $last) = ($next_v, $next_v + $count - 1);
    $next_v += $count;
    $rows{$table} += $count;
    $sum{$table} += ($first + $last) * $count / 2;
    return "points($first, $last)";
}

sub insert { my ($table) = @_; return "INSERT INTO $table SELECT * FROM " . new_points($table, 300) }

# An open snapshot in a session of its own; returns what ends it.
sub open_snapshot
{
    my ($in, $out) = ('', '');
    my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out);
    $in .= "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT 'ready';\n";
    $session->pump until $out =~ /ready/;
    return sub { $in .= "\\q\n"; $session->finish };
}

# Gives a table every kind of entry and row.
sub make_states
{
    my ($table) = @_;
    $node->safe_psql('postgres', insert($table));
    $node->safe_psql('postgres', "CALL compact('$table')");
    # Superseded entries stay as long as an older snapshot may need them.
    my $end_snapshot = open_snapshot();
    $node->safe_psql('postgres', insert($table));
    $node->safe_psql('postgres', "CALL compact('$table')");
    # Ends without a commit: rows in the tail, and a segment.
    my $rows = insert($table);
    $node->safe_psql('postgres', <<"SQL");
BEGIN;
INSERT INTO $table SELECT name, "time", -v FROM points(1, 300);
COPY $table FROM '$unwanted';
ROLLBACK;
BEGIN;
$rows;
SAVEPOINT s;
INSERT INTO $table SELECT name, "time", -v FROM points(1, 300);
ROLLBACK TO s;
COMMIT;
SQL
    my $states = $node->safe_psql('postgres',
        "SELECT string_agg(DISTINCT state, ' ' ORDER BY state) FROM historian_segments('$table')");
    $end_snapshot->();
    return $states;
}

sub is_whole
{
    my ($where) = @_;
    my @faults;
    for my $table (@tables)
    {
        my $found = $node->safe_psql('postgres', "SELECT count(*), count(DISTINCT v), coalesce(sum(v), 0) FROM $table");
        my $right = "$rows{$table}|$rows{$table}|$sum{$table}";
        push @faults, "$table: found $found, not $right" if $found ne $right;
        my ($status, undef, $err) = $node->psql('postgres', "SELECT historian_check('$table')");
        push @faults, $err if $status != 0;
    }
    is(join("\n", @faults), '', "$where: every row is there once, no other is, and historian_check finds nothing");
}

# The age of the oldest table.
sub oldest_age
{
    return $node->safe_psql('postgres', "SELECT max(age(relfrozenxid)) FROM pg_class WHERE relname IN ($tables)");
}

# Sets the next xid while the server is down; pg_xact must have the page that it falls on.
sub push_xids
{
    my ($xid, @more) = @_;
    $node->stop;
    command_ok([ 'pg_resetwal', '-x', $xid, @more, '-D', $node->data_dir ], "the next xid is $xid");
    my $file = sprintf '%s/pg_xact/%04X', $node->data_dir, int($xid / XACT_SEGMENT_XIDS);
    append_to_file($file, "\0" x XACT_SEGMENT_BYTES) unless -e $file;
    $node->start;
    is_whole("xid $xid");
}

sub every_statement_works
{
    my ($where) = @_;
    $node->safe_psql('postgres', insert('busy'));
    $node->safe_psql('postgres', 'VACUUM busy');
    is_whole("$where, INSERT and VACUUM");
    $node->safe_psql('postgres', "CALL compact('busy')");
    is_whole("$where, compact");
    $node->safe_psql('postgres', "COPY (SELECT * FROM @{[new_points('calm', 9000)]}) TO '$wanted'");
    $node->safe_psql('postgres', "BEGIN; COPY calm FROM '$unwanted'; ROLLBACK");
    $node->safe_psql('postgres', "COPY calm FROM '$wanted'");
    is_whole("$where, COPY");
}

sub freeze_everything
{
    my ($where) = @_;
    $node->safe_psql('postgres', "VACUUM FREEZE $_") for @tables;
    cmp_ok(oldest_age(), '<', 1000, "$where: VACUUM FREEZE makes the tables young");
    is_whole("$where, frozen");
    $node->safe_psql($_, 'VACUUM FREEZE') for qw(template0 template1 postgres);
    my $age = $node->safe_psql('postgres', 'SELECT max(age(datfrozenxid)) FROM pg_database');
    cmp_ok($age, '<', 1000, "$where: and the databases");
}

is(make_states($_), 'aborted open sealed superseded', "$_ has entries of every state") for qw(asleep busy);
is_whole('at the beginning');

# Rows, segments and aborted ones, seen from 300 million transactions later.
push_xids(300_000_000);
make_states('busy');
every_statement_works('300 million');

# As old as a table may become.
push_xids(1_999_000_000);
cmp_ok(oldest_age(), '>', 1_990_000_000, 'a table is almost 2 billion transactions old');
make_states('asleep');
every_statement_works('2 billion');
freeze_everything('2 billion');
make_states($_) for @tables;

# Half way round: what was the future is the past.
push_xids(3_000_000_000);
make_states($_) for @tables;
every_statement_works('3 billion');
freeze_everything('3 billion');
make_states($_) for @tables;

# Past zero: new rows have smaller xids than old ones.
push_xids(4_294_967_290);
make_states($_) for @tables;
cmp_ok($node->safe_psql('postgres', 'SELECT txid_current()'), '>', 2**32, 'the counter went past zero by itself');
is_whole('past zero');
every_statement_works('past zero');

# Autovacuum freezes what nobody else does, though it is switched off. It is called at multiples of 65,536.
$node->append_conf('postgresql.conf', 'autovacuum_freeze_max_age = 200000000');
push_xids(65536 * 4000 - 20, '-e', 1);
$node->safe_psql('postgres', join "\n", ('SELECT txid_current();') x 30);
ok($node->poll_query_until('postgres', "SELECT max(age(relfrozenxid)) < 200000000 FROM pg_class WHERE relname IN ($tables)"),
    'autovacuum freezes the tables');
ok($node->poll_query_until('postgres', "SELECT age(datfrozenxid) < 200000000 FROM pg_database WHERE datname = 'postgres'"),
    'the database becomes young');
is_whole('after autovacuum');
is($node->safe_psql('postgres', 'SELECT min(autovacuum_count) > 0 FROM pg_stat_user_tables'), 't', 'all by itself');
every_statement_works('after autovacuum');

$node->stop;
my @bad = grep { /PANIC|terminated by signal|could not access status/ } split /^/m, slurp_file($node->logfile);
is(join('', @bad), '', 'no crash, and no transaction was asked for that pg_xact does not know');
done_testing();
