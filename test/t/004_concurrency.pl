# Everything at once: sessions insert by INSERT, COPY and large rows, commit, roll back, use savepoints and prepared
# transactions, while
# others read, seal, VACUUM, ANALYZE, check and change the table's columns.
#
# Each transaction puts n rows with its number into the tag table t and one row that says so into the heap table done. So in
# every snapshot
#
#   1. t holds exactly the n different rows of each transaction in done, and no row of any other;
#   2. the same snapshot gives the same answer again, after what was sealed, merged and freed meanwhile;
#   3. no session gets an error.
#
# At the end the rows are compared one by one with what done says was sent, again after a crash, and historian_check() finds
# nothing.
#
# HISTORIAN_TEST_SEED repeats a run's choices (not its timing); HISTORIAN_STRESS_SECONDS (20) makes it longer.
use strict;
use warnings;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{HISTORIAN_STRESS_SECONDS} || 20;
my $seed = $ENV{HISTORIAN_TEST_SEED} || int(rand(1_000_000_000));
note "seed $seed (HISTORIAN_TEST_SEED)";

my $node = PostgreSQL::Test::Cluster->new('concurrency');
$node->init;
$node->append_conf('postgresql.conf', <<'SETTINGS');
shared_preload_libraries = 'historian'
max_prepared_transactions = 10
max_connections = 40
autovacuum_naptime = 1s
fsync = off
historian.debug_segment_rows = 30000
min_parallel_table_scan_size = 0
parallel_setup_cost = 100
log_min_messages = warning
SETTINGS
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION historian;
CREATE TABLE t (name text, time timestamptz, v int, txn bigint, k int, body text) USING tag;
CREATE TABLE done (txn bigint, n int, large boolean);
CREATE SEQUENCE txns;
-- The rows 1 .. n of a transaction.
CREATE FUNCTION sent(txn bigint, n int, large boolean)
RETURNS TABLE (name text, "time" timestamptz, v int, txn bigint, k int, body text) LANGUAGE sql IMMUTABLE AS $$
    SELECT 'tag' || (txn + k) % 20, timestamptz '2026-01-01 00:00+00' + txn * interval '1 s' + k * interval '1 ms',
        (txn * 31 + k)::int % 1000, txn, k,
           CASE WHEN large THEN repeat(k::text, 9000) END
    FROM generate_series(1, n) k
$$;
CREATE PROCEDURE put(n int, large boolean DEFAULT false, copied boolean DEFAULT false) LANGUAGE plpgsql AS $$
DECLARE
    txn bigint := nextval('txns');
    file text := current_setting('data_directory') || '/stress' || pg_backend_pid() || '.data';
BEGIN
    INSERT INTO done VALUES (txn, n, large);
    IF copied THEN
        EXECUTE format('COPY (SELECT * FROM sent(%s, %s, %L)) TO %L', txn, n, large, file);
        EXECUTE format('COPY t (name, time, v, txn, k, body) FROM %L', file);
    ELSE
        INSERT INTO t (name, time, v, txn, k, body) SELECT * FROM sent(txn, n, large);
    END IF;
END $$;
-- What contradicts a snapshot's own list of transactions: must be nothing.
CREATE FUNCTION contradictions() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM (SELECT txn, count(*) AS n, count(DISTINCT k) AS different, sum(k) AS total FROM t GROUP BY txn) stored
        FULL JOIN done USING (txn)
        WHERE stored.n IS DISTINCT FROM done.n OR different <> done.n OR total <> done.n * (done.n + 1) / 2
$$;
CREATE PROCEDURE look_twice() LANGUAGE plpgsql AS $$
DECLARE
    r record;
    before bigint;
    after bigint := 0;
BEGIN
    IF contradictions() <> 0 THEN RAISE 'a snapshot contradicts itself'; END IF;
    SELECT count(*) INTO before FROM t;
    -- row by row, slowly, while the table is being rebuilt
    FOR r IN SELECT k FROM t LOOP
        after := after + 1;
        IF after % 20000 = 0 THEN PERFORM pg_sleep(0.05); END IF;
    END LOOP;
    IF before <> after THEN RAISE 'a snapshot had % rows, then %', before, after; END IF;
    IF contradictions() <> 0 THEN RAISE 'a snapshot came to contradict itself'; END IF;
END $$;
SQL

# One file a script, with its weight.
sub scripts {
    my @files;
    while (my ($sql, $weight) = splice(@_, 0, 2)) {
        my $file = $node->basedir . '/script' . int(rand(1e9)) . '.sql';
        append_to_file($file, $sql);
        push @files, '-f', "$file\@$weight";
    }
    return @files;
}

my @sessions;
sub start_sessions {
    my ($name, $clients, @scripts) = @_;
    my %run = (name => $name, out => '', err => '');
    $run{handle} = IPC::Run::start([ 'pgbench', '-n', '-c', $clients, '-j', 1, '-T', $seconds,
        '-h', $node->host, '-p', $node->port,
            "--random-seed=" . $seed++, scripts(@scripts), 'postgres' ], '>', \$run{out}, '2>', \$run{err});
    push @sessions, \%run;
}

start_sessions('writers', 4,
    "\\set n random(1, 30)\nCALL put(:n);\n" => 30,
    "\\set n random(1, 200)\nBEGIN;\nCALL put(:n);\n\\sleep 5 ms\nCALL put(1);\nCOMMIT;\n" => 8,
    "\\set n random(1, 500)\nBEGIN;\nCALL put(:n);\nROLLBACK;\n" => 5,
    "\\set n random(1, 100)\nBEGIN;\nCALL put(1);\nSAVEPOINT s;\nCALL put(:n);\nROLLBACK TO s;\n"
        . "CALL put(:n, copied => true);\nCOMMIT;\n" => 5,
    "\\set n random(1, 3)\nCALL put(:n, large => true);\n" => 4,
    "\\set n random(1, 9000)\nCALL put(:n, copied => true);\n" => 1,
    "\\set n random(8000, 12000)\nBEGIN;\nCALL put(:n, copied => true);\nROLLBACK;\n" => 1,
    "\\set n random(1, 100)\nBEGIN;\nCALL put(:n);\nPREPARE TRANSACTION 'c:client_id';\n\\sleep 200 ms\n"
        . "COMMIT PREPARED 'c:client_id';\n" => 2,
    "\\set n random(1, 9000)\nBEGIN;\nCALL put(:n, copied => true);\nPREPARE TRANSACTION 'r:client_id';\n\\sleep 200 ms\n"
        . "ROLLBACK PREPARED 'r:client_id';\n" => 1);
start_sessions('readers', 2,
    "BEGIN ISOLATION LEVEL REPEATABLE READ;\nCALL look_twice();\nCOMMIT;\n" => 2,
    "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT contradictions();\n\\sleep 500 ms\nCALL look_twice();\nCOMMIT;\n" => 1,
    "DO \$\$ BEGIN IF contradictions() <> 0 THEN RAISE 'contradiction'; END IF; END \$\$;\n" => 2);
start_sessions('sealers', 2, "CALL compact('t');\n\\set ms random(1, 300)\n\\sleep :ms ms\n" => 1);
start_sessions('cleaners', 1,
    "VACUUM t;\n\\sleep 50 ms\n" => 3,
    "VACUUM (FREEZE) t;\n\\sleep 50 ms\n" => 2,
    "ANALYZE t;\n" => 1,
    "SELECT historian_check('t');\n" => 2,
    "SELECT * FROM historian_size('t');\nSELECT * FROM historian_segments('t');\n" => 4);
start_sessions('owner', 1,
    "\\sleep 1 s\nALTER TABLE t ADD COLUMN extra int DEFAULT 7;\n\\sleep 500 ms\nALTER TABLE t DROP COLUMN extra;\n" => 1);

for my $run (@sessions) {
    my $ok = $run->{handle}->finish;
    ok($ok, "$run->{name} got no error") or diag($run->{err});
    note "$run->{name}: $1 scripts" if $run->{out} =~ /transactions actually processed: (\d+)/;
}

sub compare {
    my ($when) = @_;
    is($node->safe_psql('postgres', 'SELECT contradictions()'), '0', "$when: t holds the transactions that were committed");
    is($node->safe_psql('postgres', <<'SQL'), '0', "$when: every row is there as it was sent, and no other");
WITH expected AS MATERIALIZED (SELECT s.* FROM done, sent(done.txn, done.n, done.large) s),
     stored AS MATERIALIZED (SELECT name, time, v, txn, k, body FROM t)
SELECT count(*) FROM ((TABLE expected EXCEPT ALL TABLE stored) UNION ALL (TABLE stored EXCEPT ALL TABLE expected)) difference
SQL
    my $check = $node->safe_psql('postgres', "SELECT historian_check('t')");
    like($check, qr/tail runs/, "$when: historian_check finds nothing");
    note $check;
    is($node->safe_psql('postgres', "SELECT row_count - (SELECT count(*) FROM t) FROM historian_size('t')"), '0',
        "$when: historian_size counts the rows");
}

compare('at the end');
$node->safe_psql('postgres', "BEGIN; CALL put(9000, copied => true); CALL put(100); PREPARE TRANSACTION 'last'");
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT contradictions()'), '0', 'nothing is lost in a crash');
$node->safe_psql('postgres', "CALL compact('t')");
$node->safe_psql('postgres', "COMMIT PREPARED 'last'");
is($node->safe_psql('postgres', 'SELECT contradictions()'), '0', 'a prepared transaction outlives a crash');
$node->safe_psql('postgres', "CALL compact('t')");
$node->safe_psql('postgres', 'VACUUM FREEZE t');
compare('after a crash, sealed');
note $node->safe_psql('postgres', "SELECT count(*) FROM t") . ' rows, '
    . $node->safe_psql('postgres', 'SELECT count(*) FROM done') . ' transactions';
is($node->safe_psql('postgres', "SELECT reusable_bytes FROM historian_size('t')"), '0', 'nothing is kept that nobody needs');
$node->stop;
done_testing();
