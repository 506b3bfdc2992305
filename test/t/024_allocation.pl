# Sessions that allocate and free blocks at once: the first rows of new tables, entries, extents of runs and of delete logs, more
# and more directory pages; on the first map page, which is the metapage, and on a later one, which is a page of its own. The
# metapage is the last page that anybody locks, and locked once: who locked it twice, or another page after it, would wait for
# ever; who changed the map without that lock would lose bits.
#
#   1. nobody waits for ever, and no session gets an error;
#   2. at the end the table holds the rows that a heap table says, again after a crash;
#   3. historian_check() finds no block that is lost or has two owners.
#
# HISTORIAN_TEST_SEED repeats a run's choices (not its timing); HISTORIAN_STRESS_SECONDS (8) makes it longer.
use strict;
use warnings;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{HISTORIAN_STRESS_SECONDS} || 8;
my $seed = $ENV{HISTORIAN_TEST_SEED} || int(rand(1_000_000_000));
note "seed $seed (HISTORIAN_TEST_SEED)";

# A map page's bits, and where the first one's begin; the blocks that one tells of.
use constant { PAGE => 8192, NEW_TABLES => 300, MAP_BYTES => 8040, FIRST_MAP_OFFSET => 136, MAP_BLOCKS => 64320 };

my $node = PostgreSQL::Test::Cluster->new('allocation');
$node->init(no_data_checksums => 1);    # a file is changed below
$node->append_conf('postgresql.conf', <<'SETTINGS');
shared_preload_libraries = 'historian'
wal_consistency_checking = 'historian'
autovacuum = off
fsync = off
log_min_messages = warning
historian.seal_interval = 1h
SETTINGS
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION historian;
CREATE SEQUENCE numbers CACHE 100;
SQL
for my $table (qw(near far))
{
    $node->safe_psql('postgres', <<"SQL");
CREATE TABLE $table (name text, time timestamptz, k bigint, body text) USING tag;
CREATE TABLE sent_to_$table (k bigint PRIMARY KEY);
SQL
}
$node->safe_psql('postgres', join "\n", map { "CREATE TABLE new$_ (name text, time timestamptz) USING tag;" } 1 .. NEW_TABLES);

# One statement that stores n rows and says so. A row longer than a page becomes an entry of its own.
sub put
{
    my ($table, $count, $body) = @_;
    return <<"SQL" =~ s/\n(?=.)/ /gr;
WITH more AS MATERIALIZED (SELECT nextval('numbers') AS k FROM generate_series(1, $count)),
     noted AS (INSERT INTO sent_to_$table SELECT k FROM more)
INSERT INTO $table SELECT 'tag' || k % 20, now() + k * interval '1 ms', k, $body FROM more;
SQL
}

my @sessions;

# Scripts with their weights, for $seconds unless the options of pgbench say otherwise.
sub start_sessions
{
    my ($name, $options, @scripts) = @_;
    my @files;
    while (my ($sql, $weight) = splice(@scripts, 0, 2))
    {
        my $file = $node->basedir . "/$name" . @files;
        append_to_file($file, $sql);
        push @files, '-f', "$file\@$weight";
    }
    my %run = (name => $name, out => '', err => '');
    my @command = ('pgbench', '-n', '-j', 1, '-h', $node->host, '-p', $node->port, '--random-seed=' . $seed++, @$options, @files);
    $run{handle} = IPC::Run::start([ @command, 'postgres' ], '>', \$run{out}, '2>', \$run{err}, IPC::Run::timeout(180));
    push @sessions, \%run;
}

# A statement that waits for its own lock cannot be cancelled: the test would hang.
sub finish_sessions
{
    for my $run (splice @sessions)
    {
        my $ok = eval { $run->{handle}->finish };
        ok($ok, "$run->{name} got no error") or diag($@, $run->{err});
        BAIL_OUT("$run->{name} waits for ever") if $@;
        note "$run->{name}: $1 scripts" if $run->{out} =~ /transactions actually processed: (\d+)/;
    }
}

# can_check: historian_check is one of the statements.
sub disturb
{
    my ($table, $can_check) = @_;
    my $timed = [ '-T', $seconds ];
    start_sessions("writers of $table", [ '-c', 4, @$timed ],
        put($table, 1, 'repeat(k::text, 9000)') => 10,
        "\\set n random(1, 60)\n" . put($table, ':n', 'NULL') => 3,
        "\\set n random(1, 60)\nBEGIN;\n" . put($table, ':n', 'NULL') . "ROLLBACK;\n" => 1,
        "BEGIN;\n" . put($table, 3, 'repeat(k::text, 9000)') . "ROLLBACK;\n" => 1);
    # Entries of open transactions are neither merged nor freed: 400 of them need five extents of directory pages.
    start_sessions("loads of $table", [ '-c', 4, '-t', 1 ],
        "BEGIN;\nDO \$\$ BEGIN FOR i IN 1 .. 100 LOOP\n" . put($table, 1, 'repeat(k::text, 9000)')
            . "END LOOP; END \$\$;\n\\sleep 4 s\nCOMMIT;\n" => 1);
    start_sessions("deleters of $table", [ '-c', 1, @$timed ], <<"SQL" =~ s/\n(?=.)/ /gr => 1);
WITH gone AS (DELETE FROM $table WHERE k IN (SELECT k FROM sent_to_$table ORDER BY random() LIMIT 50) RETURNING k)
DELETE FROM sent_to_$table USING gone WHERE sent_to_$table.k = gone.k;
SQL
    start_sessions("cleaners of $table", [ '-c', 1, @$timed ],
        "VACUUM $table;\n\\sleep 5 ms\n" => 6,
        "CALL compact('$table');\n\\sleep 200 ms\n" => 1,
        $can_check ? ("SELECT historian_check('$table');\n" => 1) : ());
    finish_sessions();
}

sub compare
{
    my ($table, $when) = @_;
    is($node->safe_psql('postgres', <<"SQL"), '0', "$when: $table holds its rows");
SELECT count(*) FROM ((SELECT k FROM $table EXCEPT ALL SELECT k FROM sent_to_$table) UNION ALL
                      (SELECT k FROM sent_to_$table EXCEPT ALL SELECT k FROM $table)) AS difference
SQL
}

sub check
{
    my ($table, $when) = @_;
    my $found = $node->safe_psql('postgres', "SELECT historian_check('$table')");
    like($found, qr/tail runs/, "$when: the allocation of $table is right");
    note "$table: $found";
}

# The first blocks of the directory's extents, as the metapage tells.
sub directory_extents
{
    my ($table) = @_;
    my $path = $node->safe_psql('postgres', "CHECKPOINT; SELECT pg_relation_filepath('$table')");
    open my $file, '<:raw', $node->data_dir . "/$path" or die $!;
    read $file, my $metapage, PAGE;
    return unpack 'x48 L</L', $metapage;
}

# All at once in the first block of a table: all sessions go through the new tables in the same order.
start_sessions('first rows', [ '-c', 4, '-t', NEW_TABLES, '-D', 'i=0' ],
    "\\set i :i + 1\nINSERT INTO new:i SELECT 'tag' || g, now() FROM generate_series(1, 3) g;\n" => 1);
finish_sessions();
is($node->safe_psql('postgres', join ' UNION ALL ',
        map { "SELECT $_ FROM new$_ HAVING count(*) <> 12 OR historian_check('new$_') !~ ' 12 rows'" } 1 .. NEW_TABLES),
    '', 'rows of sessions that make a table at once are all there');
is($node->safe_psql('postgres', "SELECT min(pg_relation_size('new' || i)) / 8192 FROM generate_series(1, @{[NEW_TABLES]}) i"), 3,
    'a small table takes three blocks');

disturb('near', 1);
compare('near', 'at the end');
check('near', 'at the end');
$node->stop('immediate');
$node->start;
compare('near', 'after a crash');
check('near', 'after a crash');
cmp_ok(scalar(my @near_extents = directory_extents('near')), '>=', 5, 'the directory has grown four times');

# The first map page says that all is taken: what follows goes to blocks of the second, behind the zeros that the file has until
# then (on most file systems they take no room). Later its lies are taken back. Of the first map page's blocks only one can come
# free, that of the first row.
$node->safe_psql('postgres', put('far', 1, 'NULL'));
my $file_name = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('far')");
$node->stop;

# Puts what change() makes of the first map page's bits in their place.
sub change_first_map
{
    my ($change) = @_;
    open my $file, '+<:raw', $file_name or die $!;
    seek $file, FIRST_MAP_OFFSET, 0;
    read($file, my $bits, MAP_BYTES) == MAP_BYTES or die 'the file is too short';
    seek $file, FIRST_MAP_OFFSET, 0;
    print $file $change->($bits);
    close $file or die $!;
    return $bits;
}
my $true_bits = change_first_map(sub { "\xFF" x MAP_BYTES });
truncate $file_name, PAGE * (MAP_BLOCKS - 2) or die $!;
$node->start;
disturb('far', 0);
compare('far', 'on the second map page');
$node->stop('immediate');
$node->start;
compare('far', 'on the second map page, after a crash');
my @far_extents = directory_extents('far');
cmp_ok(scalar(@far_extents), '>=', 5, 'the directory has grown four times');
is(scalar(grep { $_ < MAP_BLOCKS } @far_extents), 1, '... to blocks of the second map page');
$node->stop;
change_first_map(sub { $_[0] & $true_bits });
$node->start;
compare('far', 'with the true map');
check('far', 'with the true map');
$node->safe_psql('postgres', "CALL compact('far'); VACUUM far");
compare('far', 'compacted');
check('far', 'compacted');
my @crashes = grep { /PANIC|TRAP|inconsistent page/ } split /^/m, slurp_file($node->logfile);
is(join('', @crashes), '', 'nothing crashed, and each page was replayed as it was');
$node->stop;
done_testing();
