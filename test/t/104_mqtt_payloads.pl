# Every form of payload and topic, published for real, and the rows that they become; a bad row among good ones.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Broker qw(query);
use IO::Compress::Gzip qw(gzip $GzipError);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

Broker::require_or_skip();

my $broker = Broker->new->start;
my $node = Broker::start_server('payloads', "timezone = 'UTC'\nhistorian.mqtt_payload_max = 64MB\n");
my $am = Broker::access_method($node);
my $url = $broker->url;
my $expected_messages = 0;

sub publish { ++$expected_messages; $broker->publish(@_) }
sub wait_for_messages {
    $node->poll_query_until('postgres', "SELECT sum(messages) >= $expected_messages FROM mqtt_status")
        or die 'messages do not arrive';
}
# User properties of MQTT 5, as arguments of mosquitto_pub.
sub with {
    my (%properties) = @_;
    return ('-V', 'mqttv5', map { ('-D', 'publish', 'user-property', $_, $properties{$_}) } sort keys %properties);
}
my %select = (
    sensor => 'SELECT name, time, value FROM sensor ORDER BY name, time, value',
    cpu => 'SELECT * FROM cpu ORDER BY host, time',
    letters => q{SELECT sqlstate, error, convert_from(payload, 'UTF8') FROM mqtt_dead_letter ORDER BY id},
);
# Publishes one message and compares what is stored, which begins with a letter of the table's name.
sub stored {
    my ($name, $topic, $payload, $expected, %more) = @_;
    my $table = $more{table} // 'sensor';
    publish($topic, $payload, @{ $more{options} // [] });
    wait_for_messages();
    is(query($select{$table}), join("\n", @$expected), $name);
    is(query($select{letters}), join("\n", @{ $more{letters} // [] }), "$name: dead letters");
    query("TRUNCATE $table; DELETE FROM mqtt_dead_letter");
}

query(<<END);
CREATE TABLE sensor (name text, time timestamptz, value float8) USING $am;
CREATE TABLE cpu (host text, time timestamptz NOT NULL, usage float8, state text) USING $am;
SELECT mqtt_subscribe('plant', broker => '$url', topic => 'db/#');
END
Broker::wait_receiving($node, 'plant');
my ($a, $b) = ('2023-11-14 22:13:20+00', '2023-11-14 22:13:21+00');
my ($ns_a, $ns_b) = ('1700000000000000000', '1700000001000000000');

# --- JSON
stored('an array', 'db/append/sensor', "[\"a\", $ns_a, 1]", ["a|$a|1"]);
stored('arrays', 'db/append/sensor', "[[\"a\", $ns_a, 1], [\"b\", $ns_b, null]]", ["a|$a|1", "b|$b|"]);
stored('a document', 'db/append/sensor',
    qq({"data": {"columns": ["value", "NAME", "time"], "rows": [[1, "a", $ns_a], [2, "b", $ns_b]]}}), ["a|$a|1", "b|$b|2"]);
stored('columns and rows', 'db/append/sensor', qq({"columns": ["name", "time"], "rows": [["a", $ns_a]]}), ["a|$a|"]);
stored('a document in the order of the table', 'db/append/sensor', qq({"data": {"rows": [["a", $ns_a, 1]]}}), ["a|$a|1"]);
stored('an object', 'db/append/sensor', qq({"Value": 1, "name": "a", "time": $ns_a}), ["a|$a|1"]);
stored('objects', 'db/append/sensor', qq([{"name": "a", "time": $ns_a}, {"value": 2, "name": "b", "time": $ns_b}]),
    ["a|$a|", "b|$b|2"]);
stored('NDJSON', 'db/append/sensor:ndjson',
    qq({"name": "a", "time": $ns_a, "value": 1}\n{"name": "b", "time": $ns_b, "value": 2}\n), ["a|$a|1", "b|$b|2"]);
stored('NDJSON that is not named', 'db/append/sensor', qq({"name": "a", "time": $ns_a}\n{"name": "b", "time": $ns_b}),
    ["a|$a|", "b|$b|"]);
stored('db/write is the same', 'db/write/public.sensor:json', "[\"a\", $ns_a, 1]", ["a|$a|1"]);

# --- CSV
stored('CSV', 'db/append/sensor:csv', "a,$ns_a,1\r\n\"b, \"\"2\"\"\",$ns_b,\n", ["a|$a|1", "b, \"2\"|$b|"]);
stored('CSV, header passed over', 'db/append/sensor:csv', "x,y,z\na,$ns_a,1\n", ["a|$a|1"],
    options => [with(header => 'skip')]);
stored('CSV, header of columns', 'db/append/sensor', "value,name,time\n1,a,$ns_a\n", ["a|$a|1"],
    options => [with(header => 'columns', format => 'csv')]);
stored('CSV, another delimiter', 'db/append/sensor:csv', "a;$ns_a;1\n", ["a|$a|1"],
    options => [with(delimiter => ';')]);
stored('CSV by its content type', 'db/append/sensor', "a,$ns_a,1\n", ["a|$a|1"],
    options => ['-V', 'mqttv5', '-D', 'publish', 'content-type', 'text/csv; charset=utf-8']);
stored('a property outweighs the topic', 'db/append/sensor:csv', "[\"a\", $ns_a, 1]", ["a|$a|1"],
    options => [with(format => 'json')]);

# --- line protocol
stored('line protocol, points', 'db/metrics/sensor', "boiler,site=a temp=1.5,on=true,level=3i $ns_a\nx y=\"z\" $ns_a\n",
    ["boiler.level|$a|3", "boiler.temp|$a|1.5"]);
stored('line protocol, records', 'db/metrics/cpu',
    "cpu,host=h1 usage=0.5,state=\"idle\" $ns_a\ncpu,host=h2 usage=7i $ns_b", ["h1|$a|0.5|idle", "h2|$b|7|"], table => 'cpu');
stored('line protocol, a bad line', 'db/metrics/cpu',
    "cpu,host=h1 usage=1 $ns_a\nnonsense\ncpu,host=h2 unknown=2 $ns_a\n", ["h1|$a|1|"], table => 'cpu',
    letters => ['22P04|row 2: payload is not valid line protocol at offset 48|nonsense',
        "42703|row 3: table \"public.cpu\" has no column \"unknown\" that messages may fill|cpu,host=h2 unknown=2 $ns_a"]);

# --- compression, found by the first bytes
my $text = "a,$ns_a,1\nb,$ns_b,2\n";
gzip(\$text => \my $gzipped) or die $GzipError;
stored('gzip', 'db/append/sensor:csv:gzip', $gzipped, ["a|$a|1", "b|$b|2"]);
stored('gzip that is not named', 'db/append/sensor:csv', $gzipped, ["a|$a|1", "b|$b|2"]);
stored('what is named gzip and is not', 'db/append/sensor:csv:gzip', $text, ["a|$a|1", "b|$b|2"]);
my ($zstd, $err) = ('', '');
IPC::Run::run(['zstd', '-q', '-c'], '<', \$text, '>', \$zstd, '2>', \$err) or die $err;
stored('zstd', 'db/append/sensor:csv', $zstd, ["a|$a|1", "b|$b|2"], options => [with(compress => 'zstd')]);
my $zeros = '0' x 100_000_000;
gzip(\$zeros => \my $bomb) or die $GzipError;
publish('db/append/sensor', $bomb);
publish('db/append/sensor', substr($gzipped, 0, 20));
wait_for_messages();
is(query('SELECT sqlstate, error, payload_bytes FROM mqtt_dead_letter ORDER BY id'),
    '54000|decompressed payload is larger than historian.mqtt_decompressed_max|' . length($bomb) . "\n"
    . '22P03|compressed payload is damaged|20', 'a zip bomb and a damaged payload are dead letters');
query('DELETE FROM mqtt_dead_letter');

# --- times
for my $each (['s', '1700000000', '1700000001.25'], ['ms', '1700000000000', '1700000001250'],
    ['us', '1700000000000000', '1.70000000125e15'], ['ns', $ns_a, '1700000001250000000']) {
    my ($unit, $first, $second) = @$each;
    stored("times in $unit", 'db/append/sensor', "[[\"a\", $first, 1], [\"b\", $second, 2]]",
        ["a|$a|1", 'b|2023-11-14 22:13:21.25+00|2'], options => [with(timeformat => $unit)]);
    stored("times in $unit, CSV", 'db/append/sensor:csv', "a,$first,1\nb, $second,2",
        ["a|$a|1", 'b|2023-11-14 22:13:21.25+00|2'], options => [with(timeformat => $unit)]);
}
stored('RFC 3339', 'db/append/sensor', '[["a", "2023-11-14T22:13:20Z", 1], ["b", "2023-11-15T07:13:21+09:00", 2]]',
    ["a|$a|1", "b|$b|2"]);
stored('RFC 3339 in CSV', 'db/append/sensor:csv', "a,2023-11-14T22:13:20Z,1", ["a|$a|1"]);
stored('a zone for times without one', 'db/append/sensor', '[["a", "2023-11-15 07:13:20", 1], ["b", "2023-11-14 22:13:21Z", 2]]',
    ["a|$a|1", "b|$b|2"], options => [with(tz => 'Asia/Seoul')]);
stored('the zone is forgotten after the message', 'db/append/sensor', '["a", "2023-11-14 22:13:20", 1]', ["a|$a|1"]);
stored('text only', 'db/append/sensor:csv', "a,20231114,1\n", ['a|2023-11-14 00:00:00+00|1'],
    options => [with(timeformat => 'text')]);
stored('a fraction of a nanosecond', 'db/append/sensor', '["a", 1.0000000001, 1]', [], options => [with(timeformat => 's')],
    letters => ['22007|row 1, column "time": time 1.0000000001 is not an integral number of nanoseconds since 1970|'
        . '["a", 1.0000000001, 1]']);
for my $bad (['format', 'xml', 'is not one of json, ndjson, csv, influx, number, auto'],
    ['timeformat', 'days', 'is not one of s, ms, us, ns, text'],
    ['tz', 'Mars/Olympus', 'is not the name of a time zone'], ['tz', 'X5', 'is not the name of a time zone'],
    ['compress', 'lz4', 'is not one of gzip, zstd, none'], ['header', 'x', 'is not one of skip, columns, none'],
    ['delimiter', ';;', 'is not one ASCII character that may stand between fields']) {
    stored("property $bad->[0] $bad->[1]", 'db/append/sensor', '["a", 1, 1]', [], options => [with($bad->[0] => $bad->[1])],
        letters => ["22023|user property \"$bad->[0]\" $bad->[2]|[\"a\", 1, 1]"]);
}
my $before = time;
publish('db/append/cpu', '{"host": "h1"}');
publish('db/metrics/sensor', 'm v=1');
wait_for_messages();
my $seconds = time - $before;
is(query("SELECT count(*) FROM (SELECT time FROM cpu UNION ALL SELECT time FROM sensor) t "
        . "WHERE time BETWEEN to_timestamp($before) AND to_timestamp($before + $seconds)"), 2,
    'a missing time is that of arrival');
query('TRUNCATE sensor; TRUNCATE cpu');

# --- columns that are not given have their defaults
query(<<'END');
CREATE TABLE filled (id int GENERATED BY DEFAULT AS IDENTITY, name text DEFAULT 'nobody', n int DEFAULT 7, note text,
    twice int GENERATED ALWAYS AS (n * 2) STORED, "Name" text);
CREATE VIEW filled_view AS SELECT id, n, note FROM filled;
END
publish('db/append/filled', '[{"n": 1}, {"note": "x"}, {"n": null, "name": "y"}, {"n": 2, "note": "z"}]');
publish('db/append/filled_view', '{"note": "by view"}');
publish('db/append/filled', '[{"NAME": "?"}, {"twice": 3}, {"nosuch": 4}, {}, {"n": 5, "N": 6}, {"Name": "exact"}]');
wait_for_messages();
is(query('SELECT * FROM filled ORDER BY id'), <<'END' =~ s/\n\z//r, 'defaults, in the order of the rows');
1|nobody|1||2|
2|nobody|7|x|14|
3|y||||
4|nobody|2|z|4|
5|nobody|7|by view|14|
6|nobody|7||14|exact
END
is(query('SELECT sqlstate, error FROM mqtt_dead_letter ORDER BY id'), <<'END' =~ s/\n\z//r, 'names of no column');
42702|row 1: column "NAME" of table "public.filled" is ambiguous
42703|row 2: table "public.filled" has no column "twice" that messages may fill
42703|row 3: table "public.filled" has no column "nosuch" that messages may fill
22023|row 4 names no column of table "public.filled"
42702|row 5: column "N" of table "public.filled" is ambiguous
END
query('DELETE FROM mqtt_dead_letter');
query('CREATE ROLE feeder LOGIN; GRANT EXECUTE ON FUNCTION mqtt_subscribe TO feeder; CREATE TABLE guarded (a int, b int, c int)');
query("GRANT INSERT ON guarded TO feeder; SET ROLE feeder; "
        . "SELECT mqtt_subscribe('guarded', broker => '$url', topic => 'guarded', target => 'guarded'); "
        . 'RESET ROLE; REVOKE INSERT ON guarded FROM feeder; GRANT INSERT (a, b) ON guarded TO feeder');
Broker::wait_receiving($node, 'guarded');
publish('guarded', '{"a": 1}');
publish('guarded', '{"a": 1, "c": 2}');
wait_for_messages();
is(query('SELECT * FROM guarded'), '1||', 'the right to insert into the columns that are given is enough');
is(query('SELECT sqlstate FROM mqtt_dead_letter'), '42501', 'and needed');
query("SELECT mqtt_unsubscribe('guarded'); DELETE FROM mqtt_dead_letter");
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM mqtt_status") or die;
$expected_messages = query('SELECT sum(messages) FROM mqtt_status');

# --- a plain number, for a subscription with a target
query("SELECT mqtt_subscribe('probes', broker => '$url', topic => 'probe/#', target => 'sensor')");
Broker::wait_receiving($node, 'probes');
publish('probe/1/temp', '3.25');
publish('probe/2', "-1e3\n");
publish('probe/3', 'on');
publish('db/append/sensor', '3.25');
wait_for_messages();
is(query("SELECT name, value, time > now() - interval '1 minute' FROM sensor ORDER BY name"),
    "probe/1/temp|3.25|t\nprobe/2|-1000|t", 'numbers');
is(query('SELECT topic, error FROM mqtt_dead_letter ORDER BY topic'),
    "db/append/sensor|payload is a plain number, which only a subscription with a target can store\n"
    . 'probe/3|payload is not valid JSON at offset 0', 'no name, no number');
query('TRUNCATE sensor; DELETE FROM mqtt_dead_letter');

# --- how payloads are read that do not say it themselves
query("SELECT mqtt_subscribe('devices', broker => '$url', topic => 'device/+', target => 'sensor', format => 'csv', "
        . "timeformat => 's', tz => 'Asia/Seoul', delimiter => ';', header => 'skip')");
Broker::wait_receiving($node, 'devices');
publish('device/1', "name;time;value\na;1700000000;1\nb;2023-11-15 07:13:21;2\n");
publish('device/2', '["a", 1700000000000, 3]', with(format => 'json', timeformat => 'ms'));
wait_for_messages();
is(query($select{sensor}), "a|$a|1\na|$a|3\nb|$b|2", 'options of the subscription, and properties that outweigh them');
query("SELECT mqtt_alter('devices', format => 'json', tz => '')");
$node->poll_query_until('postgres', "SELECT state = 'receiving' FROM mqtt_status WHERE name = 'devices'") or die;
for my $bad (['format', 'xml', 'is not one of json, ndjson, csv, influx, number, auto'],
    ['tz', 'X5', 'is not the name of a time zone']) {
    my ($code, $out, $err) =
        $node->psql('postgres', "SELECT mqtt_subscribe('bad', broker => '$url', topic => 'x', $bad->[0] => '$bad->[1]')");
    like($err, qr/ERROR:  $bad->[0] of an MQTT subscription $bad->[2]/, "option $bad->[0]");
}
query("TRUNCATE sensor; SELECT mqtt_unsubscribe('devices')");
$expected_messages = query('SELECT sum(messages) FROM mqtt_status');

# --- bad rows among good ones: of a kind that is seen, of a value, of a constraint; each in its own words and form
query('CREATE TABLE checked (name text, n int CHECK (n % 10 <> 3), time timestamptz)');
publish('db/append/checked', '[["a", 1, 0], ["b", 2], ["c", "x", 0], ["d", 3, 0], ["e", 4, 0]]');
publish('db/append/checked', '{"data": {"columns": ["n", "name"], "rows": [[5, "f"], [13, "g"], [6], ["y", "h"]]}}');
publish('db/append/checked:csv', "i,7,0\nj,23,0\nk,z,0\n\"l\"l,1,0\nm,8,0\n");
publish('db/append/checked:csv', "n,name\n33,n\n9,o\n", with(header => 'columns'));
publish('db/append/checked:ndjson', "{\"n\": 11, \"name\": \"p\"}\n{\"n\": 43}\n{\"n\":\n");
wait_for_messages();
is(query("SELECT string_agg(name || n, ' ' ORDER BY n) FROM checked"), 'a1 e4 f5 i7 m8 o9 p11', 'the good rows');
is(query("SELECT sqlstate, split_part(error, ':', 1), encode(payload, 'escape') FROM mqtt_dead_letter ORDER BY id"),
    <<'END' =~ s/\n\z//r, 'the bad rows');
22023|row 2 has 2 values, table "public.checked" takes 3|["b",2]
22P02|row 3, column "n"|["c","x",0]
23514|row 4|["d",3,0]
23514|row 2|{"n":13,"name":"g"}
22023|row 3 has 1 values, table "public.checked" takes 2|[6]
22P02|row 4, column "n"|{"n":"y","name":"h"}
23514|row 2|j,23,0

22P02|row 3, column "n"|k,z,0

22P04|row 4|"l"l,1,0

23514|row 1|n,name
33,n

23514|row 2|{"n": 43}
22032|row 3|{"n":
END
query('TRUNCATE checked; DELETE FROM mqtt_dead_letter');

# --- one million rows, one in ten of them bad, by value and by constraint
my $begin = time;
publish('db/append/checked',
    '[' . join(',', map { $_ % 20 == 13 ? "[\"r\",\"x\",$_]" : "[\"r\",$_,$_]" } 1 .. 1_000_000) . ']');
wait_for_messages();
my $took = time - $begin;
is(query('SELECT count(*), count(DISTINCT n), bool_or(n % 10 = 3) FROM checked'), '900000|900000|f',
    'a million rows: the good ones');
is(query('SELECT count(*), count(DISTINCT payload) FROM mqtt_dead_letter'), '100000|100000', 'the bad ones');
is(query("SELECT rows, dead_letters FROM mqtt_status WHERE name = 'plant'") =~ /\|/, 1, 'counted');
cmp_ok($took, '<', 120, sprintf('within two minutes (%.0f s)', $took));
query('TRUNCATE checked; DELETE FROM mqtt_dead_letter');
publish('db/append/checked', '[' . join(',', map { "[$_]" } 1 .. 400_000) . ',["good",1,1]]');
publish('db/append/checked', '["after", 1, 1]');
wait_for_messages();
is(query('SELECT name FROM checked'), 'after', 'a message with too many bad rows is rejected whole');
like(query('SELECT error FROM mqtt_dead_letter'),
    qr/^more than 200000 rows of the message cannot be stored; row 1 has 1 values/, 'and says so');

done_testing();
