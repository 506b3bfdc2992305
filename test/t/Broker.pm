# A mosquitto broker of a test's own: loopback, a free port, persistent sessions, no limit on queued messages. And what tests of
# MQTT ask of the server that start_server() started last.
package Broker;

use strict;
use warnings;
use Exporter qw(import);
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT_OK = qw(ask query refused wait_for);
my $server;

# The path of a program, also where administrators' programs are.
sub find_program {
    my ($name) = @_;
    for my $folder (split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin') {
        return "$folder/$name" if -x "$folder/$name";
    }
    return undef;
}

# Skips the whole test file when there is no broker to test with.
sub require_or_skip {
    plan skip_all => 'mosquitto and mosquitto_pub are needed' unless find_program('mosquitto') && find_program('mosquitto_pub');
}

sub new {
    my ($class, %options) = @_;
    my $self = bless {
        port => PostgreSQL::Test::Cluster::get_free_port(),
        folder => PostgreSQL::Test::Utils::tempdir(),
        settings => $options{settings} // '',
        pid => undef,
    }, $class;
    $self->write_configuration;
    return $self;
}

sub write_configuration {
    my ($self) = @_;
    open my $file, '>', "$self->{folder}/mosquitto.conf" or die $!;
    print $file <<"END";
listener $self->{port} 127.0.0.1
persistence true
persistence_location $self->{folder}/
max_queued_messages 0
max_inflight_messages 0
max_packet_size 268435455
log_dest file $self->{folder}/mosquitto.log
END
    print $file $self->{settings} =~ /allow_anonymous/ ? '' : "allow_anonymous true\n";
    print $file $self->{settings};
    close $file;
}

sub port { return $_[0]->{port} }
sub url { return "mqtt://127.0.0.1:$_[0]->{port}" }

sub start {
    my ($self) = @_;
    my $program = find_program('mosquitto');
    $self->{pid} = fork();
    die "fork: $!" unless defined $self->{pid};
    if ($self->{pid} == 0) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', "$self->{folder}/stderr";
        exec $program, '-c', "$self->{folder}/mosquitto.conf" or exit 1;
    }
    for (1 .. 500) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Proto => 'tcp');
        return $self if $socket;
        usleep(20_000);
    }
    die "mosquitto did not start";
}

# Orderly, so that sessions are written to disk.
sub stop {
    my ($self) = @_;
    return unless $self->{pid};
    CORE::kill 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    $self->{pid} = undef;
}

sub restart { $_[0]->stop; $_[0]->start }

# Writes sessions to disk now; returns when they are there.
sub save {
    my ($self) = @_;
    my $file = "$self->{folder}/mosquitto.db";
    my $before = -e $file ? (stat _)[1] : 0;
    CORE::kill 'USR1', $self->{pid};
    for (1 .. 500) {
        return if -e $file && (stat _)[1] != $before;    # it is renamed into place
        usleep(20_000);
    }
    die "mosquitto does not write $file";
}

# At once: what is not on disk is lost.
sub kill {
    my ($self) = @_;
    CORE::kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    $self->{pid} = undef;
}

sub freeze { CORE::kill 'STOP', $_[0]->{pid} }
sub thaw { CORE::kill 'CONT', $_[0]->{pid} }

# Publishes one message; returns when the broker has it.
sub publish {
    my ($self, $topic, $payload, @more) = @_;
    my @command = (find_program('mosquitto_pub'), '-h', '127.0.0.1', '-p', $self->{port}, '-q', 1, '-t', $topic, @more);
    push @command, length $payload ? '-s' : '-n';    # -s refuses to send nothing
    my ($out, $err) = ('', '');
    IPC::Run::run(\@command, '<', \$payload, '>', \$out, '2>', \$err) or BAIL_OUT("mosquitto_pub: $err");
}

# Publishes many messages, [topic, payload] each, over one connection; returns when the broker has all of them.
sub publish_many {
    my ($self, @messages) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Proto => 'tcp') or die $!;
    my $send = sub {
        my ($type, $body) = @_;
        my ($length, $encoded) = (length $body, '');
        do {
            $encoded .= chr(($length % 128) | ($length > 127 ? 128 : 0));
            $length = int($length / 128);
        } while $length;
        print $socket chr($type) . $encoded . $body;
    };
    $send->(0x10, pack('n/a C C n n/a', 'MQTT', 4, 2, 60, "publisher-$$"));
    my $id = 0;
    $send->(0x32, pack('n/a n a*', $_->[0], ++$id, $_->[1])) for @messages;
    $socket->flush;
    # CONNACK and each PUBACK have four bytes.
    my ($wanted, $bytes) = (4 * (@messages + 1), '');
    while (length $bytes < $wanted)
    {
        sysread $socket, $bytes, $wanted - length $bytes, length $bytes or die 'the broker hung up';
    }
}

# The publisher of test/publisher.cpp, built into the test's folder; undef when it cannot be.
sub build_publisher {
    my ($source) = @_;
    my $program = PostgreSQL::Test::Utils::tempdir() . '/publisher';
    my $compiler = $ENV{CXX} // 'g++';
    return system("$compiler -std=c++20 -O2 $source -o $program -lmosquitto") == 0 ? $program : undef;
}

# A server with the extension, its workers quick. Returns the node.
sub start_server {
    my ($name, $configuration) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init(allows_streaming => 1);
    $node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'\nmax_worker_processes = 20\n");
    $node->append_conf('postgresql.conf', $configuration // '');
    $node->start;
    $node->safe_psql('postgres', 'CREATE EXTENSION historian');
    $server = $node;
    return $node;
}

sub query { return $server->safe_psql('postgres', $_[0]) }

# The answer, or undef when the server is not there.
sub ask {
    my ($sql) = @_;
    my ($code, $out) = $server->psql('postgres', $sql, timeout => 30);
    return $code == 0 ? $out : undef;
}

# A test: the answer becomes true.
sub wait_for {
    my ($sql, $name) = @_;
    ok($server->poll_query_until('postgres', "SELECT ($sql)"), $name)
        or diag(query('SELECT name, state, last_error FROM mqtt_status'));
}

# A test: the statement fails, and what psql says of it, SQLSTATE included, matches.
sub refused {
    my ($sql, $expected, $name) = @_;
    my ($code, $out, $err) = $server->psql('postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
    like($err, $expected, $name);
}

# The access method that the target tables use: HISTORIAN_TEST_AM, or tag where there is one.
sub access_method {
    my ($node) = @_;
    return $ENV{HISTORIAN_TEST_AM} if $ENV{HISTORIAN_TEST_AM};
    return $node->safe_psql('postgres', "SELECT coalesce((SELECT amname FROM pg_am WHERE amname = 'tag'), 'heap')");
}

sub wait_receiving {
    my ($node, $name, $database) = @_;
    $node->poll_query_until($database // 'postgres', "SELECT state = 'receiving' FROM mqtt_status WHERE name = '$name'")
        or die "subscription $name does not receive: " . $node->safe_psql($database // 'postgres', 'SELECT * FROM mqtt_status');
}

sub DESTROY { local $?; $_[0]->stop }

1;
