# The server dies at each of the places that src/engine/stop_points.h names, in each kind of work that comes there, on a tag table
# and on a log table: afterwards every committed row is there once and found by its words, every committed deletion holds, what
# was prepared can still be committed or rolled back, no block is leaked (historian_check), and the work is done again to its end.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('stops');
$node->init;
$node->append_conf('postgresql.conf', <<'SETTINGS');
shared_preload_libraries = 'historian'
max_prepared_transactions = 5
fsync = off
autovacuum = off
historian.maintenance_interval = 1h
historian.retention_warn_share = 1
SETTINGS
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION historian');

my %names = (1 => 'the run is closed', 2 => 'segments are built', 3 => 'sources are superseded', 4 => 'a segment is being built',
    5 => 'an entry may be freed', 6 => 'the gate is closed', 8 => 'a segment is dropped');

# The text of row i: a tag, or a message in which no other row has the word that it ends in.
my %texts = (tag => "'tag' || i % 7", log => "'tag' || i % 7 || ' row' || i");

# What is there before the work: two segments of the same tags, deletions that are prepared; and unless they are all there is to
# do, committed deletions and a tail. How many rows there will be at the end.
sub prepare_table
{
    my ($kind, $is_plain, $end) = @_;
    $node->safe_psql('postgres', <<"SQL");
DROP TABLE IF EXISTS t;
CREATE TABLE t (text text, _arrival_time timestamptz NOT NULL, v int) USING $kind;
CREATE OR REPLACE PROCEDURE put(first int, last int) LANGUAGE sql AS \$\$
    INSERT INTO t SELECT $texts{$kind}, timestamptz '2026-01-01 00:00:00+00' + i * interval '1 s', i
    FROM generate_series(first, last) AS i
\$\$;
SQL
    # Full by its rows, the first segment is not merged with the second as a small one.
    $node->safe_psql('postgres', "SET historian.debug_segment_rows = 1000;\nCALL put(1, 1000);\nCALL compact('t');\n");
    $node->safe_psql('postgres', "CALL put(1001, 2000);\nCALL compact('t');\n");
    $node->safe_psql('postgres', 'DELETE FROM t WHERE v % 10 = 3; CALL put(2001, 2300); DELETE FROM t WHERE v = 2005')
        unless $is_plain;
    $node->safe_psql('postgres', 'BEGIN; DELETE FROM t WHERE v % 10 = 7; '
            . "INSERT INTO t VALUES ('prepared', '2026-01-02 00:00+00', 9999); PREPARE TRANSACTION 'p'");
    my $prepared = $is_plain ? 200 - 1 : 230 - 1;
    return ($is_plain ? 2000 : 2300 - 200 - 1) - ($end eq 'COMMIT' ? $prepared : 0);
}

# Counts as the directory, as the rows and as searches give them: of all rows, of a word in a seventh of them, and of one in one.
sub answer
{
    return $node->safe_psql('postgres', <<'SQL');
SELECT (SELECT count(*) FROM t), count(*), count(DISTINCT v), sum(v),
    (SELECT count(*) || '|' || sum(v) FROM t WHERE text @@ search('tag4')), (SELECT sum(v) FROM t WHERE text @@ search('row1500'))
FROM t
SQL
}
sub slow_answer
{
    my ($kind) = @_;
    return $node->safe_psql('postgres', <<"SQL");
SELECT count(*), count(*), count(DISTINCT v), sum(v), count(*) FILTER (WHERE v % 7 = 4), sum(v) FILTER (WHERE v % 7 = 4),
    sum(v) FILTER (WHERE v = 1500 AND '$kind' = 'log')
FROM t
SQL
}
sub check { return $node->safe_psql('postgres', "SELECT historian_check('t') ~ 'segments'") }

# Runs $sql until it waits at the place, and kills everything.
sub die_at
{
    my ($place, $sql) = @_;
    my $holder = $node->background_psql('postgres');
    $holder->query_safe("SELECT pg_advisory_lock(1213415763, $place)");
    my $worker = fork() // die "fork: $!";
    if (!$worker)
    {
        open STDOUT, '>', "$PostgreSQL::Test::Utils::log_path/worker.log";
        open STDERR, '>&', \*STDOUT;
        exec 'psql', '-X', '-d', $node->connstr('postgres'), map { ('-c', $_) } "SET historian.debug_stop_point = $place", @$sql;
    }
    my $came = $node->poll_query_until('postgres',
        "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND classid = 1213415763 AND NOT granted");
    $node->stop('immediate');
    waitpid $worker, 0;
    $holder->{run}->kill_kill;
    $node->start;
    return $came;
}

# Works, the places where they stop, and how many rows they leave fewer when they are done again. Seal and merge takes the second
# segment and the tail together.
my @works = (
    ['seal and merge', [1, 2, 3, 4, 6], ["CALL compact('t')"]],
    ['freeing', [5], ['VACUUM t']],
    ['delete_before', [8], ["SELECT delete_before('t', '2026-01-01 00:16:41+00')"], 800],
    ['a COPY', [4], ["COPY t FROM PROGRAM 'seq 10000 20000 | sed \"s/.*/tag1\t2026-01-03 00:00+00\t&/\"'"]],
);
my @works_on_tags = (['merge by tag', [2, 3, 4, 6], ['SET historian.debug_segment_rows = 1000', "CALL compact('t')"]]);
# What was prepared leaves 1,870 records. The policy is there for the time of its transaction: the worker is not to run it.
my @works_on_records = (
    ['delete_oldest', [8], ["SELECT delete_oldest('t', rows => 1000)"], 1000],
    ['a retention policy', [8], ["SELECT set_retention('t', rows => 1000); SELECT historian.run_retention('t')"], 870],
);

sub stop_in_work
{
    my ($kind, $work) = @_;
    my ($what, $places, $sql, $fewer) = @$work;
    my $is_merge = $what eq 'merge by tag';
    my $small = $is_merge ? "SET historian.debug_segment_rows = 1000;\n" : '';
    for my $place (@$places)
    {
        for my $end ('COMMIT', 'ROLLBACK')
        {
            next if $end eq 'ROLLBACK' && $place !~ /[23]/;
            my $rows = prepare_table($kind, $is_merge, $end);
            my $before = answer();
            ok(die_at($place, $sql), "$kind table, $what stops when $names{$place}");
            is(answer(), $before, '... and the rows are there when the server has died');
            is(check(), 't', '... in a table that is whole');
            $node->safe_psql('postgres', "$end PREPARED 'p'");
            my $after = answer();
            is($after, slow_answer($kind), "... are found by their words after $end of what was prepared");
            like($after, qr/^$rows\|$rows\|$rows\|/, '... and each once');
            $node->safe_psql('postgres', join '', map { "$_;\n" } @$sql) if $fewer;
            $rows -= $fewer // 0;
            $node->safe_psql('postgres', "${small}CALL compact('t');\n");
            $after = slow_answer($kind) if $fewer;
            is(answer(), $after, '... and when the work is done again');
            like($after, qr/^$rows\|/, '... to its end');
            is(check(), 't', '... in a table that is whole');
            next unless $is_merge;
            is($node->safe_psql('postgres', "SELECT min(level) FROM historian_segments('t') WHERE row_count > 400"), 1,
                '... which is merged by tag');
        }
    }
}

stop_in_work('tag', $_) for @works, @works_on_tags;
stop_in_work('log', $_) for @works, @works_on_records;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|signal 11|signal 6/, 'nothing but the crashes that were asked for');
$node->stop;
done_testing();
