# A streaming standby replays everything with wal_consistency_checking = all (each replayed page is compared with the page that
# the primary had) and gives the same answers; killed, it comes back; promoted, it goes on. Then the other ways to copy a
# cluster or a database: pg_basebackup from both, CREATE DATABASE from a template by both strategies, a move to a tablespace.
#
# HISTORIAN_TEST_SEED repeats a run; HISTORIAN_TEST_AM=log runs it on log tables (014_standby_of_log_tables.pl does), =heap tests
# the test.
use strict;
use warnings;
# A standby that died is found out sooner than by default.
BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} //= 60 }
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $am = $ENV{HISTORIAN_TEST_AM} // 'tag';
my $is_ours = $am ne 'heap';
my $time = $am eq 'log' ? '_arrival_time' : '"time"';
my $seed = $ENV{HISTORIAN_TEST_SEED} // int(rand(1_000_000_000));
note "seed $seed (HISTORIAN_TEST_SEED)";
srand($seed);

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', <<'SETTINGS');
wal_consistency_checking = 'all'
max_wal_size = 256MB
autovacuum_naptime = 1s
allow_in_place_tablespaces = on
max_prepared_transactions = 5
max_standby_streaming_delay = 60s
SETTINGS
# "all" is read before the library is loaded and leaves our records unchecked: the name must be there too.
$primary->append_conf('postgresql.conf', <<'SETTINGS') if $is_ours;
shared_preload_libraries = 'historian'
wal_consistency_checking = 'all, historian'
SETTINGS
$primary->start;
$primary->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('standby')");
$primary->backup('first');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'first', has_streaming => 1);
$standby->append_conf('postgresql.conf', "primary_slot_name = 'standby'");
$standby->start;

$primary->safe_psql('postgres', 'CREATE EXTENSION historian') if $is_ours;
$primary->safe_psql('postgres', <<"SQL");
CREATE TABLE a (name text, $time timestamptz, value float8, note text) USING $am;
CREATE TABLE b (line int, tag text, at timestamp, count bigint, tags jsonb) USING $am;
CREATE UNLOGGED TABLE u (name text, $time timestamptz, value float8) USING $am;
CREATE TABLE small (name text, $time timestamptz) USING $am;
CREATE TABLE empty (name text, $time timestamptz) USING $am;
SQL

# Row count and checksum of each table that a standby can read.
sub answers
{
    my ($node, $database) = @_;
    return $node->safe_psql($database // 'postgres', <<'SQL');
SELECT format('SELECT %L, count(*), md5(string_agg(r::text, chr(10) ORDER BY r::text COLLATE "C")) FROM %I.%I AS r',
              relname, nspname, relname)
FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND relpersistence = 'p' AND nspname = 'public' ORDER BY relname \gexec
SQL
}

sub same_answers
{
    my ($what, $database) = @_;
    $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
    my $expected = answers($primary, $database);
    is(answers($standby, $database), $expected, $what);
    if ($is_ours)
    {
        for my $table (qw(a b))
        {
            my ($status, undef, $err) = $standby->psql($database // 'postgres', "SELECT historian_check('$table')");
            is($status, 0, "$what: historian_check('$table') on the standby") or diag $err;
        }
        # Answered by filters and templates, and by reading the texts.
        my $found = $standby->safe_psql($database // 'postgres', "SELECT (SELECT count(*) FROM a WHERE note @@ search('NOTE 7'))"
                . " - (SELECT count(*) FROM a WHERE note ~ '^note 7\$')");
        is($found, 0, "$what: a search on the standby finds what is there");
    }
}

sub rows_a
{
    my ($count) = @_;
    my $base = int(rand(1_000_000));
    return "SELECT 's' || i % 17, timestamptz '2026-01-01' + ($base + i) * interval '1 s', (i * 7 % 1000)::float8 / 100, "
        . "CASE i % 50 WHEN 0 THEN NULL WHEN 1 THEN repeat(md5(i::text), 400) ELSE 'note ' || i % 10 END "
        . "FROM generate_series(1, $count) AS i";
}

sub one_of { return $_[int(rand(@_))] }

sub statement
{
    my $count = (1, 3, 40, 500, 6000)[int(rand(5))];
    my $rows = rows_a($count);
    my @kinds = (
        sub { "INSERT INTO a $rows" },
        sub { "INSERT INTO a VALUES ('one', now(), random(), 'single')" },
        sub { "BEGIN; INSERT INTO a $rows; SAVEPOINT s; INSERT INTO a $rows; ROLLBACK TO s; INSERT INTO b VALUES (1); COMMIT" },
        sub { "BEGIN; INSERT INTO a $rows; TRUNCATE b; ROLLBACK" },
        sub { "INSERT INTO b SELECT i, 'tag' || i % 5, timestamp '2026-01-01' + i * interval '1 min', i * i, "
                . "jsonb_build_object('i', i) FROM generate_series(1, $count) AS i" },
        sub { "COPY a FROM PROGRAM 'seq $count | sed ''s/.*/copy&\t2026-01-02 00:00:00+00\t&.5\tby COPY/'''" },
        sub { "INSERT INTO u SELECT name, $time, value FROM a LIMIT 1000" },
        sub { "CREATE TEMP TABLE x (LIKE a) USING $am; INSERT INTO x $rows; INSERT INTO a TABLE x; DROP TABLE x" },
        sub { "BEGIN; CREATE TABLE c (LIKE a) USING $am; INSERT INTO c $rows; ROLLBACK" },
        sub { "DROP TABLE IF EXISTS d; CREATE TABLE d USING $am AS TABLE a" },
        sub { "BEGIN; TRUNCATE b; INSERT INTO b VALUES (2, 'after truncate', 'infinity', -1, '[]'); COMMIT" },
        sub { "BEGIN; INSERT INTO a $rows; PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'" },
        sub { "BEGIN; INSERT INTO a $rows; PREPARE TRANSACTION 'q'; ROLLBACK PREPARED 'q'" },
        sub { "DELETE FROM a WHERE md5(a::text) < '" . one_of(0 .. 9, 'a' .. 'f') . one_of(0 .. 9) . "'" },
        sub { "DELETE FROM a WHERE name = 's" . int(rand(17)) . "'" }, sub { 'DELETE FROM b WHERE line % 3 = 1' },
        sub { "BEGIN; DELETE FROM a WHERE name < 's12'; SAVEPOINT s; DELETE FROM a; ROLLBACK TO s; INSERT INTO a $rows; COMMIT" },
        sub { "BEGIN; DELETE FROM a WHERE value < 5; CHECKPOINT; ROLLBACK" },
        sub { "BEGIN; DELETE FROM a WHERE value > 9; PREPARE TRANSACTION 'r'; VACUUM a; "
                . one_of('COMMIT', 'ROLLBACK') . " PREPARED 'r'" },
        ($is_ours ? sub { "SELECT delete_before('a', timestamptz '2026-01-01' + '" . int(rand(500_000)) . " s')" } : ()),
        sub { 'VACUUM a' }, sub { 'VACUUM (FREEZE) b' }, sub { 'VACUUM FULL b' }, sub { 'ANALYZE a' }, sub { 'CHECKPOINT' },
        ($is_ours ? (sub { "CALL compact('a')" }, sub { "CALL compact('b')" }, sub { "CALL compact('u')" },
                sub { "SET historian.merge_effort = high; CALL compact('" . one_of('a', 'b') . "')" },
                # What is spare of its directory goes and comes back.
                sub { "INSERT INTO small SELECT name, $time FROM a LIMIT 300; CALL compact('small')" }) : ()),
    );
    return $kinds[int(rand(@kinds))]->();
}

# psql -c runs its statements in one transaction; a file does not, as VACUUM and compact() need.
sub run
{
    my ($sql) = @_;
    my ($status, undef, $err) = $primary->psql('postgres', join('', map { "$_;\n" } split /; /, $sql), on_error_stop => 1);
    is($status, 0, substr($sql, 0, 60)) or diag "$sql\n$err" if $status != 0;
}

for my $full_page_writes ('on', 'off')
{
    $primary->safe_psql('postgres', "ALTER SYSTEM SET full_page_writes = $full_page_writes");
    $primary->reload;
    for my $part (1 .. 2)
    {
        run(statement()) for 1 .. 45;
        same_answers("full_page_writes $full_page_writes, part $part: the standby gives the same answers");
    }
    # Only with full pages: without them PostgreSQL's consistency check itself stumbles, over a heap page that a record further
    # on truncates away and that a replay from the start meets as zeros.
    next if $full_page_writes eq 'off';
    $standby->stop('immediate');
    run(statement()) for 1 .. 10;
    $standby->start;
    same_answers('the same answers after the standby was stopped at once');
}

# Queries run on the standby while the primary goes on: they may be cancelled for a conflict, nothing else.
my $pid = fork() // die "fork: $!";
if (!$pid)
{
    my $wrong = 0;
    my $end = time() + 5;
    while (time() < $end)
    {
        my ($status, $out, $err) = $standby->psql('postgres', "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM a; "
                . "SELECT pg_sleep(0.1); SELECT count(*) FROM a; COMMIT", on_error_stop => 1);
        my @counts = $out =~ /^(\d+)$/mg;
        next if $status != 0 && $err =~ /conflict with recovery/;
        if ($status != 0 || $counts[0] != $counts[1]) { print STDERR "# standby: @counts $err\n"; $wrong = 1 }
    }
    POSIX::_exit($wrong);
}
run(statement()) for 1 .. 40;
waitpid($pid, 0);
is($?, 0, 'snapshots on the standby hold while the primary goes on');
same_answers('the same answers after queries on the standby');

# A database is copied page by page through WAL, or file by file.
$primary->safe_psql('postgres', 'CREATE DATABASE source');
$primary->safe_psql('source', ($is_ours ? 'CREATE EXTENSION historian; ' : '')
    . "CREATE TABLE a (name text, $time timestamptz, value float8, note text) USING $am; INSERT INTO a " . rows_a(20000)
    . "; CREATE TABLE b USING $am AS TABLE a; CREATE UNLOGGED TABLE u USING $am AS TABLE a");
$primary->safe_psql('source', "CALL compact('a')") if $is_ours;
for my $strategy ('wal_log', 'file_copy')
{
    $primary->safe_psql('postgres', "CREATE DATABASE copy_$strategy TEMPLATE source STRATEGY $strategy");
    is(answers($primary, "copy_$strategy"), answers($primary, 'source'), "CREATE DATABASE by $strategy copies the rows");
    is($primary->safe_psql("copy_$strategy", 'SELECT count(*) FROM u'), 20000, "... and those of an unlogged table");
    $primary->safe_psql("copy_$strategy", "INSERT INTO a VALUES ('more', now(), 1, NULL)");
    same_answers("the standby has the copy by $strategy", "copy_$strategy");
}

$primary->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION ''");
$primary->safe_psql('postgres', 'ALTER TABLE a SET TABLESPACE elsewhere');
same_answers('a table moved to another tablespace');

# A backup of a standby needs the primary's full pages.
$primary->safe_psql('postgres', 'ALTER SYSTEM SET full_page_writes = on');
$primary->reload;
$primary->safe_psql('postgres', 'CHECKPOINT');
for my $node ($primary, $standby)
{
    my $name = $node->name;
    $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
    my $expected = answers($primary);
    $node->backup("of_$name");
    my $copy = PostgreSQL::Test::Cluster->new("copy_of_$name");
    $copy->init_from_backup($node, "of_$name");
    $copy->append_conf('postgresql.conf', "primary_conninfo = ''");
    $copy->start;
    is(answers($copy), $expected, "pg_basebackup of the $name");
    $copy->stop;
}

# The primary dies, the standby takes over.
my $expected = answers($primary);
$primary->stop('immediate');
$standby->promote;
is(answers($standby), $expected, 'promoted: the same answers');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM u'), 0, 'promoted: the unlogged table is empty');
$standby->safe_psql('postgres', 'INSERT INTO u ' . rows_a(10) =~ s/, CASE.*END//r);
is($standby->safe_psql('postgres', 'SELECT count(*) FROM u'), 10, 'promoted: the unlogged table takes rows');
$standby->safe_psql('postgres', 'INSERT INTO a ' . rows_a(1000));
$standby->safe_psql('postgres', "CALL compact('a')") if $is_ours;
$standby->safe_psql('postgres', 'VACUUM a');
$expected = answers($standby);
$standby->kill9;
# Refused as long as a child of the dead postmaster lives.
for my $try (1 .. 60)
{
    last if system_log('pg_ctl', '-w', '-D', $standby->data_dir, '-l', $standby->logfile, 'start') == 0;
    sleep 1;
}
$standby->_update_pid(1);
is(answers($standby), $expected, 'promoted, written to, killed: all is there');

for my $node ($primary, $standby)
{
    unlike(slurp_file($node->logfile), qr/inconsistent page|PANIC|TRAP|signal 11|signal 6/, $node->name . ' logged no damage');
}
$standby->stop;
done_testing();
