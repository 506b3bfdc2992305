# Subscriptions as data, and their connections: TLS, fail-over, several workers, changes while messages flow, names that do not
# resolve, owners that go, secrets that stay secret.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Broker qw(query refused wait_for);
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

Broker::require_or_skip();
plan skip_all => 'openssl is needed' unless Broker::find_program('openssl');

my $broker = Broker->new->start;
my $url = $broker->url;
my $node = Broker::start_server('connection', "historian.mqtt_batch_ms = 50\nlog_statement = none\n");
my $folder = PostgreSQL::Test::Utils::tempdir();

sub wait_error {
    my ($name, $pattern, $test) = @_;
    wait_for("SELECT bool_or(last_error ~ '$pattern') FROM mqtt_status WHERE name = '$name'", $test);
}
# What psql says of a statement, notices and errors.
sub said {
    my ($sql, $database) = @_;
    my ($code, $out, $err) = $node->psql($database // 'postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
    return $err;
}
sub quickly {
    my ($seconds, $name, $action) = @_;
    my $begin = time;
    $action->();
    my $took = time - $begin;
    cmp_ok($took, '<', $seconds, sprintf('%s, in %.1f s', $name, $took));
}

query("CREATE TABLE sensor (name text, time timestamptz, value float8); CREATE TABLE numbers (n int)");

# --- options
my $s = "SELECT mqtt_subscribe('x', topic => '#', broker =>";
for my $each (
    ["'$url,mqtts://h')", qr/22023: invalid broker URL.*some of its brokers use TLS and some do not/s, 'brokers half with TLS'],
    ["'$url', cafile => '/x')", qr/22023: cafile needs a broker URL that begins with mqtts/, 'cafile without TLS'],
    ["'$url', insecure => true)", qr/22023: insecure needs a broker URL/, 'insecure without TLS'],
    ["'mqtts://h', keyfile => '/x')", qr/22023: keyfile needs certfile/, 'a key without a certificate'],
    ["'mqtts://h', cafile => 'x')", qr/22023: cafile is not an absolute path/, 'a file somewhere'],
    ["'$url', workers => 0)", qr/22023: workers of an MQTT subscription must be from 1 to 32/, 'no workers'],
    ["'$url', workers => 2, protocol => 3)", qr/22023: several workers need MQTT 5/, 'several workers of 3.1.1'],
    ["'$url', protocol => 4)", qr/22023: protocol 4 is not 5 or 3/, 'protocol'],
    ["'$url', keepalive => 4)", qr/22023: keepalive of an MQTT subscription must be from 5 to 65535/, 'keepalive'],
    ["'$url', client_id => 'a b')", qr/22023: invalid client_id/, 'client id'],
    ["'$url', qos => 3)", qr/22023: quality of service 3 is not 0, 1 or 2/, 'qos'],
) {
    refused("$s $each->[0]", qr/ERROR:  $each->[1]/, "refused: $each->[2]");
}
refused("SELECT mqtt_subscribe('x', broker => '$url', topic => '\$share/g/t', workers => 2)",
    qr/ERROR:  22023: invalid topic filter/, 'refused: a shared topic with several workers');
query("ALTER SYSTEM SET historian.mqtt_batch_ms = '2s'; SELECT pg_reload_conf()");
refused("SELECT pg_sleep(0.3); $s '$url', keepalive => 5)", qr/22023: keepalive of 5 s is too short for historian.mqtt_batch_ms/,
    'refused: batches longer than the keepalive bears');
query('ALTER SYSTEM RESET historian.mqtt_batch_ms; SELECT pg_reload_conf()');
like(said("$s '$url', qos => 2, enabled => false)"), qr/NOTICE:.*subscribing at quality of service 1.*acknowledge/s, 'qos 2');
is(query('SELECT enabled, state FROM mqtt_status'), 'f|stopped', 'a subscription can begin disabled');
refused("SELECT mqtt_alter('x', broker => '')", qr/ERROR:  22023: broker of an MQTT subscription must not be empty/, 'alter');
refused("SELECT mqtt_alter('y', qos => 1)", qr/ERROR:  42704: MQTT subscription "y" does not exist/, 'alter what is not there');
query("SELECT mqtt_alter('x', username => 'u', target => 'numbers'), mqtt_alter('x', target => '-', username => '', qos => 0)");
is(query("SELECT username IS NULL, target IS NULL, qos, topic FROM historian.mqtt_subscription"), 't|t|0|#',
    'mqtt_alter changes what is given, and takes options away');
query("BEGIN; SELECT mqtt_alter('x', qos => 1); ROLLBACK");
is(query('SELECT qos FROM historian.mqtt_subscription'), 0, 'a rolled back change never was');
query("SELECT mqtt_unsubscribe('x')");

# --- TLS
sub openssl { system("openssl @_ 2>/dev/null") == 0 or BAIL_OUT("openssl @_") }
sub make_certificate {
    my ($name, $alternative) = @_;
    openssl("req -newkey rsa:2048 -nodes -subj /CN=$name -keyout $folder/$name.key -out $folder/$name.csr");
    append_to_file("$folder/$name.ext", "subjectAltName=$alternative\n");
    openssl("x509 -req -days 2 -in $folder/$name.csr -CA $folder/ca.pem -CAkey $folder/ca.key -CAcreateserial"
            . " -extfile $folder/$name.ext -out $folder/$name.pem");
}
openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout $folder/ca.key -out $folder/ca.pem");
make_certificate('localhost', 'DNS:localhost,IP:127.0.0.1');
make_certificate('elsewhere', 'DNS:elsewhere.example');
make_certificate('client', 'DNS:client');
openssl("rsa -aes256 -passout pass:open -in $folder/client.key -out $folder/client.locked.key");
sub tls_broker {
    my ($name, $more) = @_;
    my $settings = "certfile $folder/$name.pem\nkeyfile $folder/$name.key\ncafile $folder/ca.pem\n";
    return Broker->new(settings => $settings . ($more // ''))->start;
}
my $tls = tls_broker('localhost');
my $misnamed = tls_broker('elsewhere');
my $strict = tls_broker('localhost', "require_certificate true\n");
my %tls_url = (tls => 'mqtts://localhost:' . $tls->port, numeric => 'mqtts://127.0.0.1:' . $tls->port,
    misnamed => 'mqtts://localhost:' . $misnamed->port, strict => 'mqtts://localhost:' . $strict->port);
sub subscribe_tls {
    my ($name, $broker_url, $options) = @_;
    return said("SELECT mqtt_subscribe('$name', broker => '$broker_url', topic => '$name'" . ($options // '') . ')');
}
my $ca = ", cafile => '$folder/ca.pem'";
my $cert = "$ca, certfile => '$folder/client.pem'";
subscribe_tls('tls', $tls_url{tls}, $ca);
subscribe_tls('numeric', $tls_url{numeric}, $ca);
subscribe_tls('stranger', $tls_url{tls});
subscribe_tls('misnamed', $tls_url{misnamed}, $ca);
like(subscribe_tls('anybody', $tls_url{misnamed}, ', insecure => true'), qr/WARNING:.*may be anybody/, 'insecure is warned of');
subscribe_tls('nameless', $tls_url{strict}, $ca);
subscribe_tls('client', $tls_url{strict}, "$cert, keyfile => '$folder/client.key'");
subscribe_tls('locked', $tls_url{strict}, "$cert, keyfile => '$folder/client.locked.key', keypassword => 'open'");
subscribe_tls('mistyped', $tls_url{strict}, "$cert, keyfile => '$folder/client.locked.key', keypassword => 'shut'");
subscribe_tls('fileless', $tls_url{strict}, ", cafile => '$folder/nosuch.pem'");
Broker::wait_receiving($node, $_) for qw(tls numeric anybody client locked);
ok(1, 'TLS: by name, by address, insecure, with a client certificate, with an encrypted key');
wait_error('stranger', 'certificate of the broker was not accepted: .*(issuer|self.signed)', 'an unknown authority is refused');
wait_error('misnamed', 'certificate of the broker was not accepted: .*hostname mismatch', 'a wrong name is refused');
wait_error('nameless', 'certificate required|handshake|lost|closed', 'a client without a certificate is refused');
wait_error('mistyped', 'could not load the client key', 'a wrong key password is reported, and nobody is asked');
wait_error('fileless', 'could not prepare TLS: could not read .*No such file', 'a file that is not there is reported');
query("SELECT mqtt_alter('misnamed', insecure => true), mqtt_alter('mistyped', keypassword => 'open')");
Broker::wait_receiving($node, $_) for qw(misnamed mistyped);
ok(1, 'mqtt_alter mends both');
query("SELECT mqtt_unsubscribe(name) FROM mqtt_status");
wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'historian mqtt'", 'all of them leave');
unlike(slurp_file($node->logfile), qr/could not delete the session/, 'and no session stays');
$_->stop for $misnamed, $strict, $tls;

# --- protocols
query("SELECT mqtt_subscribe('old', broker => '$url', topic => 'old, older/#', protocol => 3, target => 'numbers', "
        . "keepalive => 5)");
Broker::wait_receiving($node, 'old');
is(query('SELECT protocol FROM mqtt_status'), '3.1.1', 'MQTT 3.1.1 by choice');
$broker->publish('old', '[1]');
$broker->publish('older/still', '[2]');
wait_for('SELECT count(*) = 2 FROM numbers', 'several topics');
query("SELECT mqtt_alter('old', protocol => 5, topic => 'older/#')");
wait_for("SELECT protocol = '5' AND state = 'receiving' AND session_present FROM mqtt_status", 'MQTT 5 by mqtt_alter');
wait_for("SELECT topic = 'older/#' FROM historian.mqtt_session", 'and another topic');
usleep(500_000);    # UNSUBSCRIBE follows
$broker->publish('old', '[3]');
$broker->publish('older/x', '[4]');
wait_for('SELECT count(*) FILTER (WHERE n = 4) = 1 FROM numbers', 'the topic that is left goes on');
is(query('SELECT count(*) FROM numbers WHERE n = 3'), 0, 'the other is unsubscribed from, in the same session');
query("SELECT mqtt_unsubscribe('old')");

# --- brokers that grant less than is asked for: a few bytes of Perl each, in a process that answers every connection
sub with_meagre_broker {
    my ($options, $connack, $suback, $watch) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5,
        LocalPort => PostgreSQL::Test::Cluster::get_free_port()) or die $!;
    my $child = fork() // die "fork: $!";
    if ($child == 0) {
        my ($bytes, @clients);
        while (my $client = $listener->accept) {
            push @clients, $client;
            sysread $client, $bytes, 1000;
            syswrite $client, $connack;
            next unless $suback;
            sysread $client, $bytes, 1000;
            syswrite $client, $suback . substr($bytes, 2, 2) . "\x00\x00";
        }
        POSIX::_exit(0);
    }
    query("SELECT mqtt_subscribe('meagre', broker => 'mqtt://127.0.0.1:@{[$listener->sockport]}', topic => 'a'$options)");
    $watch->();
    kill 'KILL', $child;
    waitpid $child, 0;
    close $listener;
    query("SELECT mqtt_unsubscribe('meagre')");
}
with_meagre_broker(', workers => 2', "\x20\x05\x00\x00\x02\x2a\x00", '', sub {
    wait_error('meagre', 'broker cannot serve several workers: it has no shared subscriptions', 'no shared subscriptions');
});
with_meagre_broker(', workers => 2', "\x20\x02\x00\x01", '', sub {
    wait_error('meagre', 'it knows MQTT 3.1.1 only, and several workers need', 'several workers, and a broker of 3.1.1');
});
with_meagre_broker('', "\x20\x08\x00\x00\x05\x11\x00\x00\x00\x3c", "\x90\x04", sub {
    wait_for("SELECT state = 'receiving' FROM mqtt_status", 'a meagre broker is better than none');
    ok($node->log_contains('broker keeps the session of MQTT subscription "meagre" for 60 s only'), 'sessions that end');
    ok($node->log_contains('broker serves MQTT subscription "meagre" at quality of service 0'), 'and no acknowledgement');
});

# --- a list of brokers
my $second = Broker->new->start;
my $closed_port = PostgreSQL::Test::Cluster::get_free_port();
query("SELECT mqtt_subscribe('list', broker => 'mqtt://127.0.0.1:$closed_port, mqtt://localhost:@{[$second->port]}, $url', "
        . "topic => 'list', target => 'numbers')");
Broker::wait_receiving($node, 'list');
$second->publish('list', '[10]');
wait_for('SELECT count(*) = 1 FROM numbers WHERE n = 10', 'the second broker of the list, when the first is not there');
$second->stop;
wait_for("SELECT state = 'receiving' AND connects = 2 FROM mqtt_status", 'the third, when the second is gone');
$broker->publish('list', '[11]');
wait_for('SELECT count(*) = 1 FROM numbers WHERE n = 11', 'and its messages come');
$second->start;
query("SELECT mqtt_alter('list', broker => 'mqtt://localhost:@{[$second->port]}')");
wait_for("SELECT state = 'receiving' AND session_present FROM mqtt_status", 'another list; the session there is still known');
$second->publish('list', '[12]');
wait_for('SELECT count(*) = 1 FROM numbers WHERE n = 12', 'and its messages come');
wait_for('SELECT count(*) = 1 FROM historian.mqtt_session', 'the broker that was left keeps no session');

# --- sessions that cannot be emptied: each is told once, and comes back with the subscription
my $to_first = "broker => '$url'";
my $to_second = "broker => 'mqtt://localhost:@{[$second->port]}'";
sub left_sessions { return "SELECT count(*) = $_[0] FROM mqtt_gap WHERE subscription = 'list' AND kind = 'session_left'" }
query("SELECT mqtt_alter('list', $to_first, enabled => false)");
wait_for(left_sessions(1), 'another broker, and disabled at once: the session is left');
$second->publish('list', '[13]');
query("SELECT mqtt_alter('list', $to_second, enabled => true)");
wait_for('SELECT count(*) = 1 FROM numbers WHERE n = 13', 'what it kept comes when the subscription is changed back');
$second->stop;
wait_for("SELECT state <> 'receiving' FROM mqtt_status", 'a broker is gone');
query("SELECT mqtt_alter('list', $to_first)");
wait_for("SELECT state = 'receiving' AND gaps = 2 FROM mqtt_status", 'another broker instead: it counts as a gap');
wait_for(left_sessions(2), 'and is told');
like(query("SELECT detail FROM mqtt_gap WHERE subscription = 'list' ORDER BY at DESC LIMIT 1"),
    qr/^localhost:@{[$second->port]} keeps messages for client "historian-/, 'with the client id');
# A resumed session receives at once; that it is ours again is noted after the broker's answer to SUBSCRIBE.
wait_for('SELECT count(*) = 1 FROM historian.mqtt_session', 'one session is ours');
$second->start;
query("SELECT mqtt_alter('list', $to_second)");
Broker::wait_receiving($node, 'list');
$second->publish('list', '[14]');
wait_for('SELECT count(*) = 1 FROM numbers WHERE n = 14', 'the subscription goes on there');
wait_for('SELECT count(*) = 1 FROM historian.mqtt_session', 'a session that was emptied is none that was left');
ok(query(left_sessions(2)) eq 't', 'two were left');
query("SELECT mqtt_unsubscribe('list')");
$second->stop;

# --- changes while messages flow: none is lost
my $sent = 0;
sub flow {
    my ($count, $change) = @_;
    my $lines = join '', map { ++$sent; "[$sent]\n" } 1 .. $count;
    my @command = (Broker::find_program('mosquitto_pub'), '-p', $broker->port, '-q', 1, '-t', 'flow/a', '-l');
    my ($out, $err) = ('', '');
    my $publisher = IPC::Run::start(\@command, '<', \$lines, '>', \$out, '2>', \$err);
    $change->();
    $publisher->finish;
}
sub flowed {
    my ($name) = @_;
    wait_for("SELECT count(DISTINCT n) = $sent FROM numbers", "nothing is lost: $name");
}
query("TRUNCATE numbers; SELECT mqtt_subscribe('flow', broker => '$url', topic => 'flow/a', target => 'numbers')");
Broker::wait_receiving($node, 'flow');
flow(20_000, sub { usleep(100_000); query("SELECT mqtt_alter('flow', topic => 'flow/#', qos => 1)") });
flowed('another topic');
flow(20_000, sub { usleep(100_000); query("SELECT mqtt_alter('flow', workers => 3)") });
flowed('three workers instead of one');
wait_for("SELECT workers = 3 AND state = 'receiving' FROM mqtt_status", 'three workers receive');
flow(20_000, sub { });
flowed('three workers');
is(query("SELECT count(*) FROM historian.mqtt_progress WHERE messages > 100"), 3, 'each has its share');
cmp_ok(query("SELECT sum(messages) FROM historian.mqtt_progress WHERE worker > 1"), '<', 40_000, 'and no message all of them');
is(query('SELECT messages = (SELECT count(*) FROM numbers) FROM mqtt_status'), 't', 'what they stored is counted together');
is(query('SELECT count(DISTINCT client_id) FROM historian.mqtt_session'), 3, 'three sessions');
flow(20_000, sub { usleep(100_000); query("SELECT mqtt_alter('flow', workers => 1)") });
flowed('one worker instead of three');
wait_for('SELECT count(*) = 1 FROM historian.mqtt_session', 'the sessions of the others are deleted');
flow(20_000, sub { usleep(100_000); query("SELECT mqtt_alter('flow', client_id => 'chosen')") });
wait_for("SELECT count(*) = 1 FROM historian.mqtt_session WHERE client_id = 'chosen'", 'another client id');
flow(20_000, sub {
    query('SELECT pg_terminate_backend(pid) FROM mqtt_status');
    usleep(200_000);
    query("SELECT mqtt_resume('flow')");
});
wait_for("SELECT count(*) > 0 FROM numbers WHERE n = $sent", 'a terminated worker comes back');
query("SELECT mqtt_unsubscribe('flow')");

# --- a name server that does not answer; connections that nobody accepts
my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5, LocalPort => PostgreSQL::Test::Cluster::get_free_port())
    or die $!;
query("ALTER SYSTEM SET historian.debug_mqtt_name_delay_ms = '10min'; SELECT pg_reload_conf()");
query('CREATE DATABASE doomed');
$node->safe_psql('doomed', 'CREATE EXTENSION historian');
$node->safe_psql('doomed', "SELECT mqtt_subscribe('$_->[0]', broker => '$_->[1]', topic => '#')")
    for ['unresolved', 'mqtt://localhost:1'], ['hole', 'mqtt://10.255.255.1'],
    ['silent', "mqtts://127.0.0.1:@{[$silent->sockport]}"];
query("SELECT mqtt_subscribe('unresolved', broker => 'mqtt://localhost:1', topic => '#')");
# There may be no route to the hole, and an error at once.
ok($node->poll_query_until('doomed', "SELECT count(*) FILTER (WHERE state = 'connecting') >= 2 FROM mqtt_status"),
    'they connect');
wait_for("SELECT state = 'connecting' FROM mqtt_status", 'and one in this database');
usleep(500_000);
quickly(4, 'DROP DATABASE beside connections that hang', sub { query('DROP DATABASE doomed') });
quickly(3, 'CREATE DATABASE, which waits for every process', sub { query('CREATE DATABASE bystander') });
my $pid = query('SELECT pid FROM mqtt_status');
quickly(3, 'pg_terminate_backend of a worker that waits for a name',
    sub { is(query("SELECT pg_terminate_backend($pid, 5000)"), 't', 'it ends') });
wait_for("SELECT pid <> $pid AND state = 'connecting' FROM mqtt_status", 'and is started again');
quickly(5, 'a restart of the server', sub { $node->restart });
wait_error('unresolved', "could not resolve the broker''s host: no answer within 30 s", 'the name server is reported');
query("ALTER SYSTEM RESET historian.debug_mqtt_name_delay_ms; SELECT pg_reload_conf(); DROP DATABASE bystander");
query("SELECT mqtt_alter('unresolved', broker => 'mqtt://nosuch.invalid')");
wait_error('unresolved', "could not resolve the broker''s host: .*(not known|failure in name|no answer)",
    'a name that is not there too');
query("SELECT mqtt_unsubscribe('unresolved')");

# --- mqtt_resume
my $late = Broker->new;
query("SELECT mqtt_subscribe('late', broker => '@{[$late->url]}', topic => '#')");
usleep(8_000_000);    # the waits have grown
$late->start;
quickly(3, 'mqtt_resume does not wait', sub { query("SELECT mqtt_resume('late')"); Broker::wait_receiving($node, 'late') });
query("SELECT mqtt_disable('late')");
wait_for("SELECT state = 'stopped' FROM mqtt_status", 'disabled');
query("SELECT mqtt_resume('late')");
Broker::wait_receiving($node, 'late');
query("SELECT mqtt_unsubscribe('late')");
$late->stop;

# --- owners
query(<<END);
CREATE ROLE feeder LOGIN; CREATE ROLE heir LOGIN; CREATE ROLE stranger LOGIN;
GRANT EXECUTE ON FUNCTION mqtt_subscribe TO feeder;
GRANT INSERT ON numbers TO feeder, heir; TRUNCATE numbers;
SET ROLE feeder;
SELECT mqtt_subscribe('owned', broker => '$url', topic => 'owned', target => 'numbers', username => 'u', password => 's3cret');
END
Broker::wait_receiving($node, 'owned');
query('REVOKE INSERT ON numbers FROM feeder');
$broker->publish('owned', '[1]');
wait_error('owned', 'permission denied for table numbers', 'an owner without INSERT: the status says so');
is(query('SELECT count(*) FROM numbers'), 0, 'no row');
is(query("SELECT count(*) FROM mqtt_dead_letter WHERE sqlstate = '42501'"), 1, 'a dead letter');
query('GRANT INSERT ON numbers TO feeder; ALTER ROLE feeder RENAME TO eater');
is(query('SELECT owner FROM mqtt_status'), 'eater', 'an owner that is renamed stays the owner');
refused("SET ROLE stranger; SELECT mqtt_alter('owned', qos => 0)", qr/42501: must be owner/, 'only owners change');
refused("SET ROLE eater; SELECT mqtt_alter('owned', owner => 'heir')", qr/42501: must have the privileges of role "heir"/,
    'nobody gives to others what they cannot take');
refused("SET ROLE eater; SELECT mqtt_alter('owned', broker => 'mqtts://h', cafile => '/x')",
    qr/42501: permission denied to name a file/, 'files need a right');
SKIP: {
    skip 'workers need no LOGIN', 2 if $node->pg_version >= 17;
    query('ALTER ROLE eater NOLOGIN');
    query("SELECT mqtt_resume('owned')");
    wait_for("SELECT state = 'stopped' AND last_error = 'its owner is not permitted to log in' FROM mqtt_status", 'NOLOGIN');
    query("ALTER ROLE eater LOGIN; SELECT mqtt_resume('owned')");
    Broker::wait_receiving($node, 'owned');
    ok(1, 'LOGIN again');
}
query('REASSIGN OWNED BY eater TO heir; DROP OWNED BY eater; DROP ROLE eater');
wait_for("SELECT state = 'stopped' AND last_error LIKE 'its owner was dropped%' FROM mqtt_status", 'a dropped owner');
query("SELECT mqtt_alter('owned', owner => 'heir')");
wait_for("SELECT state = 'receiving' AND owner = 'heir'::regrole FROM mqtt_status", 'a superuser names another');
$broker->publish('owned', '[2]');
wait_for('SELECT count(*) = 1 FROM numbers', 'whose rows come');

# --- secrets
my $secret = 'PassWordOfPlant';
like(said("SELECT mqtt_alter('owned', broker => 'mqtt://u:$secret\@127.0.0.1:1/x y', password => '$secret')"),
    qr/^(?!.*$secret).*invalid broker URL/s, 'an error shows no password');
said("DO \$\$ BEGIN PERFORM mqtt_alter('owned', qos => 7, password => '$secret'); END \$\$");
my $session = $node->background_psql('postgres');
$session->query_safe("SELECT mqtt_alter('owned', password => '$secret')");
is(query("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%$secret%' AND pid <> pg_backend_pid()"), 0,
    'pg_stat_activity shows no password');
like(query("SELECT string_agg(query, ' ') FROM pg_stat_activity"), qr/mqtt_alter\(\.\.\.\)  -- not shown/, 'but what it was');
$session->quit;
unlike(slurp_file($node->logfile), qr/$secret/, 'nor does the log of the server, after statements that failed');
append_to_file("$folder/secret", "$secret\n");
chmod 0644, "$folder/secret";
query("SELECT mqtt_alter('owned', password => rtrim(pg_read_file('$folder/secret'), E'\\n'))");
is(query("SELECT password = '$secret' FROM historian.mqtt_subscription"), 't', 'a password from a file of the server');
is(query("SET ROLE heir; SELECT count(*) FROM mqtt_status s WHERE s::text LIKE '%$secret%'"), 0, 'mqtt_status has none');
for my $table ('mqtt_subscription', 'mqtt_session') {
    refused("SET ROLE heir; SELECT * FROM historian.$table", qr/42501: permission denied for/, "$table is hidden");
}

# --- dumps: all options are kept; who may not read them dumps none
query(<<END);
SELECT mqtt_alter('owned', enabled => false);
SELECT mqtt_subscribe('whole', broker => 'mqtts://a,mqtts://b:1', topic => 'a/#,b', target => 'sensor', username => 'u',
    password => 'p,q', cafile => '/ca', certfile => '/cert', keyfile => '/key', keypassword => 'k', insecure => true, qos => 0,
    workers => 2, keepalive => 7, client_id => 'c', in_schema => 'pg_temp', enabled => false);
SELECT mqtt_alter('whole', topic => 'a/#,c');
END
my $all = "SELECT to_jsonb(s) - 'created_at' FROM historian.mqtt_subscription s ORDER BY id";
$node->command_ok(['pg_dump', '-f', "$folder/dump.sql", '-d', $node->connstr('postgres')], 'pg_dump');
query('CREATE DATABASE restored');
my @restore = ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$folder/dump.sql", '-d', $node->connstr('restored'));
$node->command_ok([@restore], 'restore');
is($node->safe_psql('restored', $all), query($all), 'a dump keeps every option');
is($node->safe_psql('restored', 'SELECT count(*) FROM historian.mqtt_session'), 0, 'but no session: it is another client');
query('GRANT SELECT ON ALL TABLES IN SCHEMA public TO heir');
my @dump = ('pg_dump', '-U', 'heir', '-d', $node->connstr('postgres'));
$node->command_fails([@dump], 'a role that may not read passwords cannot dump them');
my ($dumped) = run_command([@dump, '-N', 'historian', '-T', 'historian.*']);
like($dumped, qr/COPY public\.numbers/, 'it dumps the rest');
unlike($dumped, qr/$secret|p,q/, 'without them');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal|TRAP/, 'nothing crashed');
done_testing();
