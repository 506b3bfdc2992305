# A hostile publisher harms nobody else: whatever it sends, the messages of others are stored, the worker goes on as it was, its
# memory stays bounded, and no table is reached that is not meant to be.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Broker qw(query wait_for);
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

Broker::require_or_skip();

my $broker = Broker->new->start;
my $node = Broker::start_server('hostile', "log_min_messages = log\n");
my $am = Broker::access_method($node);
my $url = $broker->url;

# Anonymous memory of a worker, that which is not shared with others.
use constant MEMORY_KB_MAX => 700_000;

sub memory_kb {
    my ($subscription) = @_;
    my $pid = query("SELECT pid FROM mqtt_status WHERE name = '$subscription'");
    open my $file, '<', "/proc/$pid/status" or return 0;
    my ($kb) = map { /^RssAnon:\s+(\d+)/ ? $1 : () } <$file>;
    return $kb;
}

query(<<END);
CREATE TABLE sensor (name text, time timestamptz, value float8) USING $am;
CREATE TABLE digits (name text, time timestamptz, n numeric);
CREATE TABLE mapped (name text, time timestamptz, value float8, device text);
CREATE ROLE feeder LOGIN;
CREATE SCHEMA lab AUTHORIZATION feeder;
CREATE SCHEMA secret;
CREATE TABLE secret.vault (name text, time timestamptz, value float8);
CREATE TABLE lab.foreign (name text, time timestamptz, value float8);
CREATE TABLE public.locked (name text, time timestamptz, value float8);
GRANT USAGE ON SCHEMA secret TO feeder;
GRANT EXECUTE ON FUNCTION mqtt_subscribe TO feeder;
SELECT mqtt_subscribe('plant', broker => '$url', topic => 'db/append/#');
SELECT mqtt_subscribe('map', broker => '$url', topic => 'map/#', target => 'mapped',
    mapping => '{"name": "topic[2].key", "time": {"path": "\$.ts", "unit": "ms"}, "device": "\$.device",
        "value": "\$.values.*"}');
SET SESSION AUTHORIZATION feeder;
CREATE TABLE lab.probe (name text, time timestamptz, value float8);
SELECT mqtt_subscribe('feeder', broker => '$url', topic => 'lab/#', in_schema => 'lab', target => 'lab.probe');
SELECT mqtt_subscribe('chooser', broker => '$url', topic => 'db/write/#', in_schema => 'lab');
END
my @subscriptions = qw(plant map feeder chooser);
Broker::wait_receiving($node, $_) for @subscriptions;
my $pids = query('SELECT string_agg(pid::text, \',\' ORDER BY name) FROM mqtt_status');

my ($good, $bad) = (0, 0);

# Each hostile message has a neighbour that must arrive.
sub attack {
    my ($what, @messages) = @_;
    my $good_before = $good;
    for my $message (@messages)
    {
        $broker->publish_many($message, ['db/append/sensor', qq(["good", ${\ ++$good}000, 1])]);
    }
    wait_for("SELECT count(*) >= $good FROM sensor WHERE name = 'good'", "$what: the neighbours arrive");
}

# --- names of tables
sub to_tables { return map { ["db/append/$_", '["a",1,1]'] } @_ }
attack('names like patterns', to_tables('%', '_', '*', 'sens%', '"%"', '"sens_r"', '\\', '.', '..', '. .'));
attack('SQL in names', to_tables('sensor; DROP TABLE sensor', 'sensor"; DROP TABLE sensor; --',
    q(sensor'; DROP TABLE sensor; --), '"sensor""; DROP TABLE sensor; --"', '$$sensor$$', 'sensor (name) VALUES (1); --', 'E\'\'',
    'sensor/*', 'only sensor', '(SELECT 1)', 'sensor AS s', 'pg_sleep(100)'));
attack('schemas of others', to_tables('secret.vault', 'pg_catalog.pg_authid', 'pg_authid', 'pg_temp.x', 'pg_toast.pg_toast_1255',
    'historian.mqtt_subscription', 'historian.mqtt_dead_letter', 'information_schema.sql_features', 'public.sensor.value',
    'lab.foreign', 'postgres.public.sensor', '"pg_catalog"."pg_authid"'));
attack('long names', to_tables('x' x 65_000, '"' . 'x' x 65_000 . '"', 'x.' x 30_000, '"' x 65_000, '/' x 150,
    "\xea\xb0\x80" x 20_000));
attack('names with strange letters', to_tables("\xe2\x80\xaesensor", "sens\xc2\xador", "SENSOR\xc4\xb0",
    "\xef\xbb\xbfsensor", "sensor\xe2\x80\x8b"));
is(query('SELECT count(*) FROM secret.vault'), 0, 'no schema but the subscription\'s is reached');
is(query('SELECT count(*) FROM lab.foreign'), 0, 'nor another by its name');

# --- an owner's rights
for my $topic ('db/append/secret.vault', 'db/append/public.locked', 'db/append/foreign', 'db/append/probe')
{
    $broker->publish($topic =~ s/append/write/r, '["a",1,1]');
}
$broker->publish('lab/secret.vault', '["good", 1, 1]');
wait_for("SELECT count(*) = 1 FROM lab.probe WHERE name = 'good'", 'a fixed target takes what comes, whatever the topic');
is(query('SELECT (SELECT count(*) FROM secret.vault), (SELECT count(*) FROM public.locked), (SELECT count(*) FROM lab.foreign)'),
    '0|0|0', 'topics reach no table that the owner of the subscription may not write');

# --- payloads
my $mega = 1024 * 1024;
my @payloads = (
    '["' . 'n' x $mega . '", 1, 1]',
    '["' . '\\u00e9' x 200_000 . '", 1, 1]',
    '[' x $mega,
    '{"a":' x 200_000,
    ('[' x 100_000) . (']' x 100_000),
    '["a", 1, ' . '1' x $mega . ']',
    '["a", 1, 0.' . '1' x $mega . ']',
    '["a", 1, 1e' . '9' x 1000 . ']',
    '["a", ' . '1' x $mega . ', 1]',
    '["a", 1e' . '9' x 100_000 . ', 1]',
    "[\"\xff\xfe\", 1, 1]",
    "[\"\xed\xa0\x80\", 1, 1]",
    "[\"a\x01\x02\x7f\", 1, 1]",
    '["a\\u0001\\u001f", 1, 1]',
    '["a\\u0000", 1, 1]',
    "\x00" x 1000,
    "[" . ',' x $mega . "]",
    '[' . join(',', ('[]') x 300_000) . ']',
    '[' . join(',', ('0') x 500_000) . ']',
    '{' . join(',', map { qq("k$_":1) } 1 .. 100_000) . '}',
    '"' . 'x' x $mega,
    ' ' x $mega,
    "\n" x $mega,
    "\x1f\x8b" . 'x' x 1000,
    "\x28\xb5\x2f\xfd" . 'x' x 1000,
    join("\n", ('{"name": "') x 100_000),
    join("\n", ('a,b,c') x 100_000),
);
attack('payloads', map { ['db/append/sensor', $_] } @payloads);
attack('numbers without end', map { ['db/append/digits', $_] } '["a", 1, ' . '9' x $mega . ']',
    '["a", 1, 0.' . '9' x $mega . ']', '["a", 1, 1e131000]', '["a", 1, 1e-16000]', '["a", 1, 1e999999999]',
    '["a", 1, -' . '0' x 20 . '1]');
attack('mappings', map { ['map/x', $_] }
    '{"ts": 1, "device": "' . 'd' x 200_000 . '", "values": {' . join(',', map { qq("k$_":1) } 1 .. 5000) . '}}',
    '{"ts": ' . '1' x $mega . ', "values": {"a": 1}}',
    '{"ts": 1, "values": ' . '[' x 100_000,
    '{"ts": 1, "values": {' . join(',', map { qq("k":$_) } 1 .. 100_000) . '}}',
    '{"ts": 1, "values": {"' . 'k' x $mega . '": 1}}',
    '{"ts": 1, "values": {"a\\u0000": 1}}',
    '{' . join(',', map { qq("values": {"a": $_}) } 1 .. 10_000) . '}');

# --- zip bombs: 300 MB each
my $bomb = `head -c 300000000 /dev/zero | gzip -9`;
my $spaces = `(printf '["a", 1, 1'; head -c 300000000 /dev/zero | tr '\\0' ' '; printf ']') | gzip -9`;
my @bombs = ($bomb, $spaces, substr($bomb, 0, length($bomb) / 2), substr($bomb, 0, 20), $bomb . $bomb);
push @bombs, scalar `head -c 1000000000 /dev/zero | zstd -q` if system('command -v zstd >/dev/null') == 0;
attack('zip bombs', map { (['db/append/sensor', $_], ['map/x', $_]) } @bombs);
cmp_ok(memory_kb($_), '<', MEMORY_KB_MAX, "memory of $_ after large payloads") for @subscriptions;

# --- what the broker refuses: the publisher is cut off, and nobody else
for my $raw ("db/append/sensor\x01", "db/append/sens\x00or", "db/append/\xff", 'db/append/#', '+/append/sensor', '')
{
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $broker->port) or die $!;
    my $connect = pack('n/a C C n n/a', 'MQTT', 4, 2, 60, 'hostile');
    my $publish = pack('n/a n a*', $raw, 1, '["a",1,1]');
    print $socket chr(0x10) . chr(length $connect) . $connect . chr(0x32) . chr(length $publish) . $publish;
    $socket->flush;
    local $SIG{ALRM} = sub { die "the broker says nothing\n" };
    alarm 5;
    my $answer = '';
    eval { 1 while sysread $socket, $answer, 100, length $answer; };
    alarm 0;
}
attack('topics that the broker refuses', ['db/append/nosuch', '[]']);

# --- MQTT 5 properties
SKIP:
{
    my $version = `mosquitto_pub --help 2>&1`;
    skip 'mosquitto_pub knows no properties', 1 unless $version =~ /MQTT v5 properties/;
    my @property = ('-V', '5', '-D', 'publish', 'user-property');
    $broker->publish('db/append/sensor', '["a",1,1]', @property, 'format', 'x' x 60_000);
    $broker->publish('db/append/sensor', '["a",1,1]', @property, 'tz', '../../../etc/passwd');
    $broker->publish('db/append/sensor', '["a",1,1]', @property, 'timeformat', '%s%s%s%n');
    $broker->publish('db/append/sensor', '["a",1,1]', map { (@property[2 .. 4], "name$_", 'v' x 50) } 1 .. 500);
    attack('properties', ['db/append/nosuch', '[]']);
}

# --- many topics, each of a table that is not there; then of one that is
my $letters = query('SELECT count(*) FROM mqtt_dead_letter');
$broker->publish_many(map { ["db/append/nosuch$_", '["a",1,1]'] } 1 .. 10_000);
wait_for("SELECT count(*) >= $letters + 10000 FROM mqtt_dead_letter", '10,000 topics become 10,000 dead letters');
attack('many topics', ['db/append/nosuch', '[]']);
cmp_ok(memory_kb('plant'), '<', MEMORY_KB_MAX, 'memory after 10,000 topics');
$broker->publish_many(map { ["map/$_/topic", qq({"ts": $_, "values": {"v": $_}})] } 1 .. 10_000);
wait_for("SELECT count(DISTINCT name) >= 10000 FROM mapped WHERE name ~ '^[0-9]+\\.v\$'",
    '10,000 topics of one table become rows');

# --- retained messages: a new subscription gets all of them at once
my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $broker->port) or die $!;
my $connect = pack('n/a C C n n/a', 'MQTT', 4, 2, 60, 'retainer');
print $socket chr(0x10) . chr(length $connect) . $connect;
for my $number (1 .. 10_000)
{
    my $publish = pack('n/a n a*', "flood/$number", $number, $number % 100 ? qq(["flood", $number, 1]) : '["flood"');
    print $socket chr(0x33) . chr(length $publish) . $publish;
}
$socket->flush;
my ($wanted, $bytes) = (4 * 10_001, '');
while (length $bytes < $wanted) { sysread $socket, $bytes, $wanted - length $bytes, length $bytes or die 'the broker hung up' }
query("CREATE TABLE flooded (name text, time timestamptz, value float8);"
      . "SELECT mqtt_subscribe('flood', broker => '$url', topic => 'flood/#', target => 'flooded')");
wait_for('SELECT count(*) = 9900 FROM flooded', 'a flood of retained messages is stored');
wait_for(q(SELECT count(*) = 100 FROM mqtt_dead_letter WHERE subscription = 'flood'), 'but for those that cannot be');
attack('retained messages', ['db/append/nosuch', '[]']);
cmp_ok(memory_kb('flood'), '<', MEMORY_KB_MAX, 'memory after a flood');

# --- what all of this has left
is(query(q(SELECT string_agg(pid::text, ',' ORDER BY name) FROM mqtt_status WHERE name <> 'flood')), $pids,
    'the workers are those of the beginning');
is(query('SELECT max(connects) FROM mqtt_status'), 1, 'and so are their connections');
is(query(q(SELECT count(*), count(DISTINCT time) FROM sensor WHERE name = 'good')), "$good|$good",
    'all messages of others are stored, each once');
is(query(q(SELECT count(*) FROM pg_class WHERE relname IN ('sensor', 'digits', 'mapped') AND relkind = 'r')), 3,
    'the tables are still there');
is(query(q(SELECT count(*) FROM mqtt_dead_letter WHERE length(error) > 1100)), 0, 'reasons are short, whatever the message');
is(query(q(SELECT count(*) FROM mqtt_dead_letter WHERE error ~ 'could not|internal|unexpected|XX' OR sqlstate ~ '^XX')), 0,
    'and none is an internal error');
my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP|terminated by signal|out of memory/, 'the log knows of no accident');
cmp_ok(length $log, '<', 20_000_000, 'and is not flooded');
$node->stop;
done_testing();
