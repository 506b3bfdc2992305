# What the server says of its MQTT ingestion is true: counters across kills, gaps of the session, lag. Dead letters are kept with
# all that is needed to store them later, and mqtt_replay does so, with the owner's rights and no others.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Broker qw(query refused wait_for);
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

Broker::require_or_skip();

my $broker = Broker->new->start;
my $url = $broker->url;
my $node = Broker::start_server('truth', "restart_after_crash = on\n");
my $am = Broker::access_method($node);

sub worker_pid {
    my ($name) = @_;
    for (1 .. 400) {
        my $pid = query("SELECT pid FROM mqtt_status WHERE name = '$name' AND state = 'receiving'");
        return $pid if $pid;
        usleep(50_000);
    }
    die "subscription $name has no worker";
}
# Who is killed by SIGKILL takes the server through crash recovery.
sub kill_worker {
    my ($name) = @_;
    my $restarts = () = slurp_file($node->logfile) =~ /all server processes terminated; reinitializing/g;
    kill 'KILL', worker_pid($name);
    for (1 .. 400) {
        my $now = () = slurp_file($node->logfile) =~ /all server processes terminated; reinitializing/g;
        last if $now > $restarts;
        usleep(50_000);
    }
    $node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
}

query(<<END);
CREATE ROLE feeder LOGIN;
CREATE ROLE stranger LOGIN;
GRANT EXECUTE ON FUNCTION mqtt_subscribe TO feeder;
GRANT CREATE ON SCHEMA public TO feeder;
SET ROLE feeder;
SELECT mqtt_subscribe('plant', broker => '$url', topic => 'db/append/#');
END
Broker::wait_receiving($node, 'plant');

# --- dead letters are kept with what storing them needs
my @csv = ('-V', 'mqttv5', '-D', 'PUBLISH', 'user-property', 'format', 'csv', '-D', 'PUBLISH', 'user-property', 'note', 'a',
    '-D', 'PUBLISH', 'user-property', 'note', 'b');
$broker->publish('db/append/later', 'csv,1700000000000000000,1.5', @csv);
$broker->publish('db/append/later', '["json", 1700000000000000000, 2.5]');
$broker->publish('db/append/later', '["bad", 1700000000000000000, "x"]');
$broker->publish('db/append/later', '[["one", 1, 1], ["two", 2, "y"], ["three", 3, 3]]');
wait_for('SELECT dead_letters = 4 FROM mqtt_status', 'messages for a table that does not exist are dead letters');
is(query('SELECT properties FROM mqtt_dead_letter ORDER BY id LIMIT 1'), '{"note": ["a", "b"], "format": "csv"}',
    'with the properties of the message');
is(query("SELECT DISTINCT attempts, sqlstate FROM mqtt_dead_letter"), '1|42P01', 'tried once');

# --- a replay that cannot succeed changes the letters and nothing else
is(query("SELECT * FROM mqtt_replay('plant')"), '0|4|0', 'without the table all of them fail again');
is(query('SELECT DISTINCT attempts, last_attempt > received_at FROM mqtt_dead_letter'), '2|t', 'the attempt is counted');
refused("SET ROLE stranger; SELECT mqtt_replay('plant')", qr/ERROR:  42501: must be owner of MQTT subscription "plant"/,
    'only who has the rights of the owner replays');
refused("SELECT mqtt_replay('nobody')", qr/ERROR:  42704: MQTT subscription "nobody" does not exist/, 'of a subscription');
refused("SELECT mqtt_replay(NULL)", qr/ERROR:  22004: name must not be null/, 'that is named');

# --- after the fix: as the owner, whoever calls, and within the caller's transaction
query(<<END);
SET ROLE feeder;
CREATE TABLE later (name text, time timestamptz, value float8) USING heap;
CREATE TABLE witness (who text, session text);
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
    INSERT INTO public.witness VALUES (current_user, session_user);
    PERFORM set_config('search_path', 'evil', false), set_config('work_mem', '64kB', false);
    RETURN NULL;
END \$\$;
CREATE CONSTRAINT TRIGGER watch AFTER INSERT ON later DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION watch();
END
query("BEGIN; SELECT mqtt_replay('plant'); ROLLBACK");
is(query('SELECT (SELECT count(*) FROM later), (SELECT count(*) FROM mqtt_dead_letter)'), '0|4', 'a replay rolls back');
my $me = query('SELECT session_user');
is(query("SELECT * FROM mqtt_replay('plant'); SHOW search_path; SHOW work_mem"), "3|2|0\n\"\$user\", public\n4MB",
    'what can be stored is, and the session stays as it was');
is(query("SET timezone = 'UTC'; SELECT name, time, value FROM later ORDER BY name"), <<'END' =~ s/\n\z//r, 'read as published');
csv|2023-11-14 22:13:20+00|1.5
json|2023-11-14 22:13:20+00|2.5
one|1970-01-01 00:00:00+00|1
three|1970-01-01 00:00:00+00|3
END
is(query('SELECT DISTINCT who, session FROM witness'), "feeder|$me", 'triggers ran as the owner, the deferred ones too');
is(query("SELECT convert_from(payload, 'UTF8'), attempts, sqlstate FROM mqtt_dead_letter ORDER BY id"), <<'END' =~ s/\n\z//r,
["bad", 1700000000000000000, "x"]|3|22P02
["two",2,"y"]|1|22P02
END
    'what fails stays with the new error, and of a message the bad row');
is(query('SELECT messages, rows, rejected, dead_letters FROM mqtt_status'), '4|4|4|2', 'and the status says so');
my $bad = query("SELECT min(id) FROM mqtt_dead_letter");
query('SET ROLE feeder; ALTER TABLE later ALTER value TYPE text');
is(query("SELECT * FROM mqtt_replay('plant', ARRAY[$bad, 0])"), '1|0|0', 'some of them, by their ids');
is(query("SET ROLE feeder; SELECT * FROM mqtt_replay('plant')"), '1|0|0', 'the owner may, of course');
is(query("SELECT string_agg(name || value, ',' ORDER BY name) FROM later WHERE value IN ('x', 'y')"), 'badx,twoy',
    'and they are stored');

# --- constraints that are deferred are checked, and neighbours live
query(<<'END');
SET ROLE feeder;
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent VALUES (1);
END
$broker->publish('db/append/child', "[$_]") for 1, 9, 1;
wait_for('SELECT dead_letters = 3 FROM mqtt_status', 'three letters');
query('SET ROLE feeder; CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)');
is(query("SELECT * FROM mqtt_replay('plant')"), '2|1|0', 'a row without a parent fails alone');
is(query('SELECT sqlstate FROM mqtt_dead_letter'), '23503', 'for its own reason');
is(query("INSERT INTO parent VALUES (9); SELECT * FROM mqtt_replay('plant')"), '1|0|0', 'until it has one');

# --- a payload of which the beginning is kept cannot be replayed
query("ALTER SYSTEM SET historian.mqtt_payload_max = '1kB'");
query('SELECT pg_reload_conf()');
query('SELECT mqtt_disable(\'plant\')');
wait_for("SELECT state = 'stopped' FROM mqtt_status", 'disabled');
query('SELECT mqtt_enable(\'plant\')');
Broker::wait_receiving($node, 'plant');
$broker->publish('db/append/child', '[1' . (' ' x 2000) . ']');
wait_for('SELECT dead_letters = 1 FROM mqtt_status', 'too large');
query("ALTER SYSTEM RESET historian.mqtt_payload_max; SELECT mqtt_disable('plant')");
query('SELECT pg_reload_conf()');
my ($code, $out, $err) = $node->psql('postgres', "SELECT * FROM mqtt_replay('plant')");
is($out, '0|0|1', 'it is counted, also while the subscription is disabled');
like($err, qr/NOTICE:  1 dead letters of MQTT subscription "plant" hold only the beginning/, 'and said');
query("DELETE FROM mqtt_dead_letter; SELECT mqtt_enable('plant')");

# --- many letters, little memory, each once though two replay at once
query(<<'END');
INSERT INTO historian.mqtt_dead_letter (subscription, owner, topic, payload, payload_bytes, qos, retained, error, sqlstate)
SELECT 'plant', 'feeder', 'db/append/child', convert_to(p, 'UTF8'), length(p), 1, false, 'made', '00000'
FROM (SELECT CASE WHEN i % 1000 = 0 THEN '[8' ELSE '[1' END || repeat(' ', 3000) || ']' AS p
    FROM generate_series(1, 50000) AS i) AS q;
TRUNCATE child;
END
my $rival = $node->background_psql('postgres');
$rival->query_safe("BEGIN; SELECT mqtt_replay('plant', array(SELECT id FROM mqtt_dead_letter ORDER BY id LIMIT 500))");
my $session = $node->background_psql('postgres');
my $pid = $session->query_safe('SELECT pg_backend_pid()');
$session->query_until(qr/begun/, "\\echo begun\nSELECT * FROM mqtt_replay('plant');\n");
wait_for("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid", 'a second replay waits for the first');
$rival->query_safe('COMMIT');
$rival->quit;
$session->query_safe('SELECT true');
SKIP: {
    skip 'no /proc here', 1 unless -r "/proc/$pid/status";
    my ($peak_kb) = slurp_file("/proc/$pid/status") =~ /VmHWM:\s+(\d+) kB/;
    cmp_ok($peak_kb, '<', 300_000, "50,000 letters of 3 kB in $peak_kb kB");
}
$session->quit;
is(query("SELECT (SELECT count(*) FROM child), count(*), min(attempts) FROM mqtt_dead_letter"), '49950|50|2',
    'each is stored once, and the bad ones stay');
query('DELETE FROM mqtt_dead_letter; TRUNCATE child');

# --- counters are those of the transactions that stored, whatever dies
query("CREATE TABLE points (name text, time timestamptz, value float8) USING $am");
query("SELECT mqtt_subscribe('counted', broker => '$url', topic => 'counted', target => 'points')");
Broker::wait_receiving($node, 'counted');
query('ALTER SYSTEM SET historian.debug_mqtt_ack_delay_ms = 5000');
query('SELECT pg_reload_conf()');
$broker->publish_many(map { ['counted', "[\"p\", $_, $_]"] } 1 .. 50);
wait_for('SELECT count(*) = 50 FROM points', 'fifty messages are stored and not acknowledged');
query('ALTER SYSTEM RESET historian.debug_mqtt_ack_delay_ms');
kill_worker('counted');
Broker::wait_receiving($node, 'counted');
$broker->publish('counted', '["last", 51, 51]');
wait_for("SELECT count(*) = 1 FROM points WHERE name = 'last'", 'and more after the kill');
my $stored = query('SELECT count(*) FROM points');
cmp_ok($stored, '>', 51, 'some came twice');
is(query("SELECT messages, rows, redelivered, rejected FROM mqtt_status WHERE name = 'counted'"),
    "$stored|$stored|" . ($stored - 51) . '|0', "just as the status says: $stored messages, the rest redelivered");
is(query("SELECT bytes = (SELECT sum(length(format('[\"%s\", %s, %s]', p.name, p.value, p.value))) FROM points p) "
            . "FROM mqtt_status WHERE name = 'counted'"), 't', 'in so many bytes');
query('ALTER SYSTEM SET historian.debug_mqtt_delay_ms = 1000');
query('SELECT pg_reload_conf()');
$broker->publish_many(map { ['counted', "[\"q\", $_, $_]"] } 1 .. 50);
usleep(500_000);
kill_worker('counted');
query('ALTER SYSTEM RESET historian.debug_mqtt_delay_ms');
query('SELECT pg_reload_conf()');
wait_for("SELECT count(DISTINCT value) = 50 FROM points WHERE name = 'q'", 'fifty that were received and not stored come again');
is(query("SELECT messages - (SELECT count(*) FROM points), rows - (SELECT count(*) FROM points), connects >= 3, batches > 0 "
            . "FROM mqtt_status WHERE name = 'counted'"), '0|0|t|t', 'no message is counted that is not stored');
is(query("SELECT redelivered >= (SELECT count(*) - count(DISTINCT (p.name, value)) FROM points p) "
            . "FROM mqtt_status WHERE name = 'counted'"), 't', 'and each that is there twice was redelivered');

# --- lag
query("CREATE TABLE lagging (name text, time timestamptz, value float8) USING $am");
query("SELECT mqtt_subscribe('lagging', broker => '$url', topic => 'lagging', target => 'lagging', qos => 0)");
Broker::wait_receiving($node, 'lagging');
is(query("SELECT lag IS NULL, gaps FROM mqtt_status WHERE name = 'lagging'"), 't|0', 'no point, no lag');
$broker->publish('lagging', '["old", "' . query("SELECT now() - interval '10 minutes'") . '", 1]');
wait_for("SELECT lag BETWEEN '10 minutes' AND '11 minutes' FROM mqtt_status WHERE name = 'lagging'",
    'the age of the newest point');
$broker->publish('lagging', '["fast", "2200-01-01", 1]');
wait_for("SELECT lag < '1 minute' FROM mqtt_status WHERE name = 'lagging'", 'a clock that is fast counts as now');
usleep(1_100_000);
is(query("SELECT lag > '1 second' FROM mqtt_status WHERE name = 'lagging'"), 't', 'and does not stop the count');

# --- gaps: the broker forgets us, or another client takes our place
is(query('SELECT count(*) FROM mqtt_gap'), 0, 'no gap so far');
my $before = query('SELECT now()');
$broker->stop;
wait_for("SELECT bool_and(state <> 'receiving') FROM mqtt_status", 'the broker is away');
$broker->start;
Broker::wait_receiving($node, $_) for 'plant', 'counted', 'lagging';
is(query('SELECT subscription, kind, times FROM mqtt_gap'), 'lagging|not_connected|1',
    'a session that is kept leaves no gap, but at quality of service 0');
$broker->stop;
unlink glob "$broker->{folder}/mosquitto.db";
$broker->start;
Broker::wait_receiving($node, $_) for 'plant', 'counted', 'lagging';
is(query("SELECT subscription, since > '$before', until > since, until <= now() "
            . "FROM mqtt_gap WHERE kind = 'session_lost' ORDER BY 1"),
    "counted|t|t|t\nlagging|t|t|t\nplant|t|t|t", 'a lost session is a gap');
is(query("SELECT gaps, sessions_lost FROM mqtt_status WHERE name = 'plant'"), '1|1', 'counted');
# A broker made of a few lines says what mosquitto does not: another client took the session, and how long sessions are kept.
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5,
    LocalPort => PostgreSQL::Test::Cluster::get_free_port())
    or die $!;
sub read_packet {
    my ($client) = @_;
    my ($head, $body) = ('', '');
    sysread($client, $head, 2) == 2 or die 'the worker hung up';    # the length of what it sends here fits into a byte
    my $length = ord substr $head, 1;
    sysread($client, $body, $length - length $body, length $body) or die 'the worker hung up' while length $body < $length;
    return $body;
}
# Accepts the worker without a session, which would be kept for a second, and its subscription.
sub accept_worker {
    my $client = $listener->accept;
    read_packet($client);
    syswrite $client, "\x20\x08\x00\x00\x05\x11\x00\x00\x00\x01";
    syswrite $client, "\x90\x04" . substr(read_packet($client), 0, 2) . "\x00\x01";
    return $client;
}
my $strange_url = 'mqtt://127.0.0.1:' . $listener->sockport;
query("SELECT mqtt_subscribe('strange', broker => '$strange_url', topic => 'x', target => 'points')");
my $client = accept_worker();
wait_for("SELECT state = 'receiving' FROM mqtt_status WHERE name = 'strange'", 'a subscription at a strange broker');
syswrite $client, "\xe0\x02\x8e\x00";
close $client;
wait_for("SELECT kind = 'session_taken_over' FROM mqtt_gap WHERE subscription = 'strange'", 'a client with our id is noticed');
usleep(2_100_000);
$client = accept_worker();
wait_for("SELECT detail ~ '^away for [2-9] s, and mqtt://127.0.0.1:\\d+ keeps sessions for 1 s\$' "
        . "FROM mqtt_gap WHERE subscription = 'strange' AND kind = 'session_expired'",
    'and a session that had to expire');
query("SELECT mqtt_unsubscribe('strange')");
close $client;
close $listener;

# --- whose they are, and how many
is(query('SET ROLE stranger; SELECT count(*) + (SELECT count(*) FROM mqtt_status) + (SELECT count(*) FROM mqtt_dead_letter) '
            . 'FROM mqtt_gap'), '0', 'another role sees nothing');
is(query('SET ROLE feeder; SELECT string_agg(DISTINCT subscription, \',\') FROM mqtt_gap'), 'plant', 'the owner sees its own');
refused("SET ROLE feeder; SELECT * FROM historian.mqtt_$_", qr/ERROR:  42501/, "not historian.mqtt_$_ itself")
    for 'gap', 'progress';
query(<<'END');
INSERT INTO historian.mqtt_gap (subscription, owner, kind, detail, until)
SELECT 'lagging', owner, 'session_lost', 'made', now()
FROM historian.mqtt_gap, generate_series(1, 1200) WHERE kind = 'not_connected';
END
$broker->restart;
wait_for("SELECT count(*) = 1000 FROM mqtt_gap WHERE subscription = 'lagging'", 'a thousand gaps are kept');
is(query("SELECT kind FROM historian.mqtt_gap WHERE subscription = 'lagging' ORDER BY id DESC LIMIT 1"), 'not_connected',
    'the newest');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok(['pg_dump', '-f', $dump, '-d', $node->connstr('postgres')], 'pg_dump');
like(slurp_file($dump), qr/^COPY historian\.mqtt_gap .*\n(?:.*\n)*?\d+\tplant\tfeeder\t/m, 'gaps are dumped');
unlike(slurp_file($dump), qr/^COPY historian\.mqtt_progress/m, 'counters are not');

# --- all of it is there after a restart, and goes with the subscription
my $figures = query('SELECT name, messages, rows, rejected, redelivered, gaps, sessions_lost FROM mqtt_status ORDER BY name');
$node->restart;
Broker::wait_receiving($node, $_) for 'plant', 'counted', 'lagging';
is(query("SELECT name, messages, rows, rejected, redelivered, gaps - (name = 'lagging')::int, sessions_lost "
            . "FROM mqtt_status ORDER BY name"), $figures, 'a restart of the server forgets no count');
query("SELECT mqtt_unsubscribe('counted')");
is(query('SELECT count(*) FROM historian.mqtt_progress'), query('SELECT count(*) + 1 FROM mqtt_status'),
    'a subscription takes its counters along; one has replayed');
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|by signal (?!9)/, 'nothing crashed but what was killed');
done_testing();
