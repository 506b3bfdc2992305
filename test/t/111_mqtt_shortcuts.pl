# The worker's short ways to a row (plain_value.h, direct_insert.h) end where the long ones do: each message is sent to two
# tables, and one of them has something that makes the worker take the long way, a domain or a trigger that does nothing.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Broker qw(query);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

Broker::require_or_skip();

my $seed = $ENV{HISTORIAN_TEST_SEED} // int(rand 1_000_000_000);
srand $seed;
diag "seed $seed";

my $broker = Broker->new->start;
my $node = Broker::start_server('shortcuts');
my $am = Broker::access_method($node);
my $url = $broker->url;
my $sent = 0;

# Publishes, and waits until all of it is dealt with.
sub publish {
    $broker->publish_many(@_);
    $sent += @_;
    ok($node->poll_query_until('postgres', "SELECT sum(messages) >= $sent FROM mqtt_status"), "$sent messages are dealt with");
}

# The dead letters of a table, without its name, by payload.
sub refusals {
    my ($table) = @_;
    return query("SELECT convert_from(payload, 'UTF8'), sqlstate, replace(error, '$table', 'TABLE') FROM mqtt_dead_letter
                  WHERE topic = 'db/append/$table' ORDER BY 1");
}

query("SELECT mqtt_subscribe('plant', broker => '$url', topic => 'db/append/#')");
Broker::wait_receiving($node, 'plant');
query('CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$');

# --- values: numbers of all sizes, at the edges of the types and at random
my @numbers = qw(0 -0 0.0 -0.0 0e5 1 -1 1.5 1.0 1e3 1E+3 1e-3 0.1 0.30000000000000004 123456789012345678 1e22 1e23
    9007199254740993 127 128 32767 32768 -32768 -32769 2147483647 2147483648 -2147483648 9223372036854775807 9223372036854775808
    -9223372036854775808 -9223372036854775809 16777217 3.4028235e38 3.4028236e38 1.4e-45 7e-46 1.17549435e-38 1e39 1e-46
    1.7976931348623157e308 1.7976931348623159e308 1e309 -1e400 2.2250738585072014e-308 4.9e-324 5e-324 2e-324 1e-400
    2.2250738585072011e-308 0.0000000000000000000000000000000000000000001 100000000000000000000000000000000000000000);
push @numbers, join('', map(int(rand 10), 1 .. 1 + rand 25)) =~ s/^0+(?=\d)//r for 1 .. 40;
push @numbers, sprintf('%.*e', rand 20, (rand() - 0.5) * 10**(rand(640) - 320)) for 1 .. 100;
push @numbers, sprintf('%.*f', rand 12, (rand() - 0.5) * 10**rand 12) for 1 .. 100;
my @words = ('true', 'false', 'null', '"text"', '"1.5"', '"NaN"', '"-Infinity"', '" 12 "', '""',
    '"t\u0065xt \ud83d\ude00 \"\\\\"');
my %types = (float8 => 'float8send', float4 => 'float4send', int8 => 'int8send', int4 => 'int4send', int2 => 'int2send',
    bool => 'boolsend', text => 'textsend');
for my $type (sort keys %types) {
    query("CREATE DOMAIN ${type}_domain AS $type; CREATE TABLE short_$type (n int, v $type) USING heap;
           CREATE TABLE long_$type (n int, v ${type}_domain) USING heap");
    my $n = 0;
    my @payloads = map { ++$n; "[$n, $_]" } @numbers, @words;
    publish(map { (["db/append/short_$type", $_], ["db/append/long_$type", $_]) } @payloads);
    my $send = $types{$type};
    is(query("SELECT count(*) FROM short_$type s FULL JOIN long_$type l USING (n)
              WHERE s.n IS NULL OR l.n IS NULL OR $send(s.v) IS DISTINCT FROM $send(l.v)"), 0,
        "$type: the same values, bit by bit");
    is(refusals("short_$type"), refusals("long_$type"), "$type: the same refusals");
    cmp_ok(query("SELECT count(*) FROM short_$type"), '>', 2, "$type: some are stored");
    query('DELETE FROM mqtt_dead_letter');
}

# --- tables: the same with and without a trigger
sub compare_tables {
    my ($what, $columns, $after, @payloads) = @_;
    for my $table ('short_way', 'long_way') {
        query("DROP TABLE IF EXISTS $table; CREATE TABLE $table ($columns) USING heap");
        query($after =~ s/\bIT\b/$table/gr) if $after;
    }
    query('CREATE TRIGGER pass BEFORE INSERT ON long_way FOR EACH ROW EXECUTE FUNCTION pass()');
    publish(map { (['db/append/short_way', $_], ['db/append/long_way', $_]) } @payloads);
    is(query('SELECT * FROM short_way ORDER BY 1, 2'), query('SELECT * FROM long_way ORDER BY 1, 2'), "$what: the same rows");
    is(refusals('short_way'), refusals('long_way'), "$what: the same refusals");
    cmp_ok(query('SELECT count(*) FROM short_way'), '>', 0, "$what: some are stored");
    query('DELETE FROM mqtt_dead_letter');
}

my @rows = map { qq(["a$_", $_]) } 1 .. 5;
compare_tables('constraints', 'name text NOT NULL, value int CHECK (value <> 3)', '', @rows, '[null, 1]', '["b", null]',
    '[["c", 1], ["d", 3]]');
compare_tables('a unique index', 'name text, value int', 'CREATE UNIQUE INDEX ON IT (name)', @rows, '["a3", 7]',
    '[["e", 1], ["e", 2]]', '["f", 1]');
compare_tables('indexes of expressions and of some rows', 'name text, value int',
    'CREATE INDEX ON IT (lower(name)); CREATE INDEX ON IT (value) WHERE value > 2;
     CREATE INDEX ON IT ((10 / (value - 4)))', @rows);
is(query("SET enable_seqscan = off; SELECT count(*) FROM short_way WHERE lower(name) >= 'a' AND lower(name) < 'b'"), 4,
    'the index has what the table has');
compare_tables('an exclusion constraint', 'name text, value int4range, EXCLUDE USING gist (value WITH &&)', '',
    '["a", "[1,3)"]', '["b", "[2,4)"]', '["c", "[3,5)"]');
compare_tables('lengths and precisions', 'name varchar(3), value numeric(4,1), code char(4)', '', '["abc", 12.34, "ab"]',
    '["abcd", 1, "ab"]', '["abc", 12345, "ab"]', '["abc", 1, "abcde"]');
compare_tables('a dropped column', 'gone int DEFAULT 1, name text, value int', 'ALTER TABLE IT DROP gone', @rows);
compare_tables('a deferred key', 'name text, value int UNIQUE DEFERRABLE INITIALLY DEFERRED', '', @rows, '["g", 5]');

# --- what rows do not bring: identities, _arrival_time
query(<<"END");
CREATE TABLE filled (id int GENERATED ALWAYS AS IDENTITY, name text, _arrival_time timestamptz DEFAULT clock_timestamp())
    USING heap;
CREATE TABLE looking (name text, _arrival_time timestamptz) USING heap;
CREATE FUNCTION rows_before() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT to_timestamp(count(*)) FROM looking';
ALTER TABLE looking ALTER _arrival_time SET DEFAULT rows_before();
END
publish(['db/append/filled', '[["a"], ["b"], ["c"]]'], ['db/append/looking', '[["a"], ["b"], ["c"]]']);
is(query("SELECT string_agg(id || name, ' ' ORDER BY id), count(_arrival_time) FROM filled"), '1a 2b 3c|3',
    'defaults are filled in, row by row');
publish(['db/append/looking', '["d"]']);
is(query("SELECT extract(epoch FROM _arrival_time)::int FROM looking WHERE name = 'd'"), 3,
    'a default that looks at the table sees it');

# --- what makes an INSERT more than rows: it is one
query(<<"END");
CREATE TABLE log_of_statements (tg text, n bigint) USING heap;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN INSERT INTO log_of_statements SELECT TG_NAME, count(*) FROM new_rows; RETURN NULL; END \$\$;
CREATE TABLE watched (name text, value int) USING heap;
CREATE TRIGGER after_statement AFTER INSERT ON watched REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE TABLE ruled (name text, value int) USING heap;
CREATE RULE twice AS ON INSERT TO ruled DO ALSO INSERT INTO log_of_statements VALUES ('rule', new.value);
CREATE TABLE computed (name text, value int, twice int GENERATED ALWAYS AS (value * 2) STORED) USING heap;
CREATE TABLE parted (name text, value int) PARTITION BY RANGE (value);
CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (10) USING heap;
CREATE TABLE high PARTITION OF parted FOR VALUES FROM (10) TO (20) USING heap;
CREATE TABLE referred (name text PRIMARY KEY) USING heap;
INSERT INTO referred VALUES ('a1'), ('a2');
CREATE TABLE referring (name text REFERENCES referred, value int) USING heap;
CREATE VIEW seen AS SELECT value, name FROM watched;
END
publish(map { my $table = $_; map { ["db/append/$table", $_] } @rows } qw(watched ruled computed parted low referring));
is(query("SELECT sum(n) FROM log_of_statements WHERE tg = 'after_statement'"), 5, 'a statement trigger sees its rows');
is(query("SELECT sum(n) FROM log_of_statements WHERE tg = 'rule'"), 15, 'a rule is followed');
is(query('SELECT sum(twice) FROM computed'), 30, 'a column is computed');
is(query('SELECT count(*) FROM low'), 10, 'rows find their partition, or are sent to it');
is(query('SELECT count(*) FROM referring'), 2, 'a foreign key is checked');
is(query('SELECT count(*), min(sqlstate) FROM mqtt_dead_letter'), '3|23503', 'and what it refuses is a dead letter');
query('DELETE FROM mqtt_dead_letter');
publish(['db/append/low', '["x", 15]'], ['db/append/seen', '[6, "through the view"]']);
is(query('SELECT sqlstate FROM mqtt_dead_letter'), '23514', 'a partition takes only its rows');
is(query("SELECT count(*) FROM watched WHERE name = 'through the view'"), 1, 'a view is written through');
query('DELETE FROM mqtt_dead_letter');

# --- rights: those of the subscription's owner
query(<<"END");
CREATE ROLE feeder LOGIN;
CREATE SCHEMA others;
CREATE TABLE others.open (name text, value int) USING heap;
CREATE TABLE others.some_columns (name text, value int) USING heap;
CREATE TABLE others.closed (name text, value int) USING heap;
CREATE TABLE others.guarded (name text, value int) USING heap;
GRANT USAGE ON SCHEMA others TO feeder;
GRANT INSERT ON ALL TABLES IN SCHEMA others TO feeder;
ALTER TABLE others.guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY small ON others.guarded FOR INSERT TO feeder WITH CHECK (value < 3);
GRANT EXECUTE ON FUNCTION mqtt_subscribe TO feeder;
END
for my $table (qw(open some_columns closed guarded)) {
    query("SET SESSION AUTHORIZATION feeder;
           SELECT mqtt_subscribe('$table', broker => '$url', topic => 'others/$table', target => 'others.$table')");
    Broker::wait_receiving($node, $table);
}
query('REVOKE INSERT ON others.closed, others.some_columns FROM feeder');
query('GRANT INSERT (name, value) ON others.some_columns TO feeder');
publish(map { my $table = $_; map { ["others/$table", $_] } @rows } qw(open some_columns closed guarded));
is(query('SELECT (SELECT count(*) FROM others.open), (SELECT count(*) FROM others.some_columns),
                 (SELECT count(*) FROM others.closed), (SELECT count(*) FROM others.guarded)'), '5|5|0|2',
    'only what the owner may insert is stored');
is(query('SELECT subscription, sqlstate, count(*) FROM mqtt_dead_letter GROUP BY 1, 2 ORDER BY 1'),
    "closed|42501|5\nguarded|42501|3",
    'the rest are dead letters');
query('DELETE FROM mqtt_dead_letter; REVOKE INSERT ON others.open FROM feeder');
publish(['others/open', '["late", 1]']);
is(query("SELECT sqlstate FROM mqtt_dead_letter"), '42501', 'a right that is taken away is missed at once');
query('DELETE FROM mqtt_dead_letter; GRANT INSERT ON others.open TO feeder; REVOKE USAGE ON SCHEMA others FROM feeder');
publish(['others/open', '["later", 1]']);
is(query("SELECT count(*) FROM others.open WHERE name LIKE 'late%'"), 0, 'so is that of the schema');
is(query("SELECT sqlstate FROM mqtt_dead_letter"), '42501', 'with a dead letter');

# --- many rows become a segment of a tag table at once, and no part of them stays after an error
SKIP: {
    skip 'there are no tag tables', 4 if $am ne 'tag';
    my $many = join ',', map qq(["tag@{[ $_ % 7 ]}", ${_}000, $_]), 1 .. 10_000;
    query('CREATE TABLE sensor (name text, time timestamptz, value float8) USING tag');
    publish(['db/append/sensor', "[$many]"]);
    is(query('SELECT count(*), sum(value) FROM sensor'), '10000|50005000', 'every row is there');
    is(query("SELECT count(*) FROM historian_segments('sensor') WHERE kind = 'segment'"), 1, 'in a segment');
    publish(['db/append/sensor', "[$many, [\"tag1\", 0, \"no number\"]]"]);
    like(query('SELECT count(*) FROM sensor'), qr/^[12]0000$/, 'after an error among them all or none');
}

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|leak: |still active|terminated by signal/, 'nothing crashed, nothing leaked');
done_testing();
