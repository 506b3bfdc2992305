# A standby replays, page for page, what is easy to replay wrongly, and takes over: it must be able to go on where the primary
# stopped.
#
#   - COPY whose rows are stored inside an inner subtransaction that is rolled back (a CHECK function with an exception block
#     runs a query);
#   - rows pruned by VACUUM, whose hint bits differ;
#   - extents whose pages were never written: the primary's file is longer than the standby's.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
# "all" alone would be read before the library is loaded, and leave our records unchecked.
$primary->append_conf('postgresql.conf', <<'SETTINGS');
shared_preload_libraries = 'historian'
wal_consistency_checking = 'all, historian'
autovacuum = off
fsync = off
SETTINGS
$primary->start;
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

$primary->safe_psql('postgres', <<'SQL');
CREATE EXTENSION historian;
CREATE TABLE loaded (name text, time timestamptz, v int) USING tag;
CREATE TABLE pruned (name text, time timestamptz, v int) USING tag;
CREATE TABLE fresh (name text, time timestamptz, v int) USING tag;
CREATE FUNCTION look(v int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF v IN (1500, 19500) THEN
        BEGIN
            PERFORM count(*) FROM loaded;
            RAISE division_by_zero;
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;
    END IF;
    RETURN true;
END $$;
ALTER TABLE loaded ADD CHECK (look(v));
SQL
# The first query comes when 1,000 rows are held back for the tail, the second when 18,000 are in a segment's builder.
my $points = join('', map { "a\t2026-01-01 00:00:00+00\t$_\n" } 1 .. 20_000);
my $file = $primary->basedir . '/points.data';
append_to_file($file, $points);
$primary->safe_psql('postgres', "COPY loaded FROM '$file'");
$primary->safe_psql('postgres', <<'SQL');
INSERT INTO pruned VALUES ('a', '2026-01-01', 1);
BEGIN;
INSERT INTO pruned VALUES ('gone', '2026-01-01', 2);
ROLLBACK;
SELECT count(*) FROM pruned;
VACUUM FREEZE pruned;
INSERT INTO pruned VALUES ('b', '2026-01-01', 3);
VACUUM FREEZE pruned;
INSERT INTO fresh VALUES ('a', '2026-01-01', 0);
SQL
$primary->wait_for_catchup($standby);

my %counts = (loaded => '20000|20000', pruned => '2|2', fresh => '1|1');
for my $node ($primary, $standby) {
    for my $table (sort keys %counts) {
        is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT v) FROM $table"), $counts{$table},
            $node->name . ": rows of $table");
        like($node->safe_psql('postgres', "SELECT historian_check('$table')"), qr/tail runs/, $node->name . ": $table is whole");
    }
}
is($primary->safe_psql('postgres', 'SELECT sync_state FROM pg_stat_replication'), 'async', 'no page of the standby differed');

$primary->stop('immediate');
$standby->promote;
# More pages than the first extent has, and a directory larger than its first page.
$standby->safe_psql('postgres',
    "INSERT INTO fresh SELECT 'b', timestamptz '2026-01-01' + i * interval '1 s', i FROM generate_series(1, 20000) i");
$standby->safe_psql('postgres', 'ALTER TABLE loaded ADD COLUMN body text');
$standby->safe_psql('postgres',
    "INSERT INTO loaded SELECT 'large' || i, '2026-01-01', i, repeat('x', 9000) FROM generate_series(20001, 20100) i");
is($standby->safe_psql('postgres', 'SELECT count(*), count(DISTINCT v) FROM fresh'), '20001|20001',
    'the promoted standby takes rows');
is($standby->safe_psql('postgres', 'SELECT count(*), count(DISTINCT v) FROM loaded'), '20100|20100', 'and makes segments');
for my $table (sort keys %counts) {
    $standby->safe_psql('postgres', "CALL compact('$table')");
    like($standby->safe_psql('postgres', "SELECT historian_check('$table')"), qr/tail runs/,
        "the promoted standby's $table is whole");
}
is($standby->safe_psql('postgres', 'SELECT count(*), count(DISTINCT v) FROM fresh'), '20001|20001',
    'and keeps them when it seals');
$standby->stop;
done_testing();
