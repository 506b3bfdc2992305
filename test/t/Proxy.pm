# A TCP proxy between an MQTT client and its broker that makes trouble on order and keeps book of what passed: which numbered
# messages the broker delivered, how often, and how often the client acknowledged them.
#
# A message's number is the last one of its payload, as test/publisher.cpp writes it. A delivery counts when the proxy has read it
# from the broker, an acknowledgement when the proxy has read it from the client, whether or not it was passed on. So whoever
# stores before he acknowledges stores each number at least as often as it was acknowledged, and at most as often as delivered.
package Proxy;

use strict;
use warnings;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Cluster;
use Socket qw(AF_UNIX IPPROTO_TCP PF_UNSPEC SOCK_STREAM TCP_NODELAY);
use Time::HiRes qw(time);

use constant { PUBLISH => 3, PUBACK => 4, CONNECT => 1 };
use constant READ_BYTES => 64 * 1024;
use constant BUFFER_BYTES_MAX => 1024 * 1024;    # what is under way: more is not read

sub new {
    my ($class, $target_port) = @_;
    return bless { port => PostgreSQL::Test::Cluster::get_free_port(), target => $target_port }, $class;
}

sub url { return "mqtt://127.0.0.1:$_[0]->{port}" }

sub start {
    my ($self) = @_;
    $self->{listener} = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $self->{port}, Listen => 20, ReuseAddr => 1) or die "listen: $!";
    socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!";
    $self->{pid} = fork() // die "fork: $!";
    if ($self->{pid} == 0) {
        close $ours;
        $self->{control} = $theirs;
        local $SIG{PIPE} = 'IGNORE';
        eval { $self->serve; 1 } or print STDERR "proxy: $@";
        POSIX::_exit(0);
    }
    close $theirs;
    close $self->{listener};
    $ours->autoflush;
    $self->{control} = $ours;
    return $self;
}

# Closes every connection, on both sides.
sub cut { return $_[0]->order('cut') }
# Passes nothing on for some seconds, and reads nothing; then goes on. Connections stay open: a network that is gone.
sub stall { return $_[0]->order("stall $_[1]") }
# Takes what the client sends for some seconds and throws it away; then closes every connection.
sub swallow { return $_[0]->order("swallow $_[1]") }
# Writes a line for each number delivered: number, deliveries, acknowledgements.
sub report { return $_[0]->order("report $_[1]") }

sub order {
    my ($self, $order) = @_;
    print { $self->{control} } "$order\n";
    my $control = $self->{control};
    return scalar <$control>;
}

sub stop {
    my ($self) = @_;
    return unless $self->{pid};
    close $self->{control};    # the proxy ends at the end of its orders
    waitpid $self->{pid}, 0;
    $self->{pid} = undef;
}

sub DESTROY { local $?; $_[0]->stop }

# ------------------------------------------------------------------------------------------------------------ in the process

sub serve {
    my ($self) = @_;
    $self->{$_} = '' for qw(delivered acknowledged);    # 16-bit counts, by number
    $self->{links} = [];
    $self->{quiet_until} = $self->{swallow_until} = 0;
    for (;;) {
        $self->end_swallowing if $self->{swallow_until} && time >= $self->{swallow_until};
        my $is_quiet = time < $self->{quiet_until};
        my ($readers, $writers) = (IO::Select->new($self->{control}, $self->{listener}), IO::Select->new);
        for my $link ($is_quiet ? () : @{ $self->{links} }) {
            $readers->add($link->{client}) if length $link->{to_broker} < BUFFER_BYTES_MAX;
            $readers->add($link->{broker}) if length $link->{to_client} < BUFFER_BYTES_MAX;
            $writers->add($link->{client}) if length $link->{to_client};
            $writers->add($link->{broker}) if length $link->{to_broker};
        }
        my ($can_read, $can_write) = IO::Select->select($readers, $writers, undef, 0.05);
        my %ready = map { (fileno $_, 1) } @{ $can_read // [] };
        my %writable = map { (fileno $_, 1) } @{ $can_write // [] };
        return if $ready{ fileno $self->{control} } && !$self->obey;
        $self->accept_client if $ready{ fileno $self->{listener} };
        for my $link (@{ $self->{links} }) {
            next if $link->{is_new} && delete $link->{is_new};
            next if $link->{is_closed};
            $self->pass_on($link, \%ready, \%writable);
        }
        $_->{is_closed} && close_link($_) for @{ $self->{links} };
        $self->{links} = [ grep { !$_->{is_closed} } @{ $self->{links} } ];
    }
}

# One order, answered when it is under way; false at the end of orders.
sub obey {
    my ($self) = @_;
    my $bytes = '';
    sysread $self->{control}, $bytes, 4096 or return 0;
    my ($what, $how) = split ' ', $bytes;
    $_->{is_closed} = 1 for $what eq 'cut' ? @{ $self->{links} } : ();
    $self->{quiet_until} = time + $how if $what eq 'stall';
    $self->{swallow_until} = time + $how if $what eq 'swallow';
    $self->write_report($how) if $what eq 'report';
    syswrite $self->{control}, "done\n";
    return 1;
}

sub end_swallowing {
    my ($self) = @_;
    $self->{swallow_until} = 0;
    $_->{is_closed} = 1 for @{ $self->{links} };
}

sub write_report {
    my ($self, $path) = @_;
    open my $file, '>', $path or die "$path: $!";
    for my $number (0 .. length($self->{delivered}) / 2 - 1) {
        my $delivered = vec $self->{delivered}, $number, 16;
        print $file "$number\t$delivered\t", vec($self->{acknowledged}, $number, 16), "\n" if $delivered;
    }
    close $file;
}

sub accept_client {
    my ($self) = @_;
    my $client = $self->{listener}->accept or return;
    my $broker = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{target}, Proto => 'tcp');
    return close $client unless $broker;    # the broker is away: the client is refused too
    $_->blocking(0), setsockopt($_, IPPROTO_TCP, TCP_NODELAY, 1) for $client, $broker;
    push @{ $self->{links} }, {
        client => $client, broker => $broker,
        to_client => '', to_broker => '',      # read, not yet passed on
        from_client => '', from_broker => '',  # the beginning of a packet
        level => 0,                            # of the protocol: 4 or 5
        numbers => {},                         # of the messages that wait for PUBACK, by packet id
        is_new => 1,
    };
}

sub close_link {
    my ($link) = @_;
    close $link->{client};
    close $link->{broker};
}

sub pass_on {
    my ($self, $link, $ready, $writable) = @_;
    my ($client, $broker) = (fileno $link->{client}, fileno $link->{broker});
    if ($ready->{$broker}) {
        my $bytes = read_some($link->{broker}) // return $link->{is_closed} = 1;
        $link->{to_client} .= $bytes;
        $self->note_packets($link, 'from_broker', $bytes);
    }
    if ($ready->{$client}) {
        my $bytes = read_some($link->{client}) // return $link->{is_closed} = 1;
        $link->{to_broker} .= $bytes unless $self->{swallow_until};
        $self->note_packets($link, 'from_client', $bytes);
    }
    write_some($link->{client}, \$link->{to_client}) or return $link->{is_closed} = 1 if $writable->{$client};
    write_some($link->{broker}, \$link->{to_broker}) or return $link->{is_closed} = 1 if $writable->{$broker};
}

# Bytes, or undef at the end.
sub read_some {
    my ($socket) = @_;
    my $count = sysread $socket, my $bytes, READ_BYTES;
    return $bytes if $count;
    return defined $count || !$!{EAGAIN} ? undef : '';
}

sub write_some {
    my ($socket, $buffer) = @_;
    my $count = syswrite $socket, $$buffer;
    return $!{EAGAIN} unless defined $count;
    substr $$buffer, 0, $count, '';
    return 1;
}

# Looks at the packets that are complete.
sub note_packets {
    my ($self, $link, $side, $bytes) = @_;
    my $packets = $link->{$side} . $bytes;
    my $at = 0;
    while (length($packets) - $at >= 2) {
        my ($header, $length, $shift, $body) = (ord(substr $packets, $at, 1), 0, 0, $at + 1);
        my $byte = 128;
        while ($byte & 128 && $body < length $packets) {
            $byte = ord substr $packets, $body++, 1;
            $length |= ($byte & 127) << $shift;
            $shift += 7;
        }
        last if $byte & 128 || length($packets) - $body < $length;
        $self->note_packet($link, $header, substr $packets, $body, $length);
        $at = $body + $length;
    }
    $link->{$side} = substr $packets, $at;
}

sub note_packet {
    my ($self, $link, $header, $body) = @_;
    my $type = $header >> 4;
    if ($type == CONNECT) {
        (undef, $link->{level}) = unpack 'n/a C', $body;
    } elsif ($type == PUBACK) {
        my $number = delete $link->{numbers}{ unpack 'n', $body } // return;
        ++vec($self->{acknowledged}, $number, 16);
    } elsif ($type == PUBLISH && $header & 6) {
        my (undef, $id, $rest) = unpack 'n/a n a*', $body;
        # MQTT 5: the properties, fewer than 128 bytes of them here, before the payload.
        $rest = substr $rest, 1 + ord $rest if $link->{level} == 5;
        my ($number) = $rest =~ /(\d+)\]\z/ or return;
        $link->{numbers}{$id} = $number;
        ++vec($self->{delivered}, $number, 16);
    }
}

1;
