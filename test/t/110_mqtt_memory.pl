# The worker's memory stays where it is, however many messages come: good ones, bad ones, large ones.
#
# HISTORIAN_TEST_MEMORY_MESSAGES (300,000) is how many. The long run, about half an hour and 10 GB of disk:
#
#     HISTORIAN_TEST_MEMORY_MESSAGES=50000000 ./test/run tap 110_mqtt_memory.pl
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Broker;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

Broker::require_or_skip();
my $publisher = Broker::build_publisher("$FindBin::RealBin/../publisher.cpp")
    or plan skip_all => 'the publisher cannot be built here';

use constant CHUNKS => 10;
# What a malloc that is used in a different order each time may move about. Of 150,000 messages: 14 bytes each.
use constant SLACK_KB => 2 * 1024;

my $messages = $ENV{HISTORIAN_TEST_MEMORY_MESSAGES} // 300_000;
my $chunk = int($messages / CHUNKS);

my $broker = Broker->new->start;
my $node = Broker::start_server('memory', "fsync = off\nmax_wal_size = 4GB\n");
my $am = Broker::access_method($node);
$node->safe_psql('postgres', "CREATE TABLE sensor (name text, time timestamptz, value float8) USING $am");
$node->safe_psql('postgres', 'CREATE TABLE checked (name text, time timestamptz, value float8 CHECK (value >= 0)) USING heap');
$node->safe_psql('postgres', "SELECT mqtt_subscribe('plant', broker => '" . $broker->url . "', topic => 'db/append/#')");
Broker::wait_receiving($node, 'plant');
my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'historian mqtt'");

sub anonymous_kb {
    return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m ? $1 : die 'the worker is gone';
}

# What goes wrong, and what is large: each of it leaves the beaten path, where something could be left behind.
my @odd = (
    map(['db/append/checked', qq(["a", $_, -1])], 1 .. 20),
    map(['db/append/checked', qq(["a", $_, 1])], 1 .. 20),
    map(['db/append/nothing', '["a", 1, 1]'], 1 .. 20),
    map(['db/append/sensor', 'poison'], 1 .. 20),
    map(['db/append/sensor', '[' . join(',', map(qq(["large", ${_}000, 1]), 1 .. 20_000)) . ']'], 1 .. 3),
);

my $sent = 0;
my (@samples, $begin);
for my $round (0 .. CHUNKS) {
    # The first round is warming up.
    $begin = time if $round == 1;
    my ($out, $err) = ('', '');
    IPC::Run::run([ $publisher, '127.0.0.1', $broker->port, 'db/append/sensor', 1 + $round * $chunk, $chunk, 1000 ],
        '>', \$out, '2>', \$err) or die "publisher: $err";
    $broker->publish_many(@odd);
    $sent += $chunk + @odd;
    $node->poll_query_until('postgres', "SELECT messages >= $sent FROM mqtt_status") or die 'messages do not arrive';
    push @samples, anonymous_kb();
    $node->safe_psql('postgres', 'DELETE FROM mqtt_dead_letter');
}
diag sprintf '%d messages, %.0f a second; RssAnon after each %d: %s kB', $sent, CHUNKS * ($chunk + @odd) / (time - $begin),
    $chunk, join(' ', @samples);
# Batches grow until they are as large as the machine makes them, and memory with them; after half of the messages that is over.
my ($most_before) = sort { $b <=> $a } @samples[ 0 .. CHUNKS / 2 ];
my ($most_after) = sort { $b <=> $a } @samples[ CHUNKS / 2 + 1 .. CHUNKS ];
cmp_ok($most_after, '<=', $most_before + SLACK_KB, 'the worker takes no more memory for the second half of the messages');
is($node->safe_psql('postgres', "SELECT count(*) FROM sensor WHERE name <> 'large'"), $chunk * (CHUNKS + 1),
    'every message is there');
is($node->safe_psql('postgres', 'SELECT count(*) FROM checked'), 20 * (CHUNKS + 1), 'and every good one between bad ones');
$node->stop;
done_testing();
