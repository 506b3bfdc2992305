# Workers among other operations: standby and promotion, dump and restore, databases that are dropped and copied, TLS and
# passwords, a server without room for workers, hostile settings of the owner.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Broker;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

Broker::require_or_skip();

my $broker = Broker->new->start;
my $url = $broker->url;
my $node = Broker::start_server('operation', "wal_level = replica\n");

# A listener that never says a word: seen by the end of this file.
my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5,
    LocalPort => PostgreSQL::Test::Cluster::get_free_port())
    or die $!;

sub wait_for {
    my ($server, $sql, $name) = @_;
    ok($server->poll_query_until('postgres', "SELECT ($sql)"), $name);
}

$node->safe_psql('postgres', <<END);
CREATE TABLE sensor (name text, time timestamptz, value float8);
CREATE ROLE feeder LOGIN;
ALTER ROLE feeder SET default_transaction_isolation = 'serializable';
ALTER ROLE feeder SET default_transaction_read_only = on;
ALTER ROLE feeder SET statement_timeout = '1ms';
ALTER ROLE feeder SET synchronous_commit = off;
ALTER ROLE feeder SET search_path = nowhere;
ALTER ROLE feeder SET role = none;
GRANT EXECUTE ON FUNCTION mqtt_subscribe TO feeder;
CREATE TABLE watched (n int, isolation text DEFAULT current_setting('transaction_isolation'), who text DEFAULT session_user);
CREATE VIEW watched_numbers AS SELECT n FROM watched;
GRANT INSERT ON watched_numbers TO feeder;
SELECT mqtt_subscribe('plant', broker => '$url', topic => 'db/append/#');
SET SESSION AUTHORIZATION feeder;
SET search_path = public;
SET default_transaction_read_only = off; SET statement_timeout = 0;
SELECT mqtt_subscribe('feeder', broker => '$url', topic => 'feeder', target => 'watched_numbers');
END
Broker::wait_receiving($node, $_) for 'plant', 'feeder';

# --- settings of the owner do not reach the promise
$broker->publish('feeder', '[1]');
wait_for($node, 'SELECT count(*) = 1 FROM watched', 'hostile settings of the owner do not stop the worker');
is($node->safe_psql('postgres', 'SELECT isolation, who FROM watched'), 'read committed|feeder', 'nor change its transactions');

# --- a trigger of the owner's cannot become more than the owner
$node->safe_psql('postgres', <<'END');
CREATE FUNCTION climb() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        EXECUTE 'RESET SESSION AUTHORIZATION';
        EXECUTE 'RESET ROLE';
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
    PERFORM set_config('synchronous_commit', 'off', false), set_config('default_transaction_read_only', 'on', false);
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN RAISE EXCEPTION 'climbed to %', current_user; END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER climb AFTER INSERT ON watched DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION climb();
END
$broker->publish('feeder', '[2]');
$broker->publish('feeder', '[3]');
wait_for($node, 'SELECT count(*) = 3 FROM watched', 'deferred triggers run, as the owner');
is($node->safe_psql('postgres', 'SELECT count(*) FROM mqtt_dead_letter'), 0, 'and do not fail');

# --- standby: no worker before promotion, the same session after it
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$broker->publish('db/append/sensor', '["before", 1, 1]');
wait_for($node, 'SELECT count(*) = 1 FROM sensor', 'the primary stores');
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'historian%'"), 0,
    'no worker runs on a standby');
is($standby->safe_psql('postgres', 'SELECT string_agg(state, \',\') FROM mqtt_status'), 'stopped,stopped',
    'its status can be read');
$node->stop;
$broker->publish('db/append/sensor', '["between", 1, 1]');
$standby->promote;
Broker::wait_receiving($standby, 'plant');
wait_for($standby, "SELECT string_agg(name, ',' ORDER BY name) = 'before,between' FROM sensor",
    'promotion continues the session');
is($standby->safe_psql('postgres', "SELECT session_present FROM mqtt_status WHERE name = 'plant'"), 't', 'it was resumed');
$standby->stop;
$node->start;
Broker::wait_receiving($node, 'plant');

# --- TLS to a port where nobody listens, and to one where nobody answers
my $closed_port = PostgreSQL::Test::Cluster::get_free_port();
$node->safe_psql('postgres', "SELECT mqtt_subscribe('closed', broker => 'mqtts://127.0.0.1:$closed_port', topic => '#')");
$node->safe_psql('postgres',
    "SELECT mqtt_subscribe('silent', broker => 'mqtts://127.0.0.1:@{[$silent->sockport]}', topic => '#')");
wait_for($node, "SELECT last_error LIKE 'could not connect to the broker: %' FROM mqtt_status WHERE name = 'closed'",
    'TLS to a closed port is reported');
wait_for($node, "SELECT state = 'waiting' FROM mqtt_status WHERE name = 'closed'", 'and tried again later');
my $resetting = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5,
    LocalPort => PostgreSQL::Test::Cluster::get_free_port()) or die $!;
$node->safe_psql('postgres',
    "SELECT mqtt_subscribe('reset', broker => 'mqtts://127.0.0.1:@{[$resetting->sockport]}', topic => '#')");
for my $round (1 .. 3) {
    my $accepted = $resetting->accept;
    setsockopt $accepted, Socket::SOL_SOCKET, Socket::SO_LINGER, pack('ii', 1, 0);
    close $accepted;
}
ok(1, 'a TLS peer that hangs up at once is tried again');
for my $name ('closed', 'silent', 'reset') {
    is($node->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 10000) FROM mqtt_status WHERE name = '$name'"), 't',
        "the worker of a $name connection takes SIGTERM");
}
$node->safe_psql('postgres', "SELECT mqtt_unsubscribe(name) FROM mqtt_status WHERE name IN ('closed', 'reset')");
close $resetting;

# --- dump and restore
$broker->publish('db/append/sensor', 'poison');
wait_for($node, 'SELECT count(*) = 1 FROM mqtt_dead_letter', 'a dead letter to dump');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok(['pg_dump', '-f', $dump, '-d', $node->connstr('postgres')], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok(['psql', '-X', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored')], 'restore');
Broker::wait_receiving($node, $_, 'restored') for 'plant', 'feeder';
$node->safe_psql('restored', "SELECT mqtt_unsubscribe('silent')");
is($node->safe_psql('restored', 'SELECT count(*) FROM mqtt_dead_letter'), 1, 'dead letters are restored');
$broker->publish('db/append/sensor', '["both", 1, 1]');
ok($node->poll_query_until('restored', "SELECT count(*) = 1 FROM sensor WHERE name = 'both'"), 'restored subscriptions run');
wait_for($node, "SELECT count(*) = 1 FROM sensor WHERE name = 'both'", 'and the old ones too: each has its own session');
$node->safe_psql('restored', "SELECT mqtt_subscribe('new', broker => '$url', topic => 'none')");

# --- databases need to be alone
$node->safe_psql('template1', 'CREATE DATABASE copied TEMPLATE restored');
ok(1, 'a database with workers can be copied');
$node->safe_psql('postgres', 'ALTER DATABASE restored RENAME TO renamed');
ok(1, 'and renamed');
Broker::wait_receiving($node, 'plant', 'renamed');
$node->safe_psql('postgres', 'DROP DATABASE renamed');
$node->safe_psql('postgres', 'DROP DATABASE copied');
ok(1, 'and dropped');

# --- a database of another encoding
$node->safe_psql('postgres', "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
$node->safe_psql('latin', "CREATE EXTENSION historian; CREATE TABLE t (name text)");
$node->safe_psql('latin', "SELECT mqtt_subscribe('latin', broker => '$url', topic => 'db/append/#')");
Broker::wait_receiving($node, 'latin', 'latin');
$broker->publish('db/append/t', "[\"caf\xc3\xa9\"]");
$broker->publish('db/append/t', "[\"\xed\x95\x9c\"]");
$broker->publish("db/append/\xed\x95\x9c", '["x"]');
ok($node->poll_query_until('latin', 'SELECT count(*) = 2 FROM mqtt_dead_letter'),
    'what has no place in the encoding is a dead letter');
is($node->safe_psql('latin', 'SELECT string_agg(sqlstate, \',\') FROM mqtt_dead_letter'), '22P05,22P05', 'for that reason');
is($node->safe_psql('latin', "SELECT count(*) FROM t WHERE name = 'caf' || chr(233)"), 1, 'what has one is converted');
is($node->safe_psql('latin', "SELECT topic FROM mqtt_dead_letter ORDER BY id DESC LIMIT 1"), 'db/append/\xed\x95\x9c',
    'the topic is readable');
$node->safe_psql('latin', <<'END' =~ s/BROKER/$url/r);
CREATE TABLE U&"mesur\00e9" (name text);
SELECT mqtt_subscribe('accented', broker => 'BROKER', topic => 'accented', target => oid)
    FROM pg_class WHERE relname = U&'mesur\00e9';
END
Broker::wait_receiving($node, 'accented', 'latin');
$broker->publish('accented', '["x"]');
ok($node->poll_query_until('latin', q{SELECT count(*) = 1 FROM U&"mesur\00e9"}), 'a target whose name is not ASCII');
$node->safe_psql('postgres', 'DROP DATABASE latin');

# --- the owner is dropped
$node->safe_psql('postgres', "DELETE FROM mqtt_dead_letter");
$node->safe_psql('postgres', 'DROP OWNED BY feeder; DROP ROLE feeder');
wait_for($node, "SELECT state = 'stopped' FROM mqtt_status WHERE name = 'feeder'",
    'a subscription whose owner was dropped stops');
$node->safe_psql('postgres', "SELECT mqtt_unsubscribe('feeder')");

# --- passwords and TLS
SKIP: {
    skip 'openssl and mosquitto_passwd are needed
        ', 5 unless Broker::find_program('openssl') && Broker::find_program('mosquitto_passwd');
    my $folder = PostgreSQL::Test::Utils::tempdir();
    system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
            . " -keyout $folder/key.pem -out $folder/cert.pem 2>/dev/null") == 0 or die 'openssl';
    system(Broker::find_program('mosquitto_passwd'),
        '-c', '-b', "$folder/passwords", 'meter', 's3cret') == 0 or die 'mosquitto_passwd';
    my $secure = Broker->new(settings => <<END);
certfile $folder/cert.pem
keyfile $folder/key.pem
allow_anonymous false
password_file $folder/passwords
END
    $secure->start;
    my $secure_url = 'mqtts://localhost:' . $secure->port;
    $node->safe_psql('postgres', <<END);
SELECT mqtt_subscribe('tls', broker => '$secure_url', topic => '#', cafile => '$folder/cert.pem',
    username => 'meter', password => 's3cret');
SELECT mqtt_subscribe('untrusted', broker => '$secure_url', topic => '#', username => 'meter', password => 's3cret');
SELECT mqtt_subscribe('misnamed', broker => 'mqtts://127.0.0.1:@{[$secure->port]}', topic => '#', cafile => '$folder/cert.pem');
SELECT mqtt_subscribe('stranger', broker => 'mqtts://meter:wrong\@localhost:@{[$secure->port]}', topic => '#',
    cafile => '$folder/cert.pem');
END
    Broker::wait_receiving($node, 'tls');
    $secure->publish('db/append/sensor', '["tls", 1, 1]',
        '-u', 'meter', '-P', 's3cret', '--cafile', "$folder/cert.pem", '-h', 'localhost');
    wait_for($node, "SELECT count(*) = 1 FROM sensor WHERE name = 'tls'", 'TLS with a password');
    wait_for($node, "SELECT last_error ~* 'certificate' FROM mqtt_status WHERE name = 'untrusted'",
        'an unknown certificate is refused');
    wait_for($node, "SELECT last_error IS NOT NULL AND state <> 'receiving' FROM mqtt_status WHERE name = 'misnamed'",
        'a wrong name too');
    wait_for($node,
        "SELECT last_error ~ 'broker refused the connection: Not authorized' FROM mqtt_status WHERE name = 'stranger'",
        'a wrong password is reported');
    is($node->safe_psql('postgres', "SELECT broker FROM mqtt_status WHERE name = 'stranger'"),
        'mqtts://localhost:' . $secure->port,
        'a password in the URL is not shown');
    $node->safe_psql('postgres', "SELECT mqtt_unsubscribe(name) FROM mqtt_status WHERE name NOT IN ('plant', 'silent')");
    wait_for($node, "SELECT count(*) <= 2 FROM pg_stat_activity WHERE backend_type = 'historian mqtt'", 'all leave');
    $secure->stop;
}

# --- the silent one
wait_for($node, "SELECT last_error LIKE '%it did not answer within 30 s' FROM mqtt_status WHERE name = 'silent'",
    'a broker that never answers is reported');
$node->safe_psql('postgres', "SELECT mqtt_unsubscribe('silent')");

# --- no room for workers
$node->adjust_conf('postgresql.conf', 'max_worker_processes', '3');
$node->restart;
$node->safe_psql('postgres', "SELECT mqtt_subscribe('more$_', broker => '$url', topic => 'more') ") for 1 .. 3;
wait_for($node, "SELECT count(*) FILTER (WHERE state = 'starting') > 0 FROM mqtt_status",
    'workers that find no place are shown as starting');
ok($node->log_contains(qr/could not start a background worker of type "historian mqtt"/), 'and logged');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal|TRAP/, 'nothing crashed');
done_testing();
