# The background worker obeys the options of a table, and a table whose options it cannot read does not keep it from the others.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('options');
$node->init;
$node->append_conf('postgresql.conf', <<'SETTINGS');
shared_preload_libraries = 'historian'
historian.maintenance_interval = 100ms
historian.seal_interval = 1h
fsync = off
SETTINGS
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION historian');

sub entries
{
    my ($table) = @_;
    return $node->safe_psql('postgres', "SELECT string_agg(state || ' ' || n, ', ' ORDER BY state) FROM "
            . "(SELECT state, count(*) AS n FROM historian_segments('$table') WHERE state <> 'superseded' GROUP BY 1) AS s");
}

sub poll
{
    my ($table, $wanted, $what) = @_;
    ok($node->poll_query_until('postgres', "SELECT count(*) FILTER (WHERE state = 'sealed') = $wanted "
            . "AND count(*) FILTER (WHERE state IN ('open', 'closed')) = 0 FROM historian_segments('$table')"), $what);
}

# historian.seal_interval: the default of the server is an hour, a table may have its own.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE slow (name text, time timestamptz) USING tag;
CREATE TABLE quick (name text, time timestamptz) USING tag WITH (historian.seal_interval = '1s');
INSERT INTO slow VALUES ('a', now());
INSERT INTO quick VALUES ('a', now());
SQL
poll('quick', 1, 'a table with a seal_interval of 1 s is sealed');
is(entries('slow'), 'open 1', '... one without waits');
$node->safe_psql('postgres', "ALTER TABLE slow SET (historian.seal_interval = 1)");
poll('slow', 1, '... until it is given one, which the worker notices');

# historian.compact: eight segments are merged, unless the table does not want it. COPY of many rows makes a segment each.
$node->safe_psql('postgres', 'CREATE TABLE merged (name text, time timestamptz) USING tag');
$node->safe_psql('postgres', 'CREATE TABLE kept (name text, time timestamptz) USING tag WITH (historian.compact = off)');
for my $i (1 .. 9)
{
    for my $table ('kept', 'merged')
    {
        $node->safe_psql('postgres', "COPY $table FROM PROGRAM 'seq 8192 | sed ''s/.*/tag\t2026-01-0$i 00:00:00/'''");
    }
}
ok($node->poll_query_until('postgres', "SELECT count(*) < 8 FROM historian_segments('merged') WHERE state = 'sealed'"),
    'segments are merged in the background');
is(entries('kept'), 'sealed 9', '... not those of a table with compact = off');
$node->safe_psql('postgres', "INSERT INTO kept VALUES ('a', now()); ALTER TABLE kept SET (historian.seal_interval = 1)");
poll('kept', 10, '... whose fresh rows are sealed all the same');
$node->safe_psql('postgres', "CALL compact('kept')");
is(entries('kept'), 'sealed 1', 'compact() merges them');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kept'), 9 * 8192 + 1, '... and every row is there');
$node->safe_psql('postgres', 'ALTER TABLE kept RESET (historian.compact)');

# What a later version may have written: that table waits, the others, before and after it, do not.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE before (name text, time timestamptz) USING tag WITH (historian.seal_interval = 1);
CREATE TABLE strange (name text, time timestamptz) USING tag WITH (historian.seal_interval = 1);
CREATE TABLE after (name text, time timestamptz) USING tag WITH (historian.seal_interval = 1);
UPDATE pg_seclabel SET label = 'colour=red' WHERE objoid = 'strange'::regclass;
INSERT INTO before VALUES ('a', now());
INSERT INTO strange VALUES ('a', now());
INSERT INTO after VALUES ('a', now());
SQL
poll('before', 1, 'a table with options that this version does not have does not disturb those before it');
poll('after', 1, '... nor those after it');
is(entries('strange'), 'open 1', '... and itself waits');
like($node->safe_psql('postgres', 'SELECT last_error FROM historian_workers'), qr/unrecognized option historian\.colour/,
    '... as historian_workers says');
$node->safe_psql('postgres', 'SECURITY LABEL FOR historian ON TABLE strange IS NULL');

# historian.maintenance_nice: the worker gives way, unless it falls behind those who fill tails while one of its rounds lasts.
sub wait_for_priority
{
    my ($wanted, $what) = @_;
    my $worker = "(SELECT pid FROM pg_stat_activity WHERE backend_type = 'historian' AND datname = 'postgres')";
    my $field = "'.*\\) (\\S+ ){16}(\\S+) .*', '\\2'";
    my $nice = "(SELECT nice::int FROM regexp_replace(pg_read_file('/proc/' || $worker || '/stat'), $field) AS nice)";
    ok($node->poll_query_until('postgres', "SELECT $nice = $wanted WHERE $worker IS NOT NULL"), $what);
}

SKIP:
{
    skip 'no /proc', 5 unless -r '/proc/self/stat';
    my $nice = sub { $node->safe_psql('postgres', 'ALTER SYSTEM SET ' . $_[0]); $node->reload };
    wait_for_priority(10, 'the worker gives way by default');
    $nice->('historian.maintenance_nice = 0');
    wait_for_priority(0, '... not when it is told not to');
    $nice->('historian.maintenance_nice = 7');
    wait_for_priority(7, '... and as far as it is told');

    # A round that lasts until the test lets go, and eight runs of 2,040 pages, two rows each, that are filled meanwhile.
    my $holder = $node->background_psql('postgres', on_error_stop => 1);
    $holder->query_until(qr/held/, "SELECT pg_advisory_lock(1213415763, 2);\n\\echo held\n");
    $nice->('historian.debug_stop_point = 2');
    $node->safe_psql('postgres', 'CREATE TABLE filled (name text, time timestamptz, note text) USING tag');
    my $fill = "INSERT INTO filled SELECT 'a', now(), repeat('x', 3000) FROM generate_series(1, 1000);";
    $node->safe_psql('postgres', $fill x 5);
    ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"),
        'a round of the worker lasts');
    $node->safe_psql('postgres', $fill x 36);
    $holder->quit;
    $node->safe_psql('postgres', 'ALTER SYSTEM RESET historian.debug_stop_point');
    $node->reload;
    wait_for_priority(0, 'a worker that has fallen behind gives way no more');
}
$node->stop;
done_testing();
