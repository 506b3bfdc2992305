# Retention policies: the maintenance worker runs them in time, as the owner; what goes wrong with one table stops no other; they
# are dumped and restored; space comes back.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('retention');
$node->init;
$node->append_conf('postgresql.conf', <<'SETTINGS');
shared_preload_libraries = 'historian'
historian.maintenance_interval = 50ms
historian.retention_interval = 1s
historian.retention_warn_delay = 3s
historian.seal_interval = 1s
fsync = off
SETTINGS
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE plant');

sub sql { return $node->safe_psql('plant', $_[0]) }
sub wait_for
{
    my ($sql, $name) = @_;
    my $end = time + 60;
    while (time < $end)
    {
        if (sql("SELECT coalesce(($sql), false)") eq 't') { pass($name); return 1 }
        select undef, undef, undef, 0.1;
    }
    fail($name);
    diag sql('TABLE retention_policies');
    return 0;
}

sql(<<'SQL');
CREATE EXTENSION historian;
CREATE ROLE operator;
CREATE SCHEMA hall AUTHORIZATION operator;
SET ROLE operator;
CREATE TABLE hall.devices (id int, msg text) USING log;
CREATE TABLE hall.sensor (name text, time timestamptz, v int) USING tag;
CREATE TABLE hall.broken (id int) USING log;
CREATE TABLE hall.plain (id int) USING log;
INSERT INTO hall.devices (id, _arrival_time) SELECT i, now() - i * interval '1 min' FROM generate_series(1, 900) AS i;
INSERT INTO hall.sensor SELECT 'a', now() - i * interval '1 min', i FROM generate_series(1, 900) AS i;
INSERT INTO hall.broken SELECT generate_series(1, 50);
INSERT INTO hall.plain SELECT generate_series(1, 50);
SQL

# --- every policy, without anybody's doing
sql(q{SET ROLE operator;
    SELECT set_retention('hall.devices', rows => 500), set_retention('hall.sensor', keep => '10 hours')});
wait_for('SELECT count(*) = 500 AND max(id) = 500 FROM hall.devices', 'rows beyond a number go');
wait_for(q{SELECT bool_and(time > now() - interval '601 minutes') FROM hall.sensor}, 'and those older than an age');
wait_for(q{SELECT total_rows_deleted = 400 AND last_error IS NULL FROM retention_policies
    WHERE relation = 'hall.devices'::regclass},
    'the view counts them');
my $first = sql(q{SELECT last_run FROM retention_policies WHERE relation = 'hall.devices'::regclass});
sql('INSERT INTO hall.devices SELECT generate_series(1001, 1100)');
wait_for('SELECT count(*) = 500 AND max(id) = 1100 FROM hall.devices', 'what comes later counts at the next run');
is(sql(qq{SELECT last_run > '$first' FROM retention_policies WHERE relation = 'hall.devices'::regclass}), 't', 'which is later');

# --- one that fails
sql(<<'SQL');
SET ROLE operator;
CREATE FUNCTION hall.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today, says %', current_user; END $$;
CREATE TRIGGER refuse BEFORE DELETE ON hall.broken FOR EACH ROW EXECUTE FUNCTION hall.refuse();
SELECT set_retention('hall.broken', rows => 10), set_retention('hall.plain', rows => 10);
SQL
wait_for(q{SELECT last_error = 'not today, says operator' FROM retention_policies WHERE relation = 'hall.broken'::regclass},
    'an error is kept, of a trigger that ran as the owner');
like(slurp_file($node->logfile), qr/could not run the retention policy of table "broken": not today/, 'and logged');
wait_for('SELECT count(*) = 10 FROM hall.plain', 'and the policy of another table runs');
is(sql('SELECT count(*) FROM hall.broken'), 50, 'the failed one deleted nothing');
sql('DROP TRIGGER refuse ON hall.broken');
wait_for(q{SELECT count(*) = 10 FROM hall.broken}, 'it is tried again');
wait_for(q{SELECT last_error IS NULL FROM retention_policies WHERE relation = 'hall.broken'::regclass},
    'and the error is over');

# --- neither an open transaction that deletes nor DDL stops the worker
my $session = $node->background_psql('plant');
$session->query_safe('BEGIN; DELETE FROM hall.plain WHERE id IN (SELECT id FROM hall.plain ORDER BY id LIMIT 1)');
sql('INSERT INTO hall.plain SELECT generate_series(51, 60); INSERT INTO hall.broken SELECT generate_series(51, 60)');
wait_for(q{SELECT last_error ~ 'lock timeout' FROM retention_policies WHERE relation = 'hall.plain'::regclass},
    'it waits for a moment');
wait_for('SELECT max(id) = 60 AND count(*) = 10 FROM hall.broken', 'and goes on elsewhere');
$session->query_safe('COMMIT');
wait_for('SELECT min(id) = 51 AND count(*) = 10 FROM hall.plain', 'until the other one is done');
$session->query_safe('BEGIN; LOCK TABLE hall.plain IN ACCESS EXCLUSIVE MODE');
sql('INSERT INTO hall.broken SELECT generate_series(61, 70)');
wait_for('SELECT max(id) = 70 AND count(*) = 10 FROM hall.broken', 'a table under DDL is left alone');
$session->query_safe('COMMIT');
$session->quit;

# --- a large deletion is told before
sql('CREATE TABLE large (id int, body text) USING log');
sub fill_large
{
    my ($first, $count) = @_;
    sql(qq{INSERT INTO large SELECT i, (SELECT string_agg(md5(i::text || k), '') FROM generate_series(1, 10) AS k)
        FROM generate_series($first, $first + $count - 1) AS i});
}
fill_large(1, 40000);
sql(q{CALL compact('large')});
my $log = -s $node->logfile;
sql(q{SELECT set_retention('large', size => '1 MB', shrink => true)});
wait_for(q{SELECT warning ~ '^is about to delete [0-9]+ of 40000 rows$' AND next_run > now() FROM retention_policies
    WHERE relation = 'large'::regclass}, 'the view warns');
is(sql('SELECT count(*) FROM large'), 40000, 'nothing is deleted yet');
like(slurp_file($node->logfile, $log), qr/WARNING: .* policy of table "large" is about to delete/, 'the log warns');
my $before = sql(q{SELECT pg_relation_size('large')});
wait_for('SELECT count(*) < 40000 FROM large', 'then it is');
wait_for(q{SELECT warning IS NULL AND last_error IS NULL FROM retention_policies WHERE relation = 'large'::regclass},
    'as told');
is(sql('SELECT max(id) - min(id) + 1 = count(*) AND max(id) = 40000 FROM large'), 't', 'exactly the oldest');
wait_for(q{SELECT pg_relation_size('large') < 1500000}, 'and the file shrinks')
    or diag sql(q{SELECT * FROM historian_size('large')});
cmp_ok($before, '>', 3_000_000, 'which was large');
# Fed on, the table stays within its size.
for my $round (1 .. 5)
{
    fill_large($round * 100000, 1000);
    sleep 1;
}
wait_for(q{SELECT segment_bytes + tail_bytes <= 1048576 FROM historian_size('large')}, 'fed on, it stays within its size');
is(sql('SELECT max(id) FROM large'), 500999, 'and has the newest');
like(sql(q{SELECT historian_check('large')}), qr/segments/, 'whole');

# --- dump and restore, rename and drop
sql(q{SELECT set_retention('hall.devices', keep => '1 day', rows => 300, size => '5 GB', every => '1 hour', shrink => true)});
sql('ALTER TABLE hall.devices RENAME TO machines');
my $folder = PostgreSQL::Test::Utils::tempdir;
$node->command_ok(['pg_dump', '-Fc', '-f', "$folder/dump", $node->connstr('plant')], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok(['pg_restore', '--exit-on-error', '-d', $node->connstr('copy'), "$folder/dump"], 'pg_restore');
my $policies = 'SELECT relation, keep, rows, size, every, shrink FROM retention_policies ORDER BY relation::text';
is($node->safe_psql('copy', $policies), sql($policies), 'policies are dumped and restored');
ok($node->poll_query_until('copy', q{SELECT last_run IS NOT NULL FROM retention_policies
    WHERE relation = 'hall.machines'::regclass}), 'and run there');
sql('DROP SCHEMA hall CASCADE');
is(sql('SELECT string_agg(relation::text, $$,$$) FROM historian.retention'), 'large', 'policies go with their tables');
$node->command_ok(['pg_dump', '-Fc', '-f', "$folder/dump", $node->connstr('plant')], 'pg_dump without them');
sql(q{SELECT drop_retention('large')});
is(sql('SELECT count(*) FROM retention_policies'), 0, 'drop_retention');

# --- a restart, and a clock that is set back
sql(q{SELECT set_retention('large', rows => 100)});
wait_for(q{SELECT count(*) = 100 FROM large}, 'a policy in place of another');
$node->restart;
sql('INSERT INTO large SELECT generate_series(1, 10)');
wait_for(q{SELECT count(*) = 100 FROM large}, 'policies outlive a restart');
sql(q{UPDATE historian.retention_run SET last_run = now() + interval '1 year'; INSERT INTO large SELECT generate_series(1, 10)});
wait_for(q{SELECT count(*) = 100 AND bool_and(p.last_run <= now()) FROM large, retention_policies AS p},
    'a run of the future is none');
$node->stop;
done_testing();
