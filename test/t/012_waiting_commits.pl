# Transactions that are committed and wait for a standby that does not answer: they are in progress to everybody else. Seal and
# merge leave their rows alone, wait for no standby themselves, and whoever comes later sees each row once, deleted or not, as
# they end. Then old_snapshot_threshold: VACUUM's limits may pass live snapshots, and our tables keep for these what they need.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('waiting_primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', <<'SETTINGS');
shared_preload_libraries = 'historian'
historian.maintenance_interval = 100ms
historian.seal_interval = 1s
autovacuum = off
SETTINGS
$primary->start;
$primary->safe_psql('postgres', <<'SQL');
CREATE EXTENSION historian;
CREATE TABLE t (name text, time timestamptz, v int) USING tag;
INSERT INTO t SELECT 'tag' || v % 10, timestamptz '2026-01-01 00:00+00' + v * interval '1 s', v FROM generate_series(1, 1000) v;
SQL
$primary->safe_psql('postgres', "CALL compact('t')");
$primary->backup('first');
my $standby = PostgreSQL::Test::Cluster->new('waiting_standby');
$standby->init_from_backup($primary, 'first', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$standby->stop;
$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'");
$primary->reload;
ok($primary->poll_query_until('postgres', "SELECT current_setting('synchronous_standby_names') = '*'"),
    'commits wait from now on');

# A session whose commit waits for the standby.
sub begin_waiting
{
    my ($statement) = @_;
    my $waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    my $before = $primary->safe_psql('postgres', $waiting);
    my $session = $primary->background_psql('postgres', on_error_stop => 1, timeout => 120);
    $session->query_until(qr/sent/, "\\echo sent\n$statement;\n\\echo over\n");
    ok($primary->poll_query_until('postgres', "SELECT ($waiting) = $before + 1"), "waits for the standby: $statement");
    return $session;
}

my $summary = 'SELECT count(*), count(DISTINCT v), sum(v) FROM t';
my $sum = 1000 * 1001 / 2;
my $insert = begin_waiting("INSERT INTO t SELECT 'tag1', timestamptz '2026-01-02', v FROM generate_series(1001, 1100) v");
my $delete = begin_waiting('DELETE FROM t WHERE v <= 100');
is($primary->safe_psql('postgres', $summary), "1000|1000|$sum", 'nobody sees what waits');
my $begun = time;
$primary->safe_psql('postgres', "CALL compact('t')");
cmp_ok(time - $begun, '<', 60, 'compact() does not wait for the standby');
is($primary->safe_psql('postgres', $summary), "1000|1000|$sum", '... and moves nothing into sight');
# Fresh rows of another session, in a run of their own once the other is closed; asynchronous, so that they are committed.
$primary->safe_psql('postgres', "SET synchronous_commit = local; "
        . "INSERT INTO t SELECT 'tag2', timestamptz '2026-01-03 00:00+00', v FROM generate_series(2001, 2100) v");
$primary->safe_psql('postgres', "CALL compact('t')");
my $more = $sum + 100 * (2001 + 2100) / 2;
is($primary->safe_psql('postgres', $summary), "1100|1100|$more", 'rows of others are sealed meanwhile');
is($primary->safe_psql('postgres', 'SET synchronous_commit = local; '
            . 'WITH gone AS (DELETE FROM t WHERE v BETWEEN 501 AND 510 RETURNING v) SELECT count(*), sum(v) FROM gone'),
    '10|5055', 'and deleted');
$primary->safe_psql('postgres', "CALL compact('t')");
$more -= 10 * (501 + 510) / 2;
is($primary->safe_psql('postgres', $summary), "1090|1090|$more", 'all of it is as it should be');

$standby->start;
ok($primary->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"),
    'the standby answers');
$_->quit foreach $insert, $delete;
$more += 100 * (1001 + 1100) / 2 - 100 * 101 / 2;
is($primary->safe_psql('postgres', $summary), "1090|1090|$more", 'what waited is in sight');
$primary->safe_psql('postgres', "CALL compact('t')");
is($primary->safe_psql('postgres', $summary), "1090|1090|$more", '... also after the next merge');
like($primary->safe_psql('postgres', "SELECT historian_check('t')"), qr/ tail runs/, 'the table is whole');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', $summary), "1090|1090|$more", 'the standby has the same');
$standby->stop;
$primary->append_conf('postgresql.conf', "synchronous_standby_names = ''");

SKIP:
{
    skip 'old_snapshot_threshold went with version 17', 3 if $primary->pg_version >= 17;
    $primary->append_conf('postgresql.conf', 'old_snapshot_threshold = 0');
    $primary->restart;
    my $reader = $primary->background_psql('postgres', on_error_stop => 1);
    $reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
    my $old = $reader->query_safe($summary);
    $primary->safe_psql('postgres', 'DELETE FROM t WHERE v > 600');
    $primary->safe_psql('postgres', "CALL compact('t')");
    $primary->safe_psql('postgres', 'VACUUM (FREEZE) t');
    $primary->safe_psql('postgres', "INSERT INTO t SELECT 'tag3', now(), v FROM generate_series(3001, 9000) v");
    $primary->safe_psql('postgres', "CALL compact('t')");
    is($old, "1090|1090|$more", 'a snapshot is taken');
    is($reader->query_safe($summary), $old, 'it sees what it saw, whatever old_snapshot_threshold says');
    $reader->query_safe('COMMIT');
    $reader->quit;
    is($primary->safe_psql('postgres', 'SELECT count(*) FROM t WHERE v BETWEEN 601 AND 3000'), 0, 'new ones do not');
}

$primary->stop;
done_testing();
