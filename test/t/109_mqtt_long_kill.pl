# Numbered messages through a proxy, while everything dies at random: the server and its worker by SIGKILL and otherwise, the
# broker, the connection between them.
#
# The proxy keeps book (Proxy.pm). What must hold, for each number:
#
#   1. it is in the table: no message that the broker accepted is lost;
#   2. it is there at least as often as the worker acknowledged it: nothing is acknowledged that is not stored;
#   3. it is there at most as often as the broker delivered it: duplicates are the redelivered ones, and nothing else.
#
# HISTORIAN_TEST_SEED repeats a run's choices (not its timing). HISTORIAN_TEST_KILL_SECONDS (45) is how long things die, and
# HISTORIAN_TEST_MESSAGES (1,500 a second) how many messages come meanwhile. The long run, ten minutes:
#
#     HISTORIAN_TEST_KILL_SECONDS=600 HISTORIAN_TEST_MESSAGES=1000000 ./test/run tap 109_mqtt_long_kill.pl
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Broker qw(ask);
use Proxy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

Broker::require_or_skip();
my $publisher = Broker::build_publisher("$FindBin::RealBin/../publisher.cpp")
    or plan skip_all => 'the publisher cannot be built here';

my $seconds = $ENV{HISTORIAN_TEST_KILL_SECONDS} // 45;
my $messages = $ENV{HISTORIAN_TEST_MESSAGES} // 1500 * $seconds;
my $seed = $ENV{HISTORIAN_TEST_SEED} // int(time);
srand $seed;
diag "seed $seed";

my $broker = Broker->new->start;
my $proxy = Proxy->new($broker->port)->start;
my $node = Broker::start_server('long_kill', <<'END');
fsync = off
restart_after_crash = on
historian.debug_mqtt_delay_ms = 50
historian.mqtt_batch_messages = 2000
END
my $am = Broker::access_method($node);
$node->safe_psql('postgres', "CREATE TABLE sensor (name text, time timestamptz, value float8) USING $am");
$node->safe_psql('postgres', "SELECT mqtt_subscribe('plant', broker => '" . $proxy->url . "', topic => 'db/append/#')");
Broker::wait_receiving($node, 'plant');

# The worker's process, or undef when there is none for long: the broker or the connection may be away, the worker may not.
sub worker_pid {
    for (1 .. 200) {
        my $pid = ask("SELECT pid FROM pg_stat_activity WHERE backend_type = 'historian mqtt'");
        return $pid if $pid;
        usleep(50_000);
    }
    return undef;
}

sub set_ack_delay {
    my ($milliseconds) = @_;
    ask("ALTER SYSTEM SET historian.debug_mqtt_ack_delay_ms = $milliseconds");
    ask('SELECT pg_reload_conf()');
}

# Starts the server again after its postmaster was killed; it refuses as long as a child lives.
sub start_killed_server {
    for (1 .. 200) {
        last if system_log('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, 'start') == 0;
        usleep(100_000);
    }
    $node->_update_pid(1);
}

my ($out, $run) = ('');

# mosquitto has no journal: what it has not written to its file is gone with it. So the file is written while nobody publishes,
# and then it is killed: a message that it has accepted stays, an acknowledgement that came after the file is forgotten.
sub kill_broker {
    my $publishing = $run->{KIDS}[0]{PID};
    kill 'STOP', $publishing;
    usleep(300_000);
    $broker->save;
    $broker->kill;
    $broker->start;
    kill 'CONT', $publishing;
}

my %events = (
    'worker terminated' => sub { ask('SELECT pg_terminate_backend(' . (worker_pid() // 0) . ')') },
    'worker killed' => sub { my $pid = worker_pid(); kill 'KILL', $pid if $pid; usleep(300_000) },
    'worker killed after commit' => sub {
        set_ack_delay(300);
        my $pid = worker_pid();
        usleep(500_000);
        kill 'KILL', $pid if $pid;
        usleep(300_000);
        worker_pid();
        set_ack_delay(0);
    },
    'server stopped at once' => sub { $node->stop('immediate'); $node->start },
    'server killed' => sub { $node->kill9; start_killed_server() },
    'broker restarted' => sub { $broker->restart },
    'broker killed' => \&kill_broker,
    'broker hung' => sub { $broker->freeze; usleep(500_000 + rand 1_500_000); $broker->thaw },
    'connection cut' => sub { $proxy->cut },
    'connection cut after commit' => sub { set_ack_delay(300); usleep(500_000); $proxy->cut; set_ack_delay(0) },
    'connection dead, then back' => sub { $proxy->stall(1 + rand 2); usleep(2_000_000) },
    'connection dead, then cut' => sub { $proxy->stall(10); usleep(1_000_000 + rand 1_000_000); $proxy->cut; $proxy->stall(0) },
    'acknowledgements lost' => sub { $proxy->swallow(1); usleep(1_200_000) },
);

my $begin = time;
$run = IPC::Run::start(
    [ $publisher, '127.0.0.1', $broker->port, 'db/append/sensor', 1, $messages, 100, $messages / $seconds ], '>', \$out);
my %count;
# Each once, in an order of their own, before any comes again.
my @order = map { $_->[0] } sort { $a->[1] <=> $b->[1] } map { [ $_, rand ] } sort keys %events;
for (my $round = 0; $run->pumpable && time - $begin < $seconds; ++$round) {
    my $event = $round < @order ? $order[$round] : $order[rand @order];
    $events{$event}->();
    ++$count{$event};
    usleep(200_000 + rand 1_000_000);
}
set_ack_delay(0);
ask('ALTER SYSTEM SET historian.debug_mqtt_delay_ms = 0');
ask('SELECT pg_reload_conf()');
$run->finish;
is($run->full_result(0), 0, 'the broker accepted every message');
diag $out;
diag "$count{$_} times $_" for sort keys %count;

$node->poll_query_until('postgres', "SELECT count(DISTINCT value) >= $messages FROM sensor");
# What is on its way once more comes too, before the books are closed.
$node->poll_query_until('postgres', "SELECT last_commit < now() - interval '3 s' FROM mqtt_status");
my $book = PostgreSQL::Test::Utils::tempdir() . '/book';
$proxy->report($book);
$node->safe_psql('postgres', <<"END");
CREATE TABLE book (number bigint, delivered integer, acknowledged integer) USING heap;
COPY book FROM '$book';
CREATE TABLE stored USING heap AS SELECT value::bigint AS number, count(*) AS copies FROM sensor GROUP BY value;
END

my ($distinct, $total, $low, $high) = split /\|/,
    ask('SELECT count(DISTINCT value), count(*), min(value), max(value) FROM sensor');
is($distinct, $messages, 'no message is lost');
is("$low-$high", "1-$messages", 'nothing was made up');
my $both = 'book FULL JOIN stored USING (number)';
is(ask("SELECT count(*) FROM $both WHERE acknowledged > coalesce(copies, 0)"), 0, 'every acknowledged delivery is stored');
is(ask("SELECT count(*) FROM $both WHERE copies > coalesce(delivered, 0)"), 0, 'every copy was delivered');
is(ask("SELECT count(*) FROM $both WHERE copies > 1 AND delivered = 1"), 0, 'what is stored twice was delivered again');
my ($deliveries, $again, $acknowledgements) = split /\|/,
    ask('SELECT sum(delivered), count(*) FILTER (WHERE delivered > 1), sum(acknowledged) FROM book');
diag "$deliveries deliveries, $again numbers more than once; $acknowledgements acknowledgements; $total rows, " .
    ($total - $distinct) . ' of them duplicates';
cmp_ok($again, '>', 0, 'some were delivered again');
is(ask('SELECT count(*) FROM mqtt_dead_letter'), 0, 'no dead letter');
is(ask("SELECT count(*) FROM sensor WHERE name <> 'tag' || (value::bigint % 100) OR extract(epoch FROM time) * 1000 <> value"), 0,
    'every row is as published');
my $log = slurp_file($node->logfile);
unlike($log, qr/has lost the session/, 'the session was never lost');
unlike($log, qr/PANIC|TRAP:|signal (4|7|8|11):/, 'nothing crashed by itself');
if ($am ne 'heap') {
    ok(defined ask("SELECT historian_check('sensor')"), 'historian_check finds nothing');
}
$node->stop;
done_testing();
