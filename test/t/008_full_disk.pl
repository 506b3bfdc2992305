# The disk is full: rows, segments, merges, the metapage of a new table find no block.
#
#   1. each statement fails with PostgreSQL's own error (53100, "could not extend file") and leaves nothing half done: what was
#      acknowledged is there, what failed is not, historian_check finds nothing, reading and VACUUM work;
#   2. a crash while the disk is full recovers on the full disk;
#   3. the maintenance worker neither ends nor spins: its tries become rarer;
#   4. when there is room again everything goes on by itself.
#
# Two kinds of full disk, neither of which needs root: a tablespace on a small tmpfs, which an unprivileged user can mount in a
# namespace of his own (Linux, where that is not forbidden), and a limit of the size of files (prlimit; the error is "File too
# large" then). HISTORIAN_FULL_DISK=tmpfs or =limit runs one of them. HISTORIAN_TEST_SEED repeats a run's sizes.
use strict;
use warnings;
use Time::HiRes qw(sleep time);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{HISTORIAN_TEST_SEED} // int(rand(1_000_000_000));
note "seed $seed (HISTORIAN_TEST_SEED)";
srand($seed);

use constant DISK_MEGABYTES => 24;

my ($node, $medium, $place);    # the server, the kind of its disk, the folder of its tablespace
my @stored;                     # ranges of v that were acknowledged
my $next_v;

sub sql { return $node->safe_psql('postgres', $_[0]) }

# Runs a statement that may fail; returns the SQLSTATE and the message, or nothing.
sub failure
{
    my ($statement) = @_;
    my ($status, undef, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement");
    return () if $status == 0;
    return $err =~ /ERROR:  (\w{5}): (.*)/ ? ($1, $2) : ('none', $err);
}

sub is_disk_full
{
    my ($what, $statement) = @_;
    is_full_disk_error($what, failure($statement));
}

sub is_full_disk_error
{
    my ($what, $state, $message) = @_;
    my ($right_state, $reason) = $medium eq 'tmpfs' ? ('53100', 'No space left on device') : ('XX000', 'File too large');
    is($state, $right_state, "$medium: $what fails");
    like($message, qr/could not (?:extend|write to) file "[^"]+".*$reason/, '... and PostgreSQL says why');
}

# Starts the server; for tmpfs in a namespace where the tablespace's folder is the small disk.
sub start_server
{
    my @start = ('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, 'start');
    if ($medium eq 'tmpfs')
    {
        # The server must not be root, not even of a namespace: the second namespace is its user's own again.
        my $mount = 'mount -t tmpfs -o size=' . DISK_MEGABYTES . "m,mode=700 none '$place'";
        @start = ('unshare', '-rm', 'sh', '-c', "$mount && exec unshare -U --map-user=$< \"\$@\"", 'sh', @start);
    }
    return 0 if system_log(@start) != 0;
    $node->_update_pid(1);
    return 1;
}

# Limits the size of files that the server's processes write, those to come included. One may end meanwhile.
sub limit_files
{
    my ($bytes) = @_;
    my $postmaster = $node->{_pid};
    my @pids = ($postmaster);
    for my $stat (glob '/proc/[0-9]*/stat')
    {
        open my $file, '<', $stat or next;
        push @pids, $1 if (<$file> // '') =~ /^(\d+) \(.*\) \S+ $postmaster /;
    }
    system_log('prlimit', '--pid', $_, "--fsize=$bytes:") for @pids;
}

sub fill_disk
{
    if ($medium eq 'tmpfs')
    {
        # By the server, since only it sees the disk.
        sql("COPY (SELECT 1) TO PROGRAM 'cat /dev/zero > $place/ballast 2> /dev/null || true'");
    }
    else
    {
        # Neither the file nor anything smaller can outgrow it; WAL files have 1 MB.
        limit_files(sql("SELECT pg_relation_size('t')"));
    }
}

sub empty_disk
{
    if ($medium eq 'tmpfs') { sql("COPY (SELECT 1) TO PROGRAM 'rm $place/ballast'") }
    else { limit_files('unlimited') }
}

sub new_rows
{
    my ($count) = @_;
    my $first = $next_v;
    $next_v += $count;
    return [$first, $next_v - 1];
}

sub insert { my ($range) = @_; return "INSERT INTO t SELECT * FROM points($range->[0], $range->[1]);" }

sub copy
{
    my ($range) = @_;
    # Written by us: the server's files may be limited.
    my $file = $node->basedir . "/points.$range->[0].data";
    append_to_file($file, sql("COPY (SELECT * FROM points($range->[0], $range->[1])) TO STDOUT") . "\n");
    return "COPY t FROM '$file';";
}

sub store { my ($range, $statement) = @_; sql($statement); push @stored, $range }

# Storing fails once the free blocks inside the file are used up. There are some again whenever the worker frees what a failed
# statement has left behind, so rows may find room several times, and then count as acknowledged.
sub storing_is_disk_full
{
    my ($what, $count, $statement_of) = @_;
    for (1 .. 200)
    {
        my $range = new_rows($count);
        my @error = failure($statement_of->($range));
        return is_full_disk_error($what, @error) if @error;
        push @stored, $range;
    }
    fail("$medium: $what fails");
}

sub is_whole
{
    my ($where) = @_;
    my $answer = 'SELECT count(*), count(DISTINCT v), sum(v), sum(hashtext(p::text)::bigint) FROM';
    my $ranges = join ', ', map { "($_->[0], $_->[1])" } @stored;
    is(sql("$answer t AS p"), sql("$answer (SELECT p.* FROM (VALUES $ranges) AS r (first, last), points(first, last) AS p) AS p"),
        "$medium: $where: what was acknowledged is there, nothing else is");
    my ($state, $message) = failure("SELECT historian_check('t')");
    is($state, undef, "$medium: $where: historian_check finds nothing") or diag $message;
}

sub worker_pid
{
    return sql("SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE backend_type = 'historian maintenance'");
}

sub run_on_full_disk
{
    ($medium) = @_;
    @stored = ();
    $next_v = 1;
    $node = PostgreSQL::Test::Cluster->new("full_$medium");
    # Files that grow besides the tables stay below any limit.
    $node->init(extra => ['--wal-segsize=1']);
    $node->append_conf('postgresql.conf', <<'SETTINGS');
shared_preload_libraries = 'historian'
fsync = off
autovacuum = off
restart_after_crash = on
work_mem = 64MB
max_wal_size = 64MB
log_statement = none
historian.maintenance_interval = 100ms
historian.seal_interval = 1h
SETTINGS
    $place = $node->basedir . '/small';
    mkdir $place, 0700 or die "$place: $!";
    BAIL_OUT('the server does not start') unless start_server();
    sql("CREATE TABLESPACE small LOCATION '$place'");
    sql(<<'SQL');
CREATE EXTENSION historian;
CREATE TABLE t (name text, "time" timestamptz, v int, note text) USING tag TABLESPACE small;
CREATE TABLE later (name text, "time" timestamptz, v int, note text) USING tag TABLESPACE small;
-- Notes hardly compress. Every 5,000th row is longer than a page and becomes a segment of its own.
CREATE FUNCTION points(first int, last int) RETURNS TABLE (name text, "time" timestamptz, v int, note text) LANGUAGE sql IMMUTABLE
AS 'SELECT ''s'' || i % 11, timestamptz ''2026-01-01'' + i * interval ''1 s'', i,
           CASE WHEN i % 5000 = 0 THEN (SELECT string_agg(md5(i || ''/'' || k), '''') FROM generate_series(1, 300) AS k)
                ELSE md5(i::text) || md5((-i)::text) END FROM generate_series(first, last) AS i';
SQL
    # Segments to merge, and a tail.
    for (1 .. 4) { my $range = new_rows(8192 + int(rand(2000))); store($range, copy($range)) }
    for (1 .. 3) { my $range = new_rows(500 + int(rand(1000))); store($range, insert($range)) }
    is_whole('before');

    my $worker = worker_pid();
    my $begin = time();
    fill_disk();
    storing_is_disk_full('INSERT of few rows', 200, \&insert);
    storing_is_disk_full('INSERT of many rows', 3000, \&insert);
    storing_is_disk_full('COPY of few rows', 3000, \&copy);
    storing_is_disk_full('COPY of many rows', 20_000, \&copy);
    is_disk_full('a row longer than a page',
        "INSERT INTO t SELECT 'w', now(), -1, string_agg(md5(i::text), '') FROM generate_series(1, 300000) AS i");
    storing_is_disk_full('INSERT of few rows again', 200, \&insert);
    is_disk_full('compact', "CALL compact('t')");
    is_whole('full');

    # A caught error leaves the rest of its transaction alone.
    my $too_many = insert(new_rows(60_000));
    sql(<<"SQL");
CREATE TABLE beside (i int);
DO \$\$ BEGIN
    INSERT INTO beside VALUES (1);
    BEGIN
        INSERT INTO beside VALUES (2);
        $too_many
        RAISE 'there was room';
    EXCEPTION WHEN disk_full OR internal_error THEN NULL;
    END;
    INSERT INTO beside VALUES (3);
END \$\$;
SQL
    is(sql("SELECT string_agg(i::text, ',' ORDER BY i) FROM beside"), '1,3', "$medium: a caught error spoils nothing else");
    is_whole('an error was caught');
    sql('VACUUM t');
    sql('ANALYZE t');
    is_whole('full, after VACUUM');
    if ($medium eq 'tmpfs')
    {
        is_disk_full('the first row of a table', "INSERT INTO later SELECT * FROM points(1, 1)");
        is(sql('SELECT count(*) FROM later'), 0, "$medium: it stays empty");
    }

    # The worker has the same trouble: compact has closed a run, which it is to seal.
    my $tries = 0;
    for (my $end = time() + 60; $tries < 5 && time() < $end; sleep(0.1))
    {
        $tries = () = slurp_file($node->logfile) =~ /could not maintain tables: could not (?:extend|write to) file/g;
    }
    my $full_seconds = time() - $begin;
    cmp_ok($tries, '>=', 5, "$medium: the worker meets the full disk");
    cmp_ok($full_seconds, '>', 1.5, '... and waits 0.1 s before it tries again, 0.2 s, 0.4 s ...');
    is(worker_pid(), $worker, '... and is still the same process');
    is_whole('the worker tried');

    # A crash; recovery has the same disk.
    my $victim = sql('SELECT pid FROM pg_stat_activity WHERE backend_type = \'checkpointer\'');
    kill 9, $victim;
    sleep(0.2);
    ok($node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()'), "$medium: the server recovers on the full disk");
    limit_files(sql("SELECT pg_relation_size('t')")) if $medium eq 'limit';
    is_whole('after a crash');

    empty_disk();
    ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM historian_segments('t') WHERE state = 'closed'"),
        "$medium: with room again the worker seals by itself");
    is_whole('room again');
    my $range = new_rows(3000);
    store($range, insert($range));
    $range = new_rows(9000);
    store($range, copy($range));
    sql("CALL compact('t')");
    sql('VACUUM t');
    is_whole('everything works again');
    sql('INSERT INTO later SELECT * FROM points(1, 10)');
    is(sql('SELECT count(*) FROM later'), 10, "$medium: the other table takes rows");
    like(sql("SELECT historian_check('later')"), qr/10 rows/, '... and is whole');

    $node->stop;
    my @bad = grep { /PANIC|terminated by signal(?! 9)|TRAP/ } split /^/m, slurp_file($node->logfile);
    is(join('', @bad), '', "$medium: nothing crashed but what was killed");
}

my @wanted = split /,/, $ENV{HISTORIAN_FULL_DISK} // 'tmpfs,limit';
my $none = '> /dev/null 2>&1';
my %possible = (
    tmpfs => system("unshare -rm sh -c 'mount -t tmpfs -o size=1m none /tmp && unshare -U --map-user=$< true' $none") == 0,
    limit => system("prlimit --pid $$ --fsize=unlimited: $none") == 0);
my @media = grep { $possible{$_} } @wanted;
plan skip_all => 'neither a namespace of our own nor prlimit is to be had here' unless @media;
note "full disks: @media";
run_on_full_disk($_) for @media;
done_testing();
