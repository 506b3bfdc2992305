# An rsyslogd of a test's own: loopback, a working folder of its own, nothing of the system's log.
package Rsyslog;

use strict;
use warnings;
use Broker;
use File::Copy qw(copy);
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

# Where Debian and others keep rsyslog's module for PostgreSQL.
sub require_or_skip {
    plan skip_all => 'rsyslogd is needed (package rsyslog)' unless Broker::find_program('rsyslogd');
    plan skip_all => "rsyslog's module ompgsql is needed (package rsyslog-pgsql)"
        unless glob('/{,usr/,usr/local/}lib{,64}/{,*/}rsyslog/ompgsql.so');
}

# Takes the text of a configuration, as for /etc/rsyslog.d, and the port it listens on.
sub new {
    my ($class, %options) = @_;
    my $self = bless { folder => $options{folder}, port => $options{port}, pid => undef }, $class;
    # A mistake in the configuration ends the daemon, instead of taking half of it away.
    append_to_file("$self->{folder}/rsyslog.conf", qq{global(abortOnUncleanConfig="on")\n$options{configuration}});
    # Ubuntu's AppArmor profile lets /usr/sbin/rsyslogd read no other configuration than the system's.
    $self->{program} = "$self->{folder}/rsyslogd";
    copy(Broker::find_program('rsyslogd'), $self->{program}) or die $!;
    chmod 0755, $self->{program};
    return $self;
}

sub start {
    my ($self) = @_;
    $self->{pid} = fork() // die "fork: $!";
    if ($self->{pid} == 0) {
        open STDOUT, '>>', "$self->{folder}/output";
        open STDERR, '>&', \*STDOUT;
        exec $self->{program}, '-n', '-iNONE', '-f', "$self->{folder}/rsyslog.conf" or POSIX::_exit(1);
    }
    for (1 .. 500) {
        return $self if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Proto => 'tcp');
        usleep(20_000);
    }
    die 'rsyslogd did not start: ' . slurp_file("$self->{folder}/output");
}

# Orderly: what is in memory goes to disk.
sub stop {
    my ($self) = @_;
    return unless $self->{pid};
    kill 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    $self->{pid} = undef;
}

# Sends bytes as they are; returns when rsyslog has read them.
sub send_bytes {
    my ($self, $port, $bytes) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'tcp') or die $!;
    print $socket $bytes or die $!;
    $socket->flush or die $!;
    shutdown $socket, 1;
    sysread $socket, my $nothing, 1;
}

# Sends messages of RFC 5424, [priority, host, tag, text as bytes] each. Their length comes before them: any byte may be in them.
sub send_messages {
    my ($self, $port, @messages) = @_;
    my $bytes = '';
    for my $each (@messages) {
        my ($priority, $host, $tag, $text) = @$each;
        my $message = "<$priority>1 2026-01-01T00:00:00Z $host $tag - - - $text";
        $bytes .= length($message) . " $message";
    }
    $self->send_bytes($port, $bytes);
}

sub DESTROY { local $?; $_[0]->stop }

1;
