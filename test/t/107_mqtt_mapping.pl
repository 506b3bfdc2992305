# Mappings and transforms: what devices that know nothing of our tables publish becomes rows, what does not fit a dead letter with
# a reason, and what cannot work is refused when it is asked for.
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
my $node = Broker::start_server('mapping', "timezone = 'UTC'\n");
my $am = Broker::access_method($node);
my $url = $broker->url;

my $expected_messages = 0;
sub publish { ++$expected_messages; $broker->publish(@_) }
sub wait_for_messages { wait_for("(SELECT sum(messages) FROM mqtt_status) >= $expected_messages", $_[0]) }
sub subscribe {
    my ($name, $options) = @_;
    query("SELECT mqtt_subscribe('$name', broker => '$url', topic => '$name/#', $options)");
    Broker::wait_receiving($node, $name);
}
sub letters { return query('SELECT sqlstate, error FROM mqtt_dead_letter ORDER BY id') }

query(<<END);
CREATE TABLE sensor (name text, time timestamptz, value float8) USING $am;
CREATE TABLE reading (name text NOT NULL, time timestamp, value numeric DEFAULT -1, unit text DEFAULT 'none', extra jsonb,
    twice numeric GENERATED ALWAYS AS (value * 2) STORED, id int GENERATED ALWAYS AS IDENTITY, "Odd Name" text);
END

# --- what mqtt_subscribe refuses
sub refuses_mapping {
    my ($mapping, $expected, $name) = @_;
    refused(qq{SELECT mqtt_subscribe('x', broker => '$url', topic => 'x', target => 'reading', mapping => '$mapping')}, $expected,
        "refused: $name");
}
refused(qq{SELECT mqtt_subscribe('x', broker => '$url', topic => 'x', mapping => '{"name": "topic"}')},
    qr/22023: mapping of an MQTT subscription needs a target/, 'refused: no target');
refuses_mapping('{"nome": "topic"}', qr/42703: column "nome" of relation "reading" does not exist/, 'a column that is not there');
refuses_mapping('{"NAME": "topic"}', qr/42703: column "NAME" of relation/, 'a column in other letters');
refuses_mapping('{"ctid": "topic"}', qr/42703: column "ctid" of relation/, 'a system column');
refuses_mapping('{"twice": "$.v"}', qr/428C9: column "twice" is filled by the table itself/, 'a generated column');
refuses_mapping('{"id": "$.v"}', qr/428C9: column "id" is filled by the table itself/, 'an identity column');
refuses_mapping('{"value": {"path": "$.v", "unit": "ms"}}', qr/42804: column "value" is no time/, 'a unit where no time is');
refuses_mapping('{"name": "pump"}', qr/22023: invalid mapping.*Column "name", character 1 of its expression: unknown word/s,
    'a word that is neither path nor quoted');
refuses_mapping('{"name": "topic[2]/$.a[x]"}', qr/Column "name", character 14 of its expression: a number, \* or a quoted name/,
    'a bad path, with its place');
refuses_mapping('{"name": {"paths": "$"}}', qr/Column "name": its object has a key other than path, unit and const/,
    'an unknown key');
refuses_mapping('{"name": "$.a[*].n", "value": "$.b[*].v"}',
    qr/Column "value": its \[\*\] or \.\* is not that of the other columns/, 'two independent arrays');
refuses_mapping('[]', qr/22023: invalid mapping.*it is not a JSON object/s, 'no object');
refuses_mapping('{}', qr/it names no column/, 'an empty one');
refuses_mapping('{', qr/22P02: invalid input syntax for type json/, 'no JSON');
is(query('SELECT count(*) FROM mqtt_status'), 0, 'nothing of it was stored');

# --- topic parts, paths, units
subscribe('plant', q(target => 'sensor', mapping => '{"name": "topic[2]/topic[3]", "time": "$.ts", "value": "$.v"}'));
publish('plant/press/4', '{"ts": 1700000000123456789, "v": 21.5, "other": [1, {"v": 9}]}');
publish('plant/press/5', ' { "v" : -0.5e1, "ts" : "2024-01-01 00:00:00Z" } ');
wait_for_messages('plain objects');
is(query('SELECT * FROM sensor ORDER BY name'), <<'END' =~ s/\n\z//r, 'are rows, by topic parts and paths');
press/4|2023-11-14 22:13:20.123456+00|21.5
press/5|2024-01-01 00:00:00+00|-5
END

subscribe('unit', q(target => 'reading', mapping => '{"name": "property.unit", "time": {"path": "$.t", "unit": "ms"},
    "value": "$[\"odd key\"][-1]", "unit": {"const": "C"}, "extra": "$", "Odd Name": "''it''''s ''topic"}'));
publish('unit/a', '{"t": 1700000000123, "odd key": [1, 123456789012345678901234567890.12345678901234567890]}',
    qw(-V 5 -D publish user-property unit degC));
publish('unit/b', '{"t": "1700000000000"}', qw(-V 5 -D publish user-property unit degF));
wait_for_messages('units, properties, odd names');
is(query('SELECT name, time, value, unit, "Odd Name" FROM reading ORDER BY name'), <<'END' =~ s/\n\z//r,
degC|2023-11-14 22:13:20.123|123456789012345678901234567890.12345678901234567890|C|it's unit/a
degF|2023-11-14 22:13:20|-1|C|it's unit/b
END
    'every digit is kept; what is missing takes its default');
is(query(q(SELECT extra->>'t' FROM reading WHERE name = 'degF')), '1700000000000', 'a part of the message as jsonb');

# --- arrays and objects become rows
query('TRUNCATE reading; TRUNCATE sensor');
subscribe('rows', q(target => 'reading', mapping => '{"name": "topic[2]-$.values[*].n", "time": {"path": "$.t", "unit": "s"},
    "value": "$.values[*].v", "unit": "$.unit"}'));
publish('rows/a', '{"values": [{"n": 1, "v": 1.5}, {"n": 2}, {"v": 3.5, "n": 3}], "t": 1700000000, "unit": "bar"}');
publish('rows/b', '{"values": [], "t": 1700000000}');
publish('rows/c', '{"values": [{"n": 1, "v": 1}, {"v": 2}, {"n": 3, "v": "x"}, {"n": 4, "v": 4}], "t": 1700000000}');
wait_for_messages('arrays');
is(query('SELECT name, time, value, unit FROM reading ORDER BY name'), <<'END' =~ s/\n\z//r, 'elements are rows of their own');
a-1|2023-11-14 22:13:20|1.5|bar
a-2|2023-11-14 22:13:20|-1|bar
a-3|2023-11-14 22:13:20|3.5|bar
c-1|2023-11-14 22:13:20|1|none
c-4|2023-11-14 22:13:20|4|none
END
is(letters(), <<'END' =~ s/\n\z//r, 'a bad row loses only itself');
23502|row 2: null value in column "name" of relation "reading" violates not-null constraint
22P02|row 3, column "value": invalid input syntax for type numeric: "x"
END
is(query(q(SELECT convert_from(payload, 'UTF8') FROM mqtt_dead_letter ORDER BY id)), <<'END' =~ s/\n\z//r,
{"values":[{"v":2}],"t":1700000000}
{"values":[{"n":3,"v":"x"}],"t":1700000000}
END
    'and its dead letter is a message that comes to that row');
query('DELETE FROM mqtt_dead_letter');

subscribe('things', q(target => 'sensor',
    mapping => '{"name": "topic[2].key", "time": {"path": "$.ts", "unit": "ms"}, "value": "$.*"}'));
publish('things/boiler', '{"temperature": 80.5, "ts": 1700000000000, "pressure": 2}');
subscribe('plain', q(target => 'sensor', mapping => '{"name": "topic[-1]", "time": "arrival", "value": "payload"}'));
publish('plain/kitchen/humidity', " 41.5\n");
wait_for_messages('objects and plain numbers');
is(query(q(SELECT name, value, CASE WHEN name ~ 'boiler' THEN time::text ELSE (now() - time < '1 hour')::text END
    FROM sensor ORDER BY 1)), <<'END' =~ s/\n\z//r, 'members are rows by name; a plain number is one');
boiler.pressure|2|2023-11-14 22:13:20+00
boiler.temperature|80.5|2023-11-14 22:13:20+00
humidity|41.5|true
END

# --- what does not fit
publish('plant/press/4', 'no json');
publish('plant/press/4', '');
publish('plant/press/4', '{"temperature": 3}');
publish('plant/press/4', '{"ts": 1, "v": "warm"}');
publish('plant/press/4', '{"ts": 1, "v": {"a": 1}}');
publish('plant/press/4', "{\"ts\": 1, \"v\": \"\xff\"}");
publish('plant/press/4', '[1, 2]');
publish('unit/a', '{"t": 1e30}', qw(-V 5 -D publish user-property unit degC));
publish('rows/a', '{"value": []}');
publish('rows/a', '{"values": {}}');
publish('things/a', '{"ts": 1, "s": "text"}');
publish('plain/a', 'offline');
wait_for_messages('messages that do not fit');
is(query('SELECT subscription, sqlstate, error FROM mqtt_dead_letter ORDER BY subscription, id'), <<'END' =~ s/\n\z//r,
plain|22P02|row 1, column "value": invalid input syntax for type double precision: "offline"
plant|22032|payload is not valid JSON at offset 0
plant|22032|payload holds no value
plant|22023|payload holds none of the values that the mapping asks for
plant|22P02|row 1, column "value": invalid input syntax for type double precision: "warm"
plant|22P02|row 1, column "value": invalid input syntax for type double precision: "{"a":1}"
plant|22021|payload is not valid UTF-8 at offset 16
plant|22023|payload holds none of the values that the mapping asks for
rows|22023|payload has nothing at $.values[*]
rows|22023|payload has no array at $.values[*]
things|22P02|row 1, column "value": invalid input syntax for type double precision: "text"
unit|22007|row 1, column "time": invalid input syntax for type timestamp: "1e30 ms since 1970"
END
    'are dead letters with a reason');
query('DELETE FROM mqtt_dead_letter');

# --- the table changes under a mapping
query('ALTER TABLE reading RENAME value TO amount');
publish('rows/d', '{"values": [{"n": 1, "v": 1}], "t": 1}');
wait_for_messages('a message for a column that was renamed');
like(letters(), qr/\A42703\|.*value/, 'is a dead letter that names it');
query('ALTER TABLE reading RENAME amount TO value; DELETE FROM mqtt_dead_letter');
publish('rows/e', '{"values": [{"n": 1, "v": 1}], "t": 1}');
wait_for_messages('a message for a column that is back');
is(query(q(SELECT value FROM reading WHERE name = 'e-1')), 1, 'is stored');

# --- transforms: what is refused
query(<<'END');
CREATE ROLE feeder LOGIN;
GRANT EXECUTE ON FUNCTION mqtt_subscribe TO feeder;
GRANT INSERT ON sensor, reading TO feeder;
CREATE SCHEMA plant;
GRANT USAGE ON SCHEMA plant TO feeder;
CREATE FUNCTION plant.two_values(payload jsonb, topic text) RETURNS SETOF sensor LANGUAGE sql AS $$
    SELECT topic || '.' || k, to_timestamp((payload->>'t')::float8), v::float8
    FROM jsonb_each_text(payload->'v') AS e (k, v) ORDER BY k
$$;
CREATE FUNCTION plant.frame(payload bytea, topic text, properties jsonb)
    RETURNS TABLE (name text, unit text, value int, extra jsonb) LANGUAGE plpgsql AS $$
BEGIN
    IF get_byte(payload, 0) <> 170 THEN RAISE EXCEPTION 'no frame: %', encode(payload, 'hex') USING ERRCODE = '22P03'; END IF;
    FOR i IN 1 .. length(payload) - 1 LOOP
        RETURN QUERY SELECT topic || '/' || i, current_user::text, get_byte(payload, i), properties;
    END LOOP;
END $$;
CREATE FUNCTION plant.record(payload text, topic text) RETURNS SETOF record LANGUAGE sql AS
    $$SELECT topic, '2024-01-01Z'::timestamptz, length(payload)::float8$$;
CREATE FUNCTION plant.many(text, text) RETURNS SETOF sensor LANGUAGE sql AS 'SELECT NULL::sensor';
CREATE FUNCTION plant.many(json, text) RETURNS SETOF sensor LANGUAGE sql AS 'SELECT NULL::sensor';
CREATE FUNCTION plant.one_row(text, text) RETURNS sensor LANGUAGE sql AS 'SELECT NULL::sensor';
CREATE FUNCTION plant.scalar(text, text) RETURNS SETOF float8 LANGUAGE sql AS 'SELECT 1.0';
CREATE FUNCTION plant.numbers(int, text) RETURNS SETOF sensor LANGUAGE sql AS 'SELECT NULL::sensor';
CREATE FUNCTION plant.wrong(text, text) RETURNS TABLE (name text, wert float8) LANGUAGE sql AS 'SELECT $2, 1.0';
CREATE FUNCTION plant.typed(text, text) RETURNS TABLE (name text, value text) LANGUAGE sql AS 'SELECT $2, $1';
CREATE FUNCTION plant.secret(text, text) RETURNS SETOF sensor LANGUAGE sql AS 'SELECT NULL::sensor';
REVOKE EXECUTE ON FUNCTION plant.secret FROM PUBLIC;
END
sub refuses_transform {
    my ($transform, $expected, $name, $more) = @_;
    refused(($more // '')
          . qq{SELECT mqtt_subscribe('x', broker => '$url', topic => 'x', target => 'sensor', transform => '$transform')},
        $expected, "refused: $name");
}
refused(qq{SELECT mqtt_subscribe('x', broker => '$url', topic => 'x', transform => 'plant.two_values')},
    qr/22023: transform of an MQTT subscription needs a target/, 'refused: a transform without target');
refused(qq{SELECT mqtt_subscribe('x', broker => '$url', topic => 'x', target => 'sensor', transform => 'plant.two_values',
    mapping => '{"name": "topic"}')}, qr/22023: .*either a mapping or a transform/, 'refused: a mapping and a transform');
refuses_transform('plant.nothing', qr/42883: function "plant.nothing" does not exist/, 'no such function');
refuses_transform('plant.two_values(text, text)', qr/42883: function "plant.two_values\(text, text\)" does not exist/,
    'no such arguments');
refuses_transform('plant.many', qr/42725: function name "plant.many" is not unique/, 'two functions of one name');
refuses_transform('plant.one_row', qr/42P13: function plant.one_row cannot be a transform/, 'one row is no set');
refuses_transform('plant.scalar', qr/42P13: function plant.scalar cannot be a transform/, 'values are no rows');
refuses_transform('plant.numbers', qr/42P13: function plant.numbers cannot be a transform/, 'a payload that is a number');
refuses_transform('plant.wrong', qr/42703: column "wert" of relation "sensor" does not exist/,
    'a column that the target has not');
refuses_transform('plant.typed', qr/42804: column "value" is of type double precision but expression is of type text/,
    'a type that does not fit');
refuses_transform('plant.secret', qr/42501: permission denied for function secret/, 'no right to call it',
    'SET SESSION AUTHORIZATION feeder; ');

# --- transforms: what they store, and as whom
query('TRUNCATE sensor, reading');
subscribe('two', q(target => 'sensor', transform => 'plant.two_values'));
subscribe('record', q(target => 'sensor', transform => 'plant.record(text, text)'));
query("SET SESSION AUTHORIZATION feeder; SET search_path = plant, public;"
      . "SELECT public.mqtt_subscribe('frame', broker => '$url', topic => 'frame/#', target => 'reading', transform => 'frame')");
Broker::wait_receiving($node, 'frame');
publish('two/a', '{"t": 1700000000, "v": {"x": 1, "y": 2.5}}');
publish('two/none', '{"t": 1700000000, "v": {}}');
publish('record/a', 'four');
publish('frame/a', "\xaa\x01\x02", qw(-V 5 -D publish user-property k v1 -D publish user-property k v2));
wait_for_messages('transforms');
is(query('SELECT * FROM sensor ORDER BY name'), <<'END' =~ s/\n\z//r, 'rows of the table\'s type, and records');
record/a|2024-01-01 00:00:00+00|4
two/a.x|2023-11-14 22:13:20+00|1
two/a.y|2023-11-14 22:13:20+00|2.5
END
is(query('SELECT name, unit, value, extra FROM reading ORDER BY name'), <<'END' =~ s/\n\z//r,
frame/a/1|feeder|1|{"k": "v2"}
frame/a/2|feeder|2|{"k": "v2"}
END
    'some columns, by name, as the owner');

# --- an error is the message's own
for my $number (1 .. 20)
{
    publish("two/good$number", '{"t": 1, "v": {"a": 1}}');
    publish("two/bad$number", $number % 2 ? 'no json' : '{"t": "x", "v": {"a": 1}}') if $number % 5 == 0;
}
publish('frame/b', "\xab\x01");
publish('frame/c', "\xaa\x07");
publish('two/utf8', "{\"v\": \"\xff\"}");
wait_for_messages('bad messages among good ones');
is(query(q(SELECT count(*) FROM sensor WHERE name ~ 'good')), 20, 'every good neighbour is there');
is(query(q(SELECT value FROM reading WHERE name = 'frame/c/1')), 7, 'also the one after a frame that is none');
is(query('SELECT topic, sqlstate, error FROM mqtt_dead_letter ORDER BY topic'), <<'END' =~ s/\n\z//r,
frame/b|22P03|no frame: ab01
two/bad10|22P02|invalid input syntax for type double precision: "x"
two/bad15|22P02|invalid input syntax for type json
two/bad20|22P02|invalid input syntax for type double precision: "x"
two/bad5|22P02|invalid input syntax for type json
two/utf8|22021|payload is not valid UTF-8, and the transform takes a text
END
    'every bad one is a dead letter');
query('DELETE FROM mqtt_dead_letter');

# --- the function changes, loses its rights, goes and comes back
query(<<'END');
CREATE OR REPLACE FUNCTION plant.two_values(payload jsonb, topic text) RETURNS SETOF sensor LANGUAGE sql AS
    $$SELECT 'replaced', now(), 1.0::float8$$;
REVOKE EXECUTE ON FUNCTION plant.frame FROM PUBLIC;
END
publish('two/a', '{}');
publish('frame/d', "\xaa\x01");
wait_for_messages('messages after changes of the functions');
is(query(q(SELECT count(*) FROM sensor WHERE name = 'replaced')), 1, 'a replaced function is the new one at once');
is(letters(), '42501|permission denied for function frame', 'a function that may not be called any more');
query(q(DELETE FROM mqtt_dead_letter; DROP FUNCTION plant.frame));
publish('frame/e', "\xaa\x01");
wait_for_messages('a message for a function that was dropped');
is(letters(), '42883|transform function plant.frame(pg_catalog.bytea,pg_catalog.text,pg_catalog.jsonb) does not exist',
    'is a dead letter');
query('DELETE FROM mqtt_dead_letter');
query(<<'END');
CREATE FUNCTION plant.frame(payload bytea, topic text, properties jsonb) RETURNS SETOF reading LANGUAGE sql AS
    $$SELECT topic, NULL::timestamp, 5, NULL, NULL::jsonb, NULL::numeric, NULL::int, NULL$$;
END
publish('frame/f', "\xaa\x01");
wait_for_messages('a message for a function that is back');
is(letters(), '', 'is no dead letter');
is(query(q(SELECT value, twice FROM reading WHERE name = 'frame/f')), '5|10', 'and columns that the table computes are its own');

# --- mqtt_alter changes them
query(q(TRUNCATE sensor; DELETE FROM mqtt_dead_letter;
    SELECT mqtt_alter('plant', mapping => '{"name": "topic", "time": "arrival", "value": "$.w"}')));
wait_for(q(SELECT connects > 1 AND state = 'receiving' FROM mqtt_status WHERE name = 'plant'),
    'another mapping makes the worker begin anew');
publish('plant/x', '{"w": 3}');
wait_for(q(SELECT count(*) = 1 FROM sensor WHERE name = 'plant/x' AND value = 3), 'and is the one that counts');
refused(q(SELECT mqtt_alter('plant', mapping => '{"name": "w"}')), qr/22023: invalid mapping/, 'a wrong one is refused');
refused(q(SELECT mqtt_alter('plant', target => 'reading', mapping => '{"wert": "$"}')), qr/42703: column "wert"/,
    'also one that does not fit the new target');
refused(q(SELECT mqtt_alter('plant', target => '-')), qr/22023: mapping of an MQTT subscription needs a target/,
    'the target of a mapping cannot be taken away');
refused(q(SELECT mqtt_alter('plant', transform => 'plant.two_values')), qr/22023: .*either a mapping or a transform/,
    'nor can a transform come beside it');
query(q(SELECT mqtt_alter('plant', mapping => 'null', transform => 'plant.record')));
is(query(q(SELECT mapping, transform FROM historian.mqtt_subscription WHERE name = 'plant')),
    '|plant.record(pg_catalog.text,pg_catalog.text)', 'but in its place');
query(q(SELECT mqtt_alter('plant', transform => '')));
is(query(q(SELECT mapping IS NULL AND transform IS NULL FROM historian.mqtt_subscription WHERE name = 'plant')), 't',
    'and both go away');

# --- a copy of the database has the same mappings and transforms
my $before = query('SELECT name, mapping, transform FROM historian.mqtt_subscription ORDER BY name');
$node->command_ok(['pg_dump', '-f', $node->basedir . '/dump.sql', $node->connstr('postgres')], 'pg_dump');
query('CREATE DATABASE copy');
$node->command_ok(['psql', '-q', '-X', '-v', 'ON_ERROR_STOP=1', '-f', $node->basedir . '/dump.sql', $node->connstr('copy')],
    'restore');
is($node->safe_psql('copy', 'SELECT name, mapping, transform FROM historian.mqtt_subscription ORDER BY name'), $before,
    'dumped and restored as they were');
query('DROP DATABASE copy');
$node->stop;
done_testing();
