# What an MQTT subscription stores, what becomes a dead letter and why, and who may do what.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Broker qw(query refused wait_for);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

Broker::require_or_skip();

my $broker = Broker->new->start;
my $node = Broker::start_server('basic');
my $am = Broker::access_method($node);
my $url = $broker->url;

my $expected_messages = 0;
sub publish { ++$expected_messages; $broker->publish(@_) }
sub wait_for_messages { wait_for("(SELECT sum(messages) FROM mqtt_status) >= $expected_messages", $_[0]) }

# --- workers and the transaction
is(query("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'historian launcher'"), 1, 'one launcher');
wait_for("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'historian' AND datname = 'postgres'",
    'CREATE EXTENSION starts the maintenance worker');
query("CREATE TABLE sensor (name text, time timestamptz, value float8) USING $am");
query("BEGIN; SELECT mqtt_subscribe('ghost', broker => '$url', topic => '#'); ROLLBACK");
is(query('SELECT count(*) FROM mqtt_status'), 0, 'a rolled back subscription never was');
query("SELECT mqtt_subscribe('plant', broker => '$url', topic => 'db/append/#')");
Broker::wait_receiving($node, 'plant');
is(query("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'historian mqtt'"), 1, 'one MQTT worker');

# --- payload forms
publish('db/append/sensor', '["a", 1700000000123456789, 1.5]');
publish('db/append/sensor', '[["b", 1700000001000000000, 2], ["b", 1.7e18, null]]');
publish('db/append/SENSOR', '["c", "2024-01-01 00:00:00Z", "NaN"]');
publish('db/append/public.sensor', '["d", 0, 1e3]');
publish('db/append/sensor', '["e 한글 \ud83d\ude00", -1, -0.0]');
wait_for_messages('all five messages are stored');
is(query("SET timezone = 'UTC'; SELECT name, time, value FROM sensor ORDER BY name, time"), <<'END' =~ s/\n\z//r, 'forms');
a|2023-11-14 22:13:20.123456+00|1.5
b|2023-11-14 22:13:20+00|
b|2023-11-14 22:13:21+00|2
c|2024-01-01 00:00:00+00|NaN
d|1970-01-01 00:00:00+00|1000
e 한글 😀|1969-12-31 23:59:59.999999+00|-0
END
is(query('SELECT count(*) FROM mqtt_dead_letter'), 0, 'no dead letters');

# --- tables of other shapes
query(<<'END');
CREATE TABLE "Odd Table" (j jsonb, a int[], v varchar(3), n numeric(6,2), b bool, t timestamp,
    g int GENERATED ALWAYS AS (1) STORED, _arrival_time timestamptz DEFAULT '2020-01-01') USING heap;
END
publish('db/append/"Odd Table"', '[{"k": [1, "x\ty", true]}, "{1,2}", "abc", 12345678901234567890e-17, true, 1000]');
publish('db/append/"Odd Table"', '[["s", null, null, null, false, null], [["nested"], null, null, 7, false, null]]');
publish('db/append/"Odd Table"', '[1, null, "abcd", 1, true, 0]');
wait_for_messages('messages for an odd table are dealt with');
is(query(q{SELECT j, a, v, n, b, t, g, _arrival_time::date FROM "Odd Table" ORDER BY j::text}),
    <<'END' =~ s/\n\z//r, 'columns of many types');
"s"||||f||1|2020-01-01
["nested"]|||7.00|f||1|2020-01-01
{"k": [1, "x\ty", true]}|{1,2}|abc|123.46|t|1970-01-01 00:00:00.000001|1|2020-01-01
END
is(query('SELECT error FROM mqtt_dead_letter'),
    'row 1, column "v": value too long for type character varying(3)', 'too long a text');
query('DELETE FROM mqtt_dead_letter');

# --- the columns change their types under a running subscription
query('CREATE TABLE shifting (n numeric)');
for my $step (['numeric', '1.25'], ['float8', '1.5'], ['int', '7'], ['bigint', '5000000001'], ['numeric', '2.5'], ['int', '9'],
    ['float8', '3.5'], ['text', '"word"']) {
    my ($type, $value) = @$step;
    query("TRUNCATE shifting; ALTER TABLE shifting ALTER n TYPE $type USING NULL");
    publish('db/append/shifting', "[$value]");
    wait_for_messages("a message for a column that became $type");
    is(query('SELECT n FROM shifting'), $value =~ s/"//gr, "is stored as $type");
}
query('TRUNCATE shifting; ALTER TABLE shifting DROP n, ADD n int');
publish('db/append/shifting', '[11]');
wait_for_messages('a message for a column that was replaced');
is(query('SELECT n FROM shifting'), '11', 'is stored too');

# --- domains see nulls; composites are values
query(<<'END');
CREATE DOMAIN filled AS int NOT NULL;
CREATE TYPE pair AS (a int, b text);
CREATE TABLE typed (name text, v filled, p pair);
END
publish('db/append/typed', '["null", null, null]');
publish('db/append/typed', '["full", 1, "(2,two)"]');
wait_for_messages('domains and composites');
is(query('SELECT name, v, (p).b FROM typed'), 'full|1|two', 'only what the domain takes is stored');
is(query('SELECT sqlstate, error FROM mqtt_dead_letter'), '23502|row 1, column "v": domain filled does not allow null values',
    'a null that the domain refuses');
query('DELETE FROM mqtt_dead_letter');

# --- poison, between good neighbours
my @poison = (
    ['["a",17', '22032', 'payload is not valid JSON at offset 7'],
    ['', '22032', 'payload holds no value'],
    ['[]', '22032', 'payload holds no value'],
    ['"a"', '22023', qr/^payload is not a JSON array or object at offset \d$/],
    ['{"a":1}', '42703', 'row 1: table "public.sensor" has no column "a" that messages may fill'],
    ['[["a",1,1],2]', '22023', qr/^payload mixes rows and single values at offset \d+$/],
    ['["a",1]', '22023', 'row 1 has 2 values, table "public.sensor" takes 3'],
    ['[["a",1,1,1],["a",1]]', '22023', 'row 1 has 4 values, table "public.sensor" takes 3'],
    ['["a",1,"x"]', '22P02', 'row 1, column "value": invalid input syntax for type double precision: "x"'],
    ['["a",1.5,1]', '22007', 'row 1, column "time": time 1.5 is not an integral number of nanoseconds since 1970'],
    ['["a",1e30,1]', '22008', 'row 1, column "time": time 1e30 is out of range for nanoseconds since 1970'],
    ['["a",1,1e999]', '22003', 'row 1, column "value": "1e999" is out of range for type double precision'],
    ['["a\u0000b",1,1]', '22P05', qr/^payload has a NUL character in a string at offset \d+$/],
    ["[\"\xff\",1,1]", '22021', 'payload is not valid UTF-8 at offset 2'],
    [('[' x 40) . (']' x 40), '54000', qr/^payload is nested deeper than 32 levels at offset \d+$/],
);
query('TRUNCATE sensor');
for my $each (@poison) {
    publish('db/append/sensor', $each->[0]);
    publish('db/append/sensor', '["good", 1, 1]');
}
publish('db/append/nosuch', '["a",1,1]');
publish('db/append/nosuch.sensor', '["a",1,1]');
publish('db/append/pg_catalog.pg_authid', '["a",1,1]');
publish('db/append/sensor; DROP TABLE sensor', '["a",1,1]');
publish('db/append/"sensor', '["a",1,1]');
publish('db/append/sensor:xml', '["a",1,1]');
publish('db/append/' . ('x' x 64), '["a",1,1]');
publish('db/append/', '["a",1,1]');
wait_for_messages('poison does not stop the rest');
my @letters = split /\n/, query("SELECT sqlstate || ' ' || error FROM mqtt_dead_letter ORDER BY id");
my @topics = ('42P01 table "public.nosuch" does not exist',
    '42501 table "nosuch.sensor" is outside the subscription\'s schema "public"; subscribe with its schema as in_schema',
    '42501 table "pg_catalog.pg_authid" is outside the subscription\'s schema "public"; subscribe with its schema as in_schema',
    "42602 topic has characters after the table's name",
    '42602 topic has an unterminated quoted name',
    '22023 payload format "xml" of the topic is not one of json, ndjson, csv, influx, number, auto',
    '42602 topic has a name longer than 63 bytes', '42602 topic has no table name where one is expected');
is(scalar @letters, @poison + @topics, 'one dead letter for each bad message');
for my $each (@poison) {
    my ($payload, $sqlstate, $reason) = @$each;
    my @reasons = map { /^$sqlstate (.*)/ ? $1 : () } @letters;
    ok((grep { ref $reason ? $_ =~ $reason : $_ eq $reason } @reasons), "dead letter: $reason")
        or diag(join "\n", @letters);
}
for my $topic (@topics) {
    ok((grep { $_ eq $topic } @letters), "dead letter: $topic") or diag(join "\n", @letters);
}
is(query("SELECT count(*), count(DISTINCT name), bool_and(name = 'good') FROM sensor"),
    @poison . '|1|t', 'every good neighbour is there');
is(query(q{SELECT count(*) FROM mqtt_dead_letter WHERE convert_from(payload, 'UTF8') = '["a",1,"x"]' AND payload_bytes = 11}), 1,
    'a dead letter keeps the payload');

# --- a bad row loses only itself; constraints, also deferred ones
query(<<'END');
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent VALUES (1);
CREATE TABLE child (id int, parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED, CHECK (id < 100));
DELETE FROM mqtt_dead_letter;
END
publish('db/append/child', '[[1, 1], [2, 1]]');
publish('db/append/child', '[[3, 1], [4, 9]]');
publish('db/append/child', '[[5, 1], [100, 1]]');
publish('db/append/child', '[6, 1]');
wait_for_messages('constraints are checked');
is(query('SELECT string_agg(id::text, \',\' ORDER BY id) FROM child'), '1,2,3,5,6', 'the neighbours of a bad row are stored');
is(query(q{SELECT string_agg(convert_from(payload, 'UTF8') || ' ' || split_part(error, ':', 1), ', ' ORDER BY id)
        FROM mqtt_dead_letter}),
    '[4,9] row 2, [100,1] row 2', 'bad rows are dead letters of their own');
is(query('SELECT string_agg(sqlstate, \',\' ORDER BY id) FROM mqtt_dead_letter'),
    '23503,23514', 'deferred and immediate constraints');

# --- a COMMIT that is refused although every constraint was checked before
query(<<'END');
DELETE FROM mqtt_dead_letter;
CREATE TABLE late_check (id int CONSTRAINT late_check_parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE sneaky (id int);
CREATE FUNCTION sneak() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SET CONSTRAINTS late_check_parent DEFERRED;
    INSERT INTO late_check VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER sneak AFTER INSERT ON sneaky DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sneak();
END
publish('db/append/sneaky', $_) for '[1]', '[77]', 'poison', '[1]';
wait_for_messages('a refused COMMIT is dealt with');
is(query('SELECT string_agg(id::text, \',\') FROM sneaky'), '1,1', 'the good messages are stored');
is(query('SELECT string_agg(sqlstate, \',\' ORDER BY sqlstate) FROM mqtt_dead_letter'), '22032,23503',
    'the bad ones are dead letters');

# --- many rows in one message
query('TRUNCATE sensor; DELETE FROM mqtt_dead_letter');
publish('db/append/sensor', '[' . join(',', map { "[\"r\",$_,$_]" } 1 .. 50_000) . ']');
publish('db/append/sensor', '[' . join(',', map { "[\"s\",$_,$_]" } 1 .. 49_999) . ',["s",1,"bad"]]');
publish('db/append/sensor', '["t",1,1]');
wait_for_messages('messages of 50,000 rows are dealt with');
is(query("SELECT string_agg(name || n, ' ' ORDER BY name) FROM (SELECT name, count(*) AS n FROM sensor GROUP BY name) s"),
    'r50000 s49999 t1',
    'all but the bad row');
like(query(q{SELECT convert_from(payload, 'UTF8') || ' ' || error FROM mqtt_dead_letter}),
    qr/^\["s",1,"bad"\] row 50000, column "value": /, 'which is named');

# --- many bad messages among good ones
query('TRUNCATE sensor; DELETE FROM mqtt_dead_letter; CREATE TABLE narrow (n int CHECK (n % 3 <> 0))');
my $lines = join '', map { "[$_]\n" } 1 .. 3000;
my ($out, $err) = ('', '');
$expected_messages += 3000;
IPC::Run::run([Broker::find_program('mosquitto_pub'), '-h', '127.0.0.1', '-p', $broker->port, '-q', 1,
    '-t', 'db/append/narrow', '-l'],
    '<', \$lines, '>', \$out, '2>', \$err);
wait_for_messages('3000 messages, each third one bad');
is(query('SELECT count(*), count(DISTINCT n) FROM narrow'), '2000|2000', 'the good ones');
is(query("SELECT count(*), count(DISTINCT payload) FROM mqtt_dead_letter WHERE sqlstate = '23514'"), '1000|1000', 'the bad ones');

# --- 100 MB
query('DELETE FROM mqtt_dead_letter; TRUNCATE sensor');
publish('db/append/sensor', '["before", 1, 1]');
publish('db/append/sensor', '[' . ('1' x 100_000_000));
publish('db/append/sensor', '["after", 1, 1]');
wait_for_messages('a message of 100 MB passes');
is(query('SELECT payload_bytes, length(payload), sqlstate FROM mqtt_dead_letter'),
    '100000001|1024|54000', 'it is kept as size and beginning');
is(query("SELECT string_agg(name, ',' ORDER BY name) FROM sensor"), 'after,before', 'its neighbours are stored');

# --- the table is dropped and comes back, with other columns, while messages arrive
query('DELETE FROM mqtt_dead_letter; DROP TABLE sensor');
publish('db/append/sensor', '["gone", 1, 1]');
wait_for_messages('a message for a dropped table is dealt with');
is(query('SELECT error FROM mqtt_dead_letter'), 'table "public.sensor" does not exist', 'dropped table');
query("CREATE TABLE sensor (name text, time timestamptz, value float8, quality int) USING $am");
publish('db/append/sensor', '["back", 1, 1, 192]');
wait_for_messages('a message for the new table is dealt with');
is(query('SELECT name, quality FROM sensor'), 'back|192', 'the new shape is used');

# --- one target for all topics
query("CREATE TABLE fixed (name text, time timestamptz, value float8) USING $am");
query("SELECT mqtt_subscribe('fixed', broker => '$url', topic => 'raw/+', target => 'fixed')");
Broker::wait_receiving($node, 'fixed');
publish('raw/1', '["x", 5, 5]');
wait_for('SELECT count(*) = 1 FROM fixed', 'target takes messages of any topic');
query('ALTER TABLE fixed RENAME TO renamed');
publish('raw/2', '["y", 6, 6]');
wait_for('SELECT count(*) = 2 FROM renamed', 'target follows its table through a rename');

# --- rights: the worker is its owner
query(<<END);
CREATE ROLE feeder LOGIN;
CREATE ROLE stranger LOGIN;
CREATE ROLE no_login;
GRANT EXECUTE ON FUNCTION mqtt_subscribe TO feeder, no_login;
CREATE TABLE allowed (name text, who text DEFAULT current_user);
CREATE TABLE forbidden (name text);
CREATE VIEW allowed_name AS SELECT name FROM allowed;
GRANT INSERT ON allowed, allowed_name TO feeder;
SET ROLE feeder;
SELECT mqtt_subscribe('feed', broker => '$url', topic => 'feed/#', target => 'allowed_name');
SELECT mqtt_subscribe('feed2', broker => '$url', topic => 'db/append/forbidden');
END
Broker::wait_receiving($node, $_) for 'feed', 'feed2';
query('DELETE FROM mqtt_dead_letter');
publish('feed/1', '["mine"]');
publish('db/append/forbidden', '["theirs"]');
wait_for("SELECT count(*) = 1 FROM mqtt_dead_letter WHERE subscription = 'feed2'", 'no INSERT privilege: dead letter');
is(query("SELECT sqlstate, error FROM mqtt_dead_letter WHERE subscription = 'feed2'"),
    '42501|permission denied for table forbidden', 'with the reason');
is(query('SELECT name, who FROM allowed'), 'mine|feeder', 'rows are inserted as the owner');
wait_for("SELECT count(*) = 1 FROM forbidden", 'the same topic reaches another subscription too');
is(query('SET ROLE feeder; SELECT string_agg(name, \',\' ORDER BY name) FROM mqtt_status'),
    'feed,feed2', 'status shows own subscriptions');
is(query('SET ROLE feeder; SELECT count(*) FROM mqtt_dead_letter'), 1, 'dead letters of own subscriptions');
is(query('SET ROLE stranger; SELECT count(*) FROM mqtt_dead_letter'), 0, 'not those of others');
refused("SET ROLE stranger; SELECT mqtt_subscribe('s', broker => '$url', topic => '#')",
    qr/ERROR:  42501: permission denied for function/, 'EXECUTE is needed');
refused("SET ROLE stranger; SELECT mqtt_unsubscribe('feed')",
    qr/ERROR:  42501: must be owner of MQTT subscription "feed"/, 'only owners drop');
refused("SET ROLE no_login; SELECT mqtt_subscribe('s', broker => '$url', topic => '#')",
    qr/ERROR:  55000: role "no_login" cannot own/, 'owner logs in')
    if $node->pg_version < 17;
refused("SET ROLE feeder; SELECT mqtt_subscribe('s', broker => '$url', topic => '#', target => 'forbidden')",
    qr/ERROR:  42501: permission denied for table forbidden/, 'target needs INSERT');
refused('SET ROLE feeder; SELECT * FROM historian.mqtt_subscription', qr/ERROR:  42501/, 'passwords are hidden');
refused("SET ROLE feeder; SELECT mqtt_subscribe('s', broker => 'mqtts://h', topic => '#', cafile => '/etc/passwd')",
    qr/ERROR:  42501: permission denied to name a file/, 'files need a right');

# --- a topic never makes a stranger's code run with the owner's rights
query(<<'END');
DELETE FROM mqtt_dead_letter;
CREATE ROLE mallory;
CREATE SCHEMA mallory AUTHORIZATION mallory;
GRANT CREATE ON SCHEMA public TO mallory;
SET ROLE mallory;
CREATE FUNCTION climb() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE mallory SUPERUSER; RETURN NEW; END $$;
CREATE TABLE public.trap (name text);
CREATE TABLE mallory.trap (name text);
CREATE TRIGGER climb BEFORE INSERT ON public.trap FOR EACH ROW EXECUTE FUNCTION climb();
CREATE TRIGGER climb BEFORE INSERT ON mallory.trap FOR EACH ROW EXECUTE FUNCTION climb();
END
publish('db/append/trap', '["x"]');
publish('db/append/mallory.trap', '["x"]');
wait_for_messages("messages for a stranger's tables are dealt with");
is(query('SELECT rolsuper FROM pg_roles WHERE rolname = \'mallory\''), 'f', 'no trigger ran');
my $me = query('SELECT current_user');
is(query("SELECT sqlstate, replace(error, '; ', E';\n') FROM mqtt_dead_letter ORDER BY id"), <<"END" =~ s/\n\z//r, 'and why');
42501|table "public.trap" belongs to role "mallory", whose triggers and defaults would run with the rights of "$me";
name it as target of a subscription to allow that
42501|table "mallory.trap" is outside the subscription's schema "public";
subscribe with its schema as in_schema
END
query('GRANT mallory TO feeder; CREATE TABLE own (name text); ALTER TABLE own OWNER TO feeder; DELETE FROM mqtt_dead_letter');
query("SET ROLE feeder; SELECT mqtt_subscribe('feed3', broker => '$url', topic => 'db/append/+')");
Broker::wait_receiving($node, 'feed3');
publish('db/append/trap', '["x"]');
publish('db/append/own', '["x"]');
wait_for("SELECT count(*) = 1 FROM own", 'a table of its own takes the rows of a subscription');
wait_for("SELECT count(*) = 1 FROM mqtt_dead_letter WHERE subscription = 'feed3' AND error LIKE 'table \"public.trap\" belongs%'",
    'membership in the role that owns the table is not enough');
query("SELECT mqtt_unsubscribe('feed3')");
wait_for("SELECT count(*) = 4 FROM pg_stat_activity WHERE backend_type = 'historian mqtt'", 'it leaves');

# --- arguments
refused("SELECT mqtt_subscribe('plant', broker => '$url', topic => '#')",
    qr/ERROR:  42710: MQTT subscription "plant" already exists/, 'taken name');
refused("SELECT mqtt_subscribe('x', broker => 'http://h', topic => '#')",
    qr/ERROR:  22023: invalid broker URL.*mqtt:\/\//s, 'broker URL');
refused("SELECT mqtt_subscribe('x', broker => 'mqtt://h:0', topic => '#')", qr/ERROR:  22023: invalid broker URL/, 'broker port');
refused("SELECT mqtt_subscribe('x', broker => '$url', topic => 'a/#/b')",
    qr/ERROR:  22023: invalid topic filter "a\/#\/b"/, 'topic filter');
refused("SELECT mqtt_subscribe('x', broker => '$url', topic => NULL)", qr/ERROR:  22004: topic/, 'null topic');
refused("SELECT mqtt_subscribe('x', broker => '$url', topic => '#', qos => 3)", qr/ERROR:  22023: quality of service/, 'qos');
refused("SELECT mqtt_unsubscribe('nosuch')", qr/ERROR:  42704: MQTT subscription "nosuch" does not exist/, 'unknown name');

my $long = 'x' x 64;
refused("SELECT mqtt_subscribe('$long', broker => '$url', topic => '#', password => 's3cret')",
    qr/^(?!.*s3cret).*ERROR:  22023: name of an MQTT subscription/s, 'too long a name, without the password');
is(query('SET ROLE stranger; SELECT count(*) FROM historian.database_worker_status() WHERE database <> '
        . '(SELECT oid FROM pg_database WHERE datname = current_database())'), 0, 'workers of other databases are hidden');

# --- disable keeps the session, unsubscribe deletes it
query("SELECT mqtt_disable('feed')");
wait_for("SELECT state = 'stopped' FROM mqtt_status WHERE name = 'feed'", 'disabled');
publish('feed/1', '["kept"]');
query("SELECT mqtt_enable('feed')");
wait_for("SELECT count(*) = 1 FROM allowed WHERE name = 'kept'", 'what came meanwhile is delivered');
query("SELECT mqtt_unsubscribe('feed')");
wait_for("SELECT count(*) = 3 FROM pg_stat_activity WHERE backend_type = 'historian mqtt'", 'its worker leaves');
unlike(slurp_file($node->logfile), qr/could not delete the session/, 'the session is deleted at the broker');
query("SELECT mqtt_subscribe('orphan', broker => '$url', topic => 'orphan')");
Broker::wait_receiving($node, 'orphan');
query("SELECT mqtt_disable('orphan')");
wait_for("SELECT state = 'stopped' FROM mqtt_status WHERE name = 'orphan'", 'disabled');
refused("SELECT mqtt_unsubscribe('orphan')",
    qr/WARNING:  01000: the session of MQTT subscription "orphan" stays.*client "historian-/s,
    'a session that nobody deletes is named');

# --- a broker that is down, comes up, restarts
my $late = Broker->new;
query("SELECT mqtt_subscribe('late', broker => '" . $late->url . "', topic => 'db/append/#')");
wait_for("SELECT last_error LIKE 'could not connect to the broker: %' FROM mqtt_status WHERE name = 'late'",
    'a broker that is down is reported');
$late->start;
Broker::wait_receiving($node, 'late');
$late->stop;
wait_for("SELECT state <> 'receiving' FROM mqtt_status WHERE name = 'late'", 'a stopped broker is noticed');
$late->start;
Broker::wait_receiving($node, 'late');
is(query("SELECT session_present, sessions_lost FROM mqtt_status WHERE name = 'late'"), 't|0',
    'the session survived the restart');
$late->publish('db/append/sensor', '["late", 1, 1, 1]');
wait_for("SELECT count(*) = 1 FROM sensor WHERE name = 'late'", 'and messages come');
$late->stop;
unlink glob "$late->{folder}/mosquitto.db";
$late->start;
wait_for("SELECT sessions_lost = 1 FROM mqtt_status WHERE name = 'late' AND state = 'receiving'", 'a lost session is noticed');
like(slurp_file($node->logfile), qr/WARNING:  broker has lost the session of MQTT subscription "late"/, 'and logged');

# --- restart of the server
$node->restart;
Broker::wait_receiving($node, $_) for 'plant', 'fixed', 'late';
publish('db/append/sensor', '["restarted", 1, 1, 1]');
wait_for("SELECT count(*) > 0 FROM sensor WHERE name = 'restarted'", 'subscriptions start with the server');

# --- a batch that needs more locks than there are is cut until it fits; a message that alone asks for too much is put aside
query(join '', map { "CREATE TABLE many_$_ (n int PRIMARY KEY);\n" . "CREATE INDEX ON many_$_ (n);\n" x 3 } 1 .. 900);
query("SELECT mqtt_disable('plant'); SELECT mqtt_disable('late'); DELETE FROM mqtt_dead_letter");
wait_for("SELECT state = 'stopped' FROM mqtt_status WHERE name = 'plant'", 'disabled');
$broker->publish_many(map { ["db/append/many_$_", "[$_]"] } 1 .. 900);
$node->append_conf('postgresql.conf', "max_locks_per_transaction = 10\n");
$node->restart;
my $earlier = query("SELECT messages FROM mqtt_status WHERE name = 'plant'");
query("SELECT mqtt_enable('plant')");
wait_for("SELECT messages >= $earlier + 900 FROM mqtt_status WHERE name = 'plant'", '900 tables at once');
is(query('SELECT count(*) FROM mqtt_dead_letter'), 0, 'all of them stored');
like(slurp_file($node->logfile), qr/could not store \d+ messages: out of shared memory/, 'the first batch was too large');
query(<<'END');
CREATE TABLE greedy (n int);
CREATE FUNCTION ask_too_much() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.n > 1 THEN RAISE 'too much' USING ERRCODE = '53200'; END IF; RETURN NEW; END $$;
CREATE TRIGGER ask_too_much BEFORE INSERT ON greedy FOR EACH ROW EXECUTE FUNCTION ask_too_much();
END
$broker->publish_many(map { ['db/append/greedy', "[$_]"] } 1, 2, 1);
wait_for('SELECT count(*) = 2 FROM greedy', 'the neighbours are stored');
is(query('SELECT sqlstate, error FROM mqtt_dead_letter'), '53200|too much', 'what cannot succeed is a dead letter in the end');

# --- many small numbers take little memory
SKIP: {
    my $pid = query("SELECT pid FROM mqtt_status WHERE name = 'plant'");
    skip 'no /proc here', 2 unless -r "/proc/$pid/status";
    query("SELECT mqtt_disable('plant'); DELETE FROM mqtt_dead_letter");
    wait_for("SELECT state = 'stopped' FROM mqtt_status WHERE name = 'plant'", 'disabled');
    my $zeros = '[' . ('0,' x 500_000) . '0]';
    $broker->publish_many(map { ['db/append/greedy', $zeros] } 1 .. 40);
    query("SELECT mqtt_enable('plant')");
    wait_for('SELECT count(*) = 40 FROM mqtt_dead_letter', '40 MB of zeros are dealt with');
    $pid = query("SELECT pid FROM mqtt_status WHERE name = 'plant'");
    my ($peak_kb) = slurp_file("/proc/$pid/status") =~ /VmHWM:\s+(\d+) kB/;
    cmp_ok($peak_kb, '<', 400_000, "in $peak_kb kB");
}

# --- other databases; DROP EXTENSION
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', "CREATE EXTENSION historian; CREATE TABLE sensor (name text, time timestamptz, value float8)");
$node->safe_psql('second', "SELECT mqtt_subscribe('plant', broker => '$url', topic => 'second/#', target => 'sensor')");
Broker::wait_receiving($node, 'plant', 'second');
$broker->publish('second/x', '["s", 1, 1]');
ok($node->poll_query_until('second', 'SELECT count(*) = 1 FROM sensor'), 'each database has its own subscriptions');
$node->safe_psql('second', 'DROP EXTENSION historian CASCADE');
wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'historian%' AND datname = 'second'",
    'DROP EXTENSION ends the workers');
$node->safe_psql('postgres', 'DROP DATABASE second');
is(query("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'historian%' AND datname = 'postgres'"),
    4, 'the others go on');

$node->stop;
$broker->stop;
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal|TRAP/, 'nothing crashed');
done_testing();
