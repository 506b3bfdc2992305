# 100,000 QoS 1 messages, while the worker is terminated and killed before and after COMMIT, the server crashes and the broker
# restarts.
#
# What must hold: every message that the broker accepted is in the table. Duplicates are allowed (bgworker/README.md, cases 3 and
# 5), counted and printed. The worker sleeps before COMMIT, and at times before it acknowledges, so that a kill meets uncommitted
# and unacknowledged messages: without the sleep a quick kill can pass by luck.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Broker qw(ask);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

Broker::require_or_skip();
my $publisher = Broker::build_publisher("$FindBin::RealBin/../publisher.cpp")
    or plan skip_all => 'the publisher cannot be built here';

my $messages = $ENV{HISTORIAN_TEST_MESSAGES} // 100_000;
my $rate = $messages / 40;
my $seed = $ENV{HISTORIAN_TEST_SEED} // int(time);
srand $seed;
diag "seed $seed";

my $broker = Broker->new->start;
my $node = Broker::start_server('kill', <<'END');
historian.debug_mqtt_delay_ms = 120
historian.mqtt_batch_messages = 2000
restart_after_crash = on
END
my $am = Broker::access_method($node);
$node->safe_psql('postgres', "CREATE TABLE sensor (name text, time timestamptz, value float8) USING $am");
$node->safe_psql('postgres', "SELECT mqtt_subscribe('plant', broker => '" . $broker->url . "', topic => 'db/append/#')");
Broker::wait_receiving($node, 'plant');

sub worker_pid {
    for (1 .. 200) {
        my $pid = ask("SELECT pid FROM pg_stat_activity WHERE backend_type = 'historian mqtt'");
        return $pid if $pid;
        usleep(50_000);
    }
    die 'there is no MQTT worker';
}

sub set_ack_delay {
    my ($milliseconds) = @_;
    ask("ALTER SYSTEM SET historian.debug_mqtt_ack_delay_ms = $milliseconds");
    ask('SELECT pg_reload_conf()');
}

my %events = (
    'worker terminated' => sub { ask('SELECT pg_terminate_backend(' . worker_pid() . ')') },
    'worker killed' => sub { kill 'KILL', worker_pid(); usleep(300_000); worker_pid() },
    'worker killed after commit' => sub {
        set_ack_delay(400);
        my $pid = worker_pid();
        usleep(600_000);
        kill 'KILL', $pid;
        usleep(300_000);
        worker_pid();
        set_ack_delay(0);
    },
    'worker terminated after commit' => sub {
        set_ack_delay(400);
        usleep(600_000);
        ask('SELECT pg_terminate_backend(' . worker_pid() . ')');
        set_ack_delay(0);
    },
    'server crashed' => sub { $node->stop('immediate'); $node->start },
    'server restarted' => sub { $node->restart },
    'broker restarted' => sub { $broker->restart },
);

my $out = '';
my $begin = time;
my $run = IPC::Run::start([$publisher, '127.0.0.1', $broker->port, 'db/append/sensor', 1, $messages, 100, $rate], '>', \$out);
my %count;
my @order = sort keys %events;
for (my $round = 0; $run->pumpable && time - $begin < 60; ++$round) {
    my $event = $round < @order ? $order[$round] : $order[rand @order];
    $events{$event}->();
    ++$count{$event};
    usleep(500_000 + rand 1_000_000);
}
$run->finish;
is($run->full_result(0), 0, 'the broker accepted every message');
diag $out;
diag "$_: $count{$_}" for sort keys %count;
set_ack_delay(0);

$node->poll_query_until('postgres', "SELECT count(DISTINCT value) >= $messages FROM sensor");
my ($distinct, $total, $low, $high) = split /\|/,
    ask('SELECT count(DISTINCT value), count(*), min(value), max(value) FROM sensor');
is($distinct, $messages, 'no message is lost');
is("$low-$high", "1-$messages", 'nothing was made up');
my ($counted, $redelivered) = split /\|/, ask('SELECT messages, redelivered FROM mqtt_status');
diag 'duplicates: ' . ($total - $distinct) . ", redelivered: $redelivered";
is($counted, $total, 'exactly the messages that are stored are counted');
cmp_ok($total - $distinct, '<=', $redelivered, 'only what was redelivered is there twice');
is(ask('SELECT count(*) FROM mqtt_dead_letter'), 0, 'no dead letter');
is(ask("SELECT count(*) FROM sensor WHERE name <> 'tag' || (value::bigint % 100) OR extract(epoch FROM time) * 1000 <> value"), 0,
    'every row is as published');
is(ask("SELECT sessions_lost FROM mqtt_status"), 0, 'the session was never lost');
$node->stop;
done_testing();
