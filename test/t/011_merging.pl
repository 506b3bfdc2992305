# The background worker merges what trickles in, late points too: few segments lie over any point. A snapshot that is held stops
# neither sealing nor readers; it stops merging before the table has grown by much (rule R22).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('merging');
$node->init;
$node->append_conf('postgresql.conf', <<'SETTINGS');
shared_preload_libraries = 'historian'
historian.maintenance_interval = 50ms
historian.seal_interval = 1s
historian.debug_segment_rows = 800
fsync = off
SETTINGS
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION historian;
CREATE TABLE t (name text, time timestamptz, v int) USING tag;
CREATE VIEW entries AS SELECT * FROM historian_segments('t');
-- The n-th batch: 800 points of 40 tags, each tenth up to a month late.
CREATE PROCEDURE put(n int) LANGUAGE plpgsql AS $$ BEGIN
    EXECUTE format($copy$ COPY t FROM PROGRAM 'awk "BEGIN { srand(%s); for (i = 0; i < 800; i++)
        print \"tag\" i %% 40 \"\\t\" strftime(\"%%Y-%%m-%%d %%H:%%M:%%S+00\",
            1767225600 + %s * 20 + int(i / 40) - (rand() < 0.1 ? 3600 + int(rand() * 2500000) : 0), 1) \"\\t\" %s * 800 + i }"'
        $copy$, n, n, n);
END $$;
SQL

# Loads batches [first, last], one a transaction.
sub put
{
    my ($first, $last) = @_;
    $node->safe_psql('postgres', join '', map { "CALL put($_);\n" } $first .. $last);
}

# Waits until nothing is left to do.
sub settle
{
    my ($seen, $now) = ('', '-');
    for (1 .. 600)
    {
        $seen = $now;
        $now = $node->safe_psql('postgres', "SELECT string_agg(slot || ' ' || state, ',' ORDER BY slot) FROM entries");
        last if $seen eq $now && $now !~ /open|closed/;
        select undef, undef, undef, 0.3;
    }
    return;
}

# The most segments in force over any tag and time that has a point.
my $depth = <<'SQL';
SELECT max(n) FROM (SELECT count(*) AS n FROM (SELECT DISTINCT name, time FROM t TABLESAMPLE BERNOULLI (5) REPEATABLE (1)) AS p
    JOIN entries AS s ON s.state = 'sealed' AND p.name BETWEEN (s.tag_first COLLATE "C") AND (s.tag_last COLLATE "C")
        AND p.time BETWEEN s.time_min AND s.time_max GROUP BY p.name, p.time) AS depths
SQL

put(1, 200);
settle();
my $answer = 'SELECT count(*), count(DISTINCT v), sum(v) FROM t';
is($node->safe_psql('postgres', $answer), '160000|160000|' . (160000 * (800 + 160799) / 2), 'every point is there once');
my $levels = $node->safe_psql('postgres', "SELECT max(level) FROM entries WHERE state = 'sealed'");
cmp_ok($levels, '>=', 2, "what was merged is merged again (level $levels)");
my $deep = $node->safe_psql('postgres', $depth);
cmp_ok($deep, '<=', 32, "over no point lie many of the two hundred loads ($deep segments)");
my $rewritten = $node->safe_psql('postgres', "SELECT rows_rewritten::float8 / rows_stored FROM historian_size('t')");
cmp_ok($rewritten, '<=', 6, "a row is written again a few times at most ($rewritten times on average)");
is($node->safe_psql('postgres', "SELECT count(*) FROM entries WHERE state = 'sealed' AND level > 0 AND "
            . "time_max - time_min > '1 day' AND time_max > (SELECT max(time) FROM t) - interval '1 min'"), 0,
    'late points lie apart from the rest');
like($node->safe_psql('postgres', "SELECT historian_check('t')"), qr/ 160000 rows/, 'the table is whole');

# An old snapshot.
my $old = $node->background_psql('postgres', on_error_stop => 1);
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $before = $old->query_safe($answer);
my $blocks = "SELECT coalesce(sum(block_count) FILTER (WHERE state = 'superseded' AND kind = 'segment'), 0) FROM entries";
put(201, 800);
settle();
my $kept = $node->safe_psql('postgres', $blocks);
my $in_force = $node->safe_psql('postgres', "SELECT sum(block_count) FROM entries WHERE state <> 'superseded'");
cmp_ok($kept, '>', 0, "copies are kept for the old snapshot ($kept blocks)");
cmp_ok($kept, '<', 2 * $in_force, "... but not of all that would have been merged ($in_force blocks in force)");
cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM entries WHERE state = 'sealed' AND level = 0"), '>=', 16,
    'merging waits');
is($node->safe_psql('postgres', "SELECT count(*) FROM entries WHERE kind = 'tail' AND state <> 'superseded'"), 0,
    'sealing does not');
is($old->query_safe($answer), $before, 'the old snapshot sees what it saw');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), 640_000, 'a new one everything');
$old->query_safe('COMMIT');
$old->quit;
ok($node->poll_query_until('postgres', "SELECT count(*) < 8 FROM entries WHERE state = 'sealed' AND level = 0"),
    'without the snapshot merging goes on');
settle();
is($node->safe_psql('postgres', $blocks), 0, '... and the copies are gone');
is($node->safe_psql('postgres', $answer), '640000|640000|' . (640000 * (800 + 640799) / 2), 'every point is there once');
like($node->safe_psql('postgres', "SELECT historian_check('t')"), qr/ 640000 rows/, 'the table is whole');

# A merge that failed after it had marked its sources: these are in force, nobody's snapshot keeps them, and merging goes on.
my $file = $node->basedir . '/points';
$node->safe_psql('postgres', 'CREATE TABLE u (name text, time timestamptz, v text) USING tag WITH (historian.compact = off)');
$node->safe_psql('postgres', <<"SQL");
COPY (SELECT 'tag' || i % 40, timestamptz '2026-01-01' + i * interval '1 s',
    (SELECT string_agg(md5(random()::text || i || j), '') FROM generate_series(1, 10) AS j) FROM generate_series(1, 9600) AS i)
    TO '$file';
COPY u FROM '$file';
SQL
# The last rows may have gone to the tail.
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM historian_segments('u') WHERE state IN ('open', 'closed')");
my $holder = $node->background_psql('postgres', on_error_stop => 1);
$holder->query_safe('SELECT pg_advisory_lock(1213415763, 3)');
my $merger = $node->background_psql('postgres', on_error_stop => 0);
$merger->query_until(qr/begin/, "\\echo begin\nSET historian.debug_stop_point = 3;\nCALL compact('u');\n");
$node->poll_query_until('postgres',
    "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CALL compact%' AND wait_event = 'advisory'");
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL compact%'");
$holder->quit;
$merger->quit;
my $loaded = "SELECT count(*) FROM historian_segments('u') WHERE state = 'sealed' AND level = 0";
is($node->safe_psql('postgres', $loaded), 12, 'a merge has failed');
$node->safe_psql('postgres', 'ALTER TABLE u SET (historian.compact = on)');
ok($node->poll_query_until('postgres', "SELECT ($loaded) < 8"), 'the next one does what it did not');

# The worker has looked at what a transaction in progress has deleted, and found nothing to shed yet.
my $deleter = $node->background_psql('postgres', on_error_stop => 1);
$deleter->query_safe('BEGIN');
$deleter->query_safe("DELETE FROM u WHERE v < '8'");
select undef, undef, undef, 0.5;
my $committed_at = time;
$deleter->query_safe('COMMIT');
$deleter->quit;
ok($node->poll_query_until('postgres', "SELECT sum(deleted_rows) = 0 FROM historian_segments('u') WHERE state = 'sealed'"),
    'deleted rows are shed ...');
cmp_ok(time - $committed_at, '<', 30, '... soon after the deletion is committed');
is($node->safe_psql('postgres', "SELECT count(*) FILTER (WHERE v < '8') FROM u"), 0, 'they are gone');
like($node->safe_psql('postgres', "SELECT historian_check('u')"), qr/segments/, 'the table is whole');

$node->stop;
done_testing();
