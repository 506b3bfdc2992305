# Doors that take more than one server or database: pg_rewind, CREATE and DROP DATABASE beside busy workers, logical replication
# into tag tables.
use strict;
use warnings;
BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} //= 60 }
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $settings = <<'SETTINGS';
shared_preload_libraries = 'historian'
historian.maintenance_interval = 50ms
historian.seal_interval = 1s
wal_log_hints = on
wal_keep_size = 256MB
fsync = off
SETTINGS

my $points = "SELECT 's' || i % 9, timestamptz '2026-01-01' + i * interval '1 s', i / 8.0 FROM generate_series";
my $table = '(name text, "time" timestamptz, value float8)';

sub rows
{
    my ($node, @tables) = @_;
    my $query = "count(*), count(*) FILTER (WHERE name = 'lost'), md5(string_agg(r::text, ' ' ORDER BY r::text))";
    return join "\n", map { $node->safe_psql('postgres', "SELECT '$_', $query FROM $_ AS r") } @tables;
}

sub check
{
    my ($node, @tables) = @_;
    $node->safe_psql('postgres', "SELECT historian_check('$_')") for @tables;
}

# --- pg_rewind: an old primary that went on after its standby was promoted comes back as a standby of the new one

my $one = PostgreSQL::Test::Cluster->new('one');
$one->init(allows_streaming => 1);
$one->append_conf('postgresql.conf', $settings);
$one->start;
my @tables = qw(appended sealed emptied);
$one->safe_psql('postgres', 'CREATE EXTENSION historian');
$one->safe_psql('postgres', "CREATE TABLE $_ $table USING tag; INSERT INTO $_ $points(1, 20000) AS i") for @tables;
$one->safe_psql('postgres', "CALL compact('sealed')");
$one->backup('one');
my $two = PostgreSQL::Test::Cluster->new('two');
$two->init_from_backup($one, 'one', has_streaming => 1);
$two->start;
$one->wait_for_catchup($two);
$two->promote;

$one->safe_psql('postgres', "INSERT INTO appended $points(30000, 50000) AS i; INSERT INTO appended VALUES ('lost', now(), 1)");
$one->safe_psql('postgres', "INSERT INTO sealed $points(30000, 60000) AS i");
$one->safe_psql('postgres', "CALL compact('sealed')");
$one->safe_psql('postgres', "TRUNCATE emptied; INSERT INTO emptied VALUES ('lost', now(), 1)");
$one->safe_psql('postgres', "CREATE TABLE lost $table USING tag; INSERT INTO lost VALUES ('lost', now(), 1)");
$one->stop;
$two->safe_psql('postgres', "INSERT INTO $_ $points(1, 3000) AS i") for @tables;
$two->safe_psql('postgres', "CALL compact('appended')");
$two->safe_psql('postgres', 'CHECKPOINT');    # so that the new timeline is in the control file
command_ok(['pg_rewind', '--source-server', $two->connstr('postgres'), '-D', $one->data_dir, '--no-sync'], 'pg_rewind');
# pg_rewind copies the settings of the new primary as well.
$one->append_conf('postgresql.conf', 'port = ' . $one->port);
$one->enable_streaming($two);
$one->set_standby_mode;
$one->start;
$two->safe_psql('postgres', "INSERT INTO sealed $points(1, 100) AS i");
$two->wait_for_catchup($one);
is(rows($one, @tables), rows($two, @tables), 'rewound: the same rows as the new primary');
unlike(rows($one, @tables), qr/^\w+\|\d+\|[1-9]/m, '... and none of its own');
check($_, @tables) for $one, $two;
is($one->safe_psql('postgres', "SELECT to_regclass('lost') IS NULL"), 't', 'rewound: its own table is gone');
$one->stop;
$two->stop;

# --- databases: CREATE ... TEMPLATE and DROP do not meet our workers

my $node = PostgreSQL::Test::Cluster->new('databases');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', $settings);
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE busy');
$node->safe_psql('busy', "CREATE EXTENSION historian; CREATE TABLE t $table USING tag; INSERT INTO t $points(1, 20000) AS i");

# Left alone, the launcher looks for new databases every ten seconds.
sub worker_runs
{
    my ($database) = @_;
    $node->safe_psql($database, 'SELECT historian.wake_workers()');
    return $node->poll_query_until('postgres',
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = '$database' AND backend_type = 'historian'");
}

for my $strategy ('wal_log', 'file_copy')
{
    ok(worker_runs('busy'), "a worker is in the template ($strategy)");
    $node->safe_psql('busy', "INSERT INTO t $points(1, 1000) AS i");
    is($node->psql('postgres', "CREATE DATABASE copy TEMPLATE busy STRATEGY $strategy"), 0, "CREATE DATABASE by $strategy");
    my $count = 'SELECT count(*) FROM t';
    is($node->safe_psql('copy', $count), $node->safe_psql('busy', $count), '... has the rows');
    $node->safe_psql('copy', "SELECT historian_check('t')");
    ok(worker_runs('copy'), '... gets a worker of its own');
    is($node->psql('postgres', 'DROP DATABASE copy'), 0, 'DROP DATABASE while a worker runs there');
}
ok(worker_runs('busy'), 'the worker of the template is back');
is($node->psql('postgres', 'ALTER DATABASE busy RENAME TO busier'), 0, 'ALTER DATABASE RENAME while a worker runs there');
is($node->psql('postgres', 'DROP DATABASE busier WITH (FORCE)'), 0, 'DROP DATABASE WITH (FORCE)');

# --- logical replication: a tag table takes what a heap table publishes

$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION historian;
CREATE DATABASE publisher;
SQL
$node->safe_psql('publisher', <<"SQL");
CREATE TABLE sensor $table;
ALTER TABLE sensor REPLICA IDENTITY FULL;
INSERT INTO sensor $points(1, 20000) AS i;
CREATE PUBLICATION plant FOR TABLE sensor WITH (publish = 'insert, truncate, update');
SQL
$node->safe_psql('postgres', "CREATE TABLE sensor $table USING tag WITH (historian.compact = off)");
# Server and database are the same cluster: the slot is made apart, or CREATE SUBSCRIPTION would wait for itself.
$node->safe_psql('publisher', "SELECT pg_create_logical_replication_slot('plant', 'pgoutput')");
my $connection = $node->connstr('publisher') . ' application_name=plant';
$node->safe_psql('postgres',
    "CREATE SUBSCRIPTION plant CONNECTION \$c\$$connection\$c\$ PUBLICATION plant WITH (create_slot = false)");
$node->wait_for_subscription_sync;

sub arrived
{
    my ($what) = @_;
    my $count = $node->safe_psql('publisher', 'SELECT count(*) FROM sensor');
    ok($node->poll_query_until('postgres', "SELECT count(*) = $count FROM sensor"), $what);
}
arrived('the first copy arrives');
$node->safe_psql('publisher', "INSERT INTO sensor $points(1, 100) AS i") for 1 .. 3;
arrived('rows arrive');
$node->safe_psql('publisher', 'TRUNCATE sensor');
arrived('TRUNCATE arrives');
$node->safe_psql('publisher', "INSERT INTO sensor VALUES ('a', '2026-01-01', 1), ('a', '2026-01-02', 2)");
arrived('... and rows after it');
$node->safe_psql('postgres', "CALL compact('sensor')");
$node->safe_psql('postgres', "ALTER SUBSCRIPTION plant SET (disable_on_error = true)");
my $log = -s $node->logfile;
# What cannot be applied stops the subscription with one error that says what to do; then, that passed over, it goes on.
for my $change (['DELETE FROM sensor WHERE value = 2', 'delete from'], ['UPDATE sensor SET value = 3 WHERE value = 1', 'update'])
{
    my ($statement, $what) = @$change;
    $log = -s $node->logfile;
    $node->safe_psql('publisher', "ALTER PUBLICATION plant SET (publish = 'insert, update, delete, truncate'); $statement");
    ok($node->poll_query_until('postgres', 'SELECT NOT subenabled FROM pg_subscription'), "$statement stops the subscription")
        or die 'it goes round and round, and fills the log';
    my @errors = grep { /ERROR:/ } split /\n/, substr(slurp_file($node->logfile), $log);
    is(scalar @errors, 1, '... with one error');
    like($errors[0], qr/cannot $what table "sensor"/, '... that says so');
    like(substr(slurp_file($node->logfile), $log), qr/HINT:  .*publish = 'insert, truncate'/, '... and what to do');
    is($node->safe_psql('postgres', "SELECT sum(value) FROM sensor WHERE name = 'a'"), 3, '... and changes nothing');
    my ($lsn) = substr(slurp_file($node->logfile), $log) =~ m{finished at ([0-9A-F]+/[0-9A-F]+)};
    $node->safe_psql('publisher', "ALTER PUBLICATION plant SET (publish = 'insert, truncate')");
    $node->safe_psql('postgres', "ALTER SUBSCRIPTION plant SKIP (lsn = '$lsn')");
    $node->safe_psql('postgres', 'ALTER SUBSCRIPTION plant ENABLE');
    $node->safe_psql('publisher', "INSERT INTO sensor VALUES ('$what', '2026-01-01', 10)");
    ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM sensor WHERE name = '$what'"),
        '... published without, rows arrive again');
}

# The other way round: rows of tag tables are not published, their truncation may be.
$node->safe_psql('publisher',
    "CREATE EXTENSION historian; CREATE TABLE points $table USING tag; INSERT INTO points $points(1, 10) AS i");
my ($status, undef, $err) = $node->psql('publisher', 'ALTER PUBLICATION plant ADD TABLE points');
like($err, qr/cannot publish table "points"/, 'rows of a tag table are not published');
$node->safe_psql('postgres', "CREATE TABLE points $table USING heap; INSERT INTO points $points(1, 10) AS i");
$node->safe_psql('publisher', "CREATE PUBLICATION emptied FOR TABLE points WITH (publish = 'truncate')");
# The publisher goes on by the old list of publications until the subscriber has come again with the new one.
my $sender = "SELECT pid FROM pg_stat_replication WHERE application_name = 'plant' AND state = 'streaming'";
my $old_sender = $node->safe_psql('postgres', $sender);
$node->safe_psql('postgres', 'ALTER SUBSCRIPTION plant ADD PUBLICATION emptied WITH (copy_data = false)');
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM ($sender) AS s WHERE pid::text <> '$old_sender'");
$node->safe_psql('publisher', "TRUNCATE points; INSERT INTO points VALUES ('after', now(), 1)");
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM points'), '... its truncation is');
$node->safe_psql('postgres', 'DROP SUBSCRIPTION plant');
check($node, 'sensor');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|signal 11|signal 6/, 'no damage in the log');
$node->stop;
done_testing();
