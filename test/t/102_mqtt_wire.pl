# The acknowledgement on the wire: a broker made of a few lines of Perl sends messages and watches when PUBACK comes back.
#
# It speaks MQTT 3.1.1 only, so the worker must also fall back from MQTT 5.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Broker;
use IO::Select;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $port = PostgreSQL::Test::Cluster::get_free_port();
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 5, ReuseAddr => 1) or die $!;
my $node = Broker::start_server('wire');
$node->safe_psql('postgres', 'CREATE TABLE sensor (name text, time timestamptz, value float8) USING heap');
$node->safe_psql('postgres', "SELECT mqtt_subscribe('wire', broker => 'mqtt://127.0.0.1:$port', topic => 'db/append/#')");

my $client;

sub readable { return IO::Select->new($_[0])->can_read($_[1]) }

sub read_exactly {
    my ($count) = @_;
    my $bytes = '';
    while (length $bytes < $count) {
        return undef unless readable($client, 15);
        my $got = sysread $client, $bytes, $count - length $bytes, length $bytes;
        return undef unless $got;
    }
    return $bytes;
}

# One packet as [type, body]; undef at the end of the connection.
sub read_packet {
    my $header = read_exactly(1) // return undef;
    my ($length, $shift) = (0, 0);
    for (;;) {
        my $byte = ord(read_exactly(1) // return undef);
        $length |= ($byte & 127) << $shift;
        last unless $byte & 128;
        $shift += 7;
    }
    return [ord($header) >> 4, $length ? read_exactly($length) : ''];
}

sub send_packet {
    my ($type_and_flags, $body) = @_;
    my ($length, $encoded) = (length $body, '');
    do {
        my $byte = $length % 128;
        $length = int($length / 128);
        $encoded .= chr($byte | ($length ? 128 : 0));
    } while $length;
    syswrite $client, chr($type_and_flags) . $encoded . $body;
}

sub send_message {
    my ($id, $payload, $duplicate) = @_;
    send_packet(0x32 | ($duplicate ? 8 : 0), pack('n/a n a*', 'db/append/sensor', $id, $payload));
}

# The ids of the PUBACKs that arrive within so many seconds.
sub acknowledged {
    my ($seconds) = @_;
    my @ids;
    my $end = time + $seconds;
    while ((my $left = $end - time) > 0) {
        next unless readable($client, $left);
        my $packet = read_packet() // last;
        push @ids, unpack('n', $packet->[1]) if $packet->[0] == 4;
        push @ids, "packet type $packet->[0]" if $packet->[0] != 4;
    }
    return join ',', @ids;
}

sub accept_client {
    readable($listener, 40) or die 'the worker does not connect';
    $client = $listener->accept;
    my $connect = read_packet();
    is($connect->[0], 1, 'CONNECT');
    my ($protocol, $level, $flags) = unpack 'n/a C C', $connect->[1];
    return ($level, $flags, substr($connect->[1], 12));
}

# The same, refusing MQTT 5 first: a new worker process tries it again.
sub accept_old_client {
    my @connect = accept_client();
    return @connect unless $connect[0] == 5;
    send_packet(0x20, "\x00\x01");
    close $client;
    return accept_client();
}

# --- a broker that does not know MQTT 5
my ($level, $flags) = accept_client();
is($level, 5, 'MQTT 5 is tried first');
send_packet(0x20, "\x00\x01");
close $client;
($level, $flags, my $id_first) = accept_client();
is($level, 4, 'then MQTT 3.1.1');
ok(!($flags & 2), 'with a session that is kept');
send_packet(0x20, "\x00\x00");
my $subscribe = read_packet();
is($subscribe->[0], 8, 'SUBSCRIBE');
is(ord(substr $subscribe->[1], -1), 1, 'at quality of service 1');
send_packet(0x90, substr($subscribe->[1], 0, 2) . "\x01");
like(slurp_file($node->logfile), qr/does not support MQTT 5, using MQTT 3\.1\.1/, 'the fall back is logged');

# --- nothing leaves before COMMIT
my $blocker = $node->background_psql('postgres');
$blocker->query_safe('BEGIN; LOCK TABLE sensor IN ACCESS EXCLUSIVE MODE');
send_message(1, '["a", 1000, 1]');
send_message(2, '["a", 2000, 2]');
send_message(3, 'poison');
is(acknowledged(2), '', 'no acknowledgement while the transaction waits');
$blocker->query_safe('COMMIT');
is(acknowledged(1), '1,2,3', 'after COMMIT all, in order, the dead letter too');
is($node->safe_psql('postgres', 'SELECT count(*) FROM sensor'), 2, 'the rows are there');
is($node->safe_psql('postgres', 'SELECT count(*) FROM mqtt_dead_letter'), 1, 'and the dead letter');

# --- a server that cannot store now: no acknowledgement, no dead letter, a new connection, the message again
$blocker->query_safe('BEGIN; LOCK TABLE sensor IN ACCESS EXCLUSIVE MODE');
send_message(4, '["a", 4000, 4]');
is(acknowledged(12), '', 'the connection is given up without an acknowledgement');
($level, $flags, my $id_second) = accept_client();
is($id_second, $id_first, 'the same client comes back');
send_packet(0x20, "\x01\x00");
send_message(4, '["a", 4000, 4]', 1);
is(acknowledged(1), '', 'still waiting; a resumed session is not subscribed again');
$blocker->query_safe('COMMIT');
is(acknowledged(1), '4', 'stored and acknowledged');
is($node->safe_psql('postgres', 'SELECT count(*) FROM sensor'), 3, 'once');
is($node->safe_psql('postgres', 'SELECT count(*) FROM mqtt_dead_letter'), 1, 'no dead letter for a lock timeout');

# --- terminated with a message held: the acknowledgement is not among the last bytes
$blocker->query_safe('BEGIN; LOCK TABLE sensor IN ACCESS EXCLUSIVE MODE');
send_message(5, '["a", 5000, 5]');
is(acknowledged(1), '', 'waiting');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'historian mqtt'");
is(acknowledged(1), '', 'a terminated worker acknowledges nothing');
$blocker->query_safe('COMMIT');

# --- what was held comes again; a broker that sends garbage is left
($level, $flags) = accept_old_client();
send_packet(0x20, "\x01\x00");
send_message(5, '["a", 5000, 5]', 1);
is(acknowledged(1), '5', 'delivered again, stored, acknowledged');
syswrite $client, "\x32\xff\xff\xff\xff\xff\xff";
is(acknowledged(1), '', 'garbage ends the connection');
($level, $flags) = accept_old_client();
send_packet(0x20, "\x01\x00");
send_message(6, '["a", 6000, 6]');
is(acknowledged(1), '6', 'and the next one works');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT value) FROM sensor'), '5|5', 'every message is there once');

$blocker->quit;
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal|TRAP/, 'nothing crashed');
done_testing();
