# pg_dump and pg_restore bring back every row, every option and every constraint, in each of their forms; pg_upgrade does, too.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dumped');
$node->init;
$node->append_conf('postgresql.conf', <<'SETTINGS');
shared_preload_libraries = 'historian'
fsync = off
SETTINGS
$node->start;
my $folder = PostgreSQL::Test::Utils::tempdir;

$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', <<'SQL');
CREATE EXTENSION historian;
CREATE TABLE unit (name text PRIMARY KEY);
INSERT INTO unit VALUES ('bar'), ('V');
CREATE TABLE sensor (name text, "time" timestamptz, value float8, unit text REFERENCES unit) USING tag
    WITH (historian.seal_interval = '2h', historian.compact = off, autovacuum_enabled = off);
INSERT INTO sensor SELECT 'pump' || i % 7, timestamptz '2026-01-01' + i * interval '1 s', i / 3.0, 'bar'
    FROM generate_series(1, 9000) i;
INSERT INTO sensor SELECT * FROM sensor WHERE name = 'pump1' LIMIT 10;
CALL compact('sensor');
INSERT INTO sensor VALUES ('odd', 'infinity', 'NaN', 'V'),
    ('odd', '-infinity', '-Infinity', NULL), (NULL, now(), 1, NULL), ('odd', NULL, '1e300', NULL);
CREATE TABLE "Machine" ("at what" timestamp DEFAULT '2026-01-01', id int GENERATED ALWAYS AS IDENTITY, gone int,
    body text NOT NULL DEFAULT 'x', alarms text[], details jsonb CHECK (details IS NULL OR jsonb_typeof(details) = 'object'),
    upper_body text GENERATED ALWAYS AS (upper(body)) STORED) USING tag WITH (historian.compact = off);
INSERT INTO "Machine" (gone, body, alarms, details)
    SELECT i, CASE i % 100 WHEN 0 THEN repeat('long ' || i, 3000) ELSE 'b' || i END, ARRAY['a', NULL, i::text],
        jsonb_build_object('i', i) FROM generate_series(1, 500) i;
COMMENT ON COLUMN "Machine".body IS 'a body';
CREATE TABLE month (name text, "time" timestamptz, value int) PARTITION BY RANGE ("time");
CREATE TABLE month_1 PARTITION OF month FOR VALUES FROM ('2026-01-01') TO ('2026-02-01') USING tag
    WITH (historian.seal_interval = 7);
CREATE TABLE month_rest PARTITION OF month DEFAULT USING heap;
INSERT INTO month SELECT 'm', timestamptz '2026-01-20' + i * interval '1 hour', i FROM generate_series(1, 500) i;
CREATE UNLOGGED TABLE quick (name text, "time" timestamptz) USING tag;
INSERT INTO quick VALUES ('q', '2026-01-01');
CREATE MATERIALIZED VIEW hourly USING tag WITH (historian.compact = off) AS
    SELECT name, date_trunc('hour', "time") AS hour, count(*) AS points
    FROM sensor WHERE "time" < '2027-01-01' GROUP BY 1, 2;
CREATE STATISTICS sensor_statistics ON name, unit FROM sensor;
CREATE FUNCTION ignore() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER ignored BEFORE INSERT ON sensor FOR EACH ROW EXECUTE FUNCTION ignore();
CREATE POLICY everybody ON sensor USING (true);
SET client_min_messages = error;
CREATE PUBLICATION emptying FOR TABLE sensor WITH (publish = 'truncate');
ALTER TABLE "Machine" DROP COLUMN gone;
SQL

# All rows, access methods and options.
sub rows
{
    my ($server, $database) = @_;
    return $server->safe_psql($database, <<'SQL');
SET extra_float_digits = 3;
SELECT format('SELECT %L, count(*), md5(string_agg(r::text, chr(10) ORDER BY r::text COLLATE "C")) FROM %I.%I AS r',
              relname, nspname, relname)
FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'm') AND nspname = 'public' ORDER BY relname \gexec
SQL
}

sub options
{
    my ($server, $database) = @_;
    return $server->safe_psql($database,
        "SELECT objoid::regclass, label FROM pg_seclabels WHERE provider = 'historian' ORDER BY objoid::regclass::text");
}

sub methods
{
    my ($server, $database) = @_;
    return $server->safe_psql($database, "SELECT relname, amname FROM pg_class c JOIN pg_am a ON a.oid = relam "
            . "WHERE relnamespace = 'public'::regnamespace AND amtype = 't' ORDER BY relname");
}

my ($rows, $options, $methods) = (rows($node, 'source'), options($node, 'source'), methods($node, 'source'));
like($options, qr/^sensor\|seal_interval=7200s; compact=off$/m, 'the options are there');

sub dump_to
{
    my ($file, @how) = @_;
    command_ok(['pg_dump', @how, '-f', "$folder/$file", '-d', $node->connstr('source')], "pg_dump @how");
}

# Into a new database, by psql or pg_restore; the first error ends it.
sub restore_from
{
    my ($file, $database, @how) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database") unless grep { $_ eq '--data-only' } @how;
    my $to = $node->connstr($database);
    my @command = $file =~ /sql$/ ? ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$folder/$file", '-d', $to)
        : ('pg_restore', '--exit-on-error', @how, '-d', $to, "$folder/$file");
    command_ok(\@command, "restore of $file @how");
}

sub is_restored
{
    my ($database) = @_;
    is(rows($node, $database), $rows, "$database: the same rows");
    is(options($node, $database), $options, "$database: the same options");
    is(methods($node, $database), $methods, "$database: the same access methods");
    is($node->safe_psql($database, <<'SQL'), "c|1\nf|1", "$database: the same constraints");
SELECT contype, count(*) FROM pg_constraint WHERE conrelid IN ('sensor'::regclass, '"Machine"'::regclass) AND contype <> 'n'
    GROUP BY 1 ORDER BY 1
SQL
    $node->safe_psql($database,
        "SELECT historian_check(oid::regclass) FROM pg_class WHERE relam = (SELECT oid FROM pg_am WHERE amname = 'tag')");
}

dump_to('plain.sql');
restore_from('plain.sql', 'plain');
is_restored('plain');

dump_to('custom.dump', '-Fc');
restore_from('custom.dump', 'custom');
is_restored('custom');

dump_to('directory', '-Fd', '-j2');
restore_from('directory', 'directory', '-j2');
is_restored('directory');

dump_to('schema.dump', '-Fc', '--schema-only');
restore_from('schema.dump', 'parts_of_dump');
is(options($node, 'parts_of_dump'), $options, 'schema only: the same options');
is($node->safe_psql('parts_of_dump', 'SELECT count(*) FROM sensor'), 0, 'schema only: no rows');
dump_to('data.dump', '-Fc', '--data-only');
restore_from('data.dump', 'parts_of_dump', '--data-only', '--disable-triggers');
$node->safe_psql('parts_of_dump', 'REFRESH MATERIALIZED VIEW hourly');    # PostgreSQL counts it as neither
is_restored('parts_of_dump');

dump_to('inserts.sql', '--rows-per-insert=300');
restore_from('inserts.sql', 'inserts');
is_restored('inserts');

# On a server that has no tag tables, or when moving away: heap tables. The options wait for a return.
restore_from('custom.dump', 'heaps', '--no-table-access-method');
is(rows($node, 'heaps'), $rows, '--no-table-access-method: the same rows');
unlike(methods($node, 'heaps'), qr/\btag$/m, '--no-table-access-method: heap tables');
$node->safe_psql('heaps', 'ALTER TABLE sensor SET ACCESS METHOD tag');
is($node->safe_psql('heaps', "SELECT string_agg(name || '=' || value, ' ') FROM historian_options('sensor')"),
    'seal_interval=7200s compact=off', '... and a table that comes back has its options');

# pg_upgrade moves the files as they are. From a version to the same one is the strictest test that a single server allows.
$node->safe_psql('postgres', "DROP DATABASE $_") for qw(plain custom directory parts_of_dump inserts heaps);
$node->safe_psql('source', 'INSERT INTO sensor SELECT * FROM sensor WHERE name = \'pump2\'');
$rows = rows($node, 'source');
$node->stop;
my $new = PostgreSQL::Test::Cluster->new('upgraded');
$new->init;
$new->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'\nfsync = off\n");
my ($bindir) = PostgreSQL::Test::Utils::run_command(['pg_config', '--bindir']);
chdir $folder or die "chdir: $!";
command_ok(
    ['pg_upgrade', '--no-sync', '--retain', '-d', $node->data_dir, '-D', $new->data_dir, '-b', $bindir, '-B', $bindir,
        '-s', $new->host, '-p', $node->port, '-P', $new->port],
    'pg_upgrade');
my ($log) = glob $new->data_dir . '/pg_upgrade_output.d/*/log/pg_upgrade_server.log';
my $servers = slurp_file($log);
like($servers, qr/registered custom resource manager "historian"/, 'pg_upgrade started servers with the library');
unlike($servers, qr/historian launcher/, '... and without our workers, which would write behind its back');
$new->start;
# Unlogged tables lose nothing either: their files are copied after a clean shutdown.
is(rows($new, 'source'), $rows, 'pg_upgrade: the same rows');
is(options($new, 'source'), $options, 'pg_upgrade: the same options');
$new->safe_psql('source', "INSERT INTO sensor SELECT * FROM sensor LIMIT 100; TRUNCATE quick");
$new->safe_psql('source', "CALL compact('sensor')");
$new->safe_psql('source', 'VACUUM (FREEZE) sensor');
like($new->safe_psql('source', "SELECT historian_check('sensor')"), qr/ rows/, 'pg_upgrade: the table goes on');
$new->stop;
done_testing();
