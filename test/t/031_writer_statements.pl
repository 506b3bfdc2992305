# The statements that Fluent Bit, Telegraf and Kafka Connect send, each as in its source, on log tables.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('statements');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'\n");
$node->start;

sub query { return $node->safe_psql('postgres', $_[0]) }
# A role's own settings hold from its login on.
sub query_as {
    my ($role, $sql) = @_;
    my ($code, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $role ], on_error_stop => 1);
    die "$sql: $err" if $code;
    return ($out, $err);
}
sub refused {
    my ($sql, $expected, $name) = @_;
    my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
    like($err, $expected, $name);
}
sub kind { return query("SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE c.oid = '$_[0]'::regclass") }

query(<<'END');
CREATE EXTENSION historian;
CREATE ROLE fluentbit LOGIN;
CREATE SCHEMA fluentbit AUTHORIZATION fluentbit;
ALTER ROLE fluentbit SET default_table_access_method = log;
CREATE ROLE connect LOGIN;
CREATE SCHEMA connect AUTHORIZATION connect;
ALTER ROLE connect SET default_table_access_method = log;
END

# --- Fluent Bit: plugins/out_pgsql/pgsql.c
my $create = 'CREATE TABLE IF NOT EXISTS "t" (tag varchar, time timestamp, data jsonb);';
query_as('fluentbit', $create);
is(kind('fluentbit.t'), 'log', "Fluent Bit's table is a log table by the role's setting");
my ($out, $err) = query_as('fluentbit', $create);
is($err =~ s/^psql:\S+ //r, 'NOTICE:  relation "t" already exists, skipping', '... created again, as at each start, it stays');
my $filling = 'x' x 200;
sub record {
    my ($i) = @_;
    return sprintf '{"date":%d.25,"log":"it\'\'s line %d \\\\ \\"한글\\" %s","n":%d}', 1767225600 + $i, $i, $filling, $i;
}
my $statement = q{INSERT INTO "t" SELECT 'app.log', to_timestamp(CAST(value->>'date' as FLOAT)), * FROM json_array_elements('};
$statement .= '[' . join(',', map { record($_) } 1 .. 20_000) . "]');";
cmp_ok(length $statement, '>', 5_000_000, 'a chunk of several MB');
query_as('fluentbit', 'BEGIN;' . $statement . 'COMMIT;');
is(query(q(SELECT count(*), min(data->>'n'), max(length(data->>'log')) FROM fluentbit.t)), '20000|1|223', '... is stored');
is(query(q(SELECT data->>'n' FROM fluentbit.t LIMIT 3)), "20000\n19999\n19998", '... newest first');
query("CALL compact('fluentbit.t')");
is(query(q(SELECT tag, time, left(data->>'log', 20) FROM fluentbit.t WHERE data->>'log' @@ search('line 777'))),
    q(app.log|2026-01-01 00:12:57.25|it's line 777 \ "한글"), '... and searched');

# --- Telegraf: outputs.postgresql, pgx
my $columns = <<'END';
SELECT column_name, CASE WHEN data_type='USER-DEFINED' THEN udt_name ELSE data_type END,
    col_description(format('%I.%I', table_schema, table_name)::regclass::oid, ordinal_position)
FROM information_schema.columns WHERE table_schema = 'public' and table_name = 'cpu'
END
query('BEGIN; SELECT pg_advisory_xact_lock(5577006791947779410);'
        . 'CREATE TABLE "public"."cpu" ("time" timestamp without time zone, "host" text, "usage" double precision) USING log;'
        . q(COMMENT ON COLUMN "public"."cpu"."host" IS 'tag'; COMMIT));
query('BEGIN; ALTER TABLE "public"."cpu" ADD COLUMN IF NOT EXISTS "usage" double precision, '
        . 'ADD COLUMN IF NOT EXISTS "core" text, ADD COLUMN IF NOT EXISTS "count" bigint;'
        . q(COMMENT ON COLUMN "public"."cpu"."core" IS 'tag'; COMMIT));
is(query($columns), <<'END' =~ s/\n\z//r, "Telegraf finds its table's columns and what they are");
time|timestamp without time zone|
host|text|tag
usage|double precision|
_arrival_time|timestamp with time zone|
core|text|tag
count|bigint|
END
my $prepare = 'PREPARE pgx_0 AS select "time", "host", "usage", "core" from "public"."cpu"';
# COPY's binary format: microseconds since 2000, texts, a double, and NULL for each seventh.
my $binary = "PGCOPY\n\xff\r\n\0" . pack('N N', 0, 0);
for my $i (1 .. 5000) {
    $binary .= pack('n', 4) . pack('N q>', 8, 820_540_800_000_000 + $i * 1_000_000) . pack('N/a', "host-$i");
    $binary .= $i % 7 ? pack('N d>', 8, $i / 4) : pack('N', 0xffffffff);
    $binary .= pack('N/a', "core\t$i");
}
$binary .= pack('n', 0xffff);
my @session = ('psql', '-X', '-q', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1');
my $copy = 'copy "public"."cpu" ( "time", "host", "usage", "core" ) from stdin binary;';
push @session, '-c', $_ for 'begin', 'SAVEPOINT sp_1', $prepare, $copy, 'RELEASE SAVEPOINT sp_1', 'commit';
ok(IPC::Run::run(\@session, '<', \$binary, '2>', \$err), 'COPY BINARY of some columns, after a savepoint') or diag $err;
is(query('SELECT count(*), sum(usage), count(usage) FROM cpu'), '5000|2678928.75|4286', '... stores the rows');
is(query('SELECT time, host, usage, core, count FROM cpu LIMIT 2'),
    "2026-01-01 01:23:20|host-5000|1250|core\t5000|\n2026-01-01 01:23:19|host-4999|1249.75|core\t4999|", '... newest first');
@session = map { s/^RELEASE/ROLLBACK TO/r } @session;
ok(IPC::Run::run(\@session, '<', \$binary, '2>', \$err), '... of a sub-batch that is taken back') or diag $err;
query("CALL compact('cpu')");
is(query('SELECT count(*), sum(usage) FROM cpu'), '5000|2678928.75', '... stores nothing');
# Its tag tables have keys.
query(<<'END');
CREATE TABLE cpu_tag (tag_id bigint, host text, PRIMARY KEY (tag_id)) USING heap;
BEGIN;
CREATE TEMP TABLE cpu_tag_temp (LIKE cpu_tag) ON COMMIT DROP;
INSERT INTO cpu_tag_temp VALUES (1, 'a'), (1, 'a'), (2, 'b');
INSERT INTO cpu_tag SELECT * FROM cpu_tag_temp ORDER BY tag_id ON CONFLICT (tag_id) DO NOTHING;
COMMIT;
END
is(query('SELECT count(*) FROM cpu_tag'), 2, 'a tag table is a heap table');

# --- Kafka Connect: JDBC sink
query_as('connect', 'CREATE TABLE "events" ("id" BIGINT NOT NULL, "at" TIMESTAMP NULL, "level" DOUBLE PRECISION NULL, '
        . '"text" TEXT NULL, "raw" BYTEA NULL, "tags" TEXT[] NULL)');
is(kind('connect.events'), 'log', "Kafka Connect's table is a log table by the role's setting");
query_as('connect', 'ALTER TABLE "connect"."events" ADD "host" TEXT NULL');
query_as('connect', <<'END');
PREPARE batch (bigint, timestamp, double precision, text, bytea, text[], text) AS
    INSERT INTO "connect"."events" ("id","at","level","text","raw","tags","host") VALUES ($1,$2,$3,$4,$5,$6,$7);
PREPARE batch_of_two (bigint, text, bigint, text) AS INSERT INTO "connect"."events" ("id","text") VALUES ($1,$2),($3,$4);
BEGIN;
SELECT format('EXECUTE batch (%s, %L, 0.5, %L, %L, %L, %L)', i, timestamp '2026-01-01' + i * interval '1 s', 'text ' || i,
    '\x00ff'::bytea, '{a,"b c",NULL}', NULL) FROM generate_series(1, 100) AS i \gexec
EXECUTE batch_of_two (101, 'it''s', 102, NULL);
COMMIT;
END
is(query('SELECT * FROM (SELECT "id","at","level","text","raw","tags" FROM connect.events LIMIT 3) AS s'),
    qq(102|||||\n101|||it's||\n100|2026-01-01 00:01:40|0.5|text 100|\\x00ff|{a,"b c",NULL}), 'prepared INSERTs, newest first');

refused('INSERT INTO connect.events ("id","text") VALUES (1,NULL) ON CONFLICT DO NOTHING',
    qr/ERROR:  0A000: ON CONFLICT is not supported on table "events"\n.*\nHINT:  Leave out ON CONFLICT\./,
    'insert.mode=upsert is refused');
refused('INSERT INTO connect.events ("id","text") VALUES (1,NULL) ON CONFLICT ("id") DO UPDATE SET "text"=EXCLUDED."text"',
    qr/ERROR:  42P10: there is no unique or exclusion constraint matching the ON CONFLICT specification/,
    '... with its key by PostgreSQL');
refused('CREATE TABLE connect.keyed ("id" BIGINT NOT NULL, "text" TEXT NULL, PRIMARY KEY("id")) USING log',
    qr/ERROR:  0A000: unique indexes and primary keys .*\n.*\nHINT:  Leave out PRIMARY KEY and UNIQUE\./,
    'pk.mode=record_key too');
refused('UPDATE connect.events SET "text" = NULL WHERE "id" = 1', qr/ERROR:  0A000: cannot update table "events"/,
    'insert.mode=update too');
is(query('SELECT count(*) FROM connect.events'), 102, 'nothing of it is stored');

$node->stop;
done_testing();
