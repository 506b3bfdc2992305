# Session: one psql, asked one thing at a time. Every line sent goes to a file too, which replays the session with psql -f.
package Session;
use strict;
use warnings;
use IPC::Open2;
use IO::Handle;

# name      of the file that keeps what was sent
# am        access method of the table of ours; what statements call "time" is the column _arrival_time in a log table
sub new
{
    my ($class, $name, $am) = @_;
    my $self = bless { log_name => "$name.sql", time => $am eq 'log' ? '_arrival_time' : '"time"' }, $class;
    open $self->{log}, '>:utf8', $self->{log_name} or die "$self->{log_name}: $!";
    $self->{pid} = open2($self->{out}, $self->{in}, 'exec psql -X -q -A -t 2>&1');
    binmode $self->{out}, ':utf8';
    binmode $self->{in}, ':utf8';
    $self->{in}->autoflush(1);
    $self->ask(<<'SQL');
\set VERBOSITY verbose
SET client_encoding = 'UTF8'; SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres'; SET lc_monetary = 'C';
SET DateStyle = 'ISO, YMD';
SET extra_float_digits = 1; SET bytea_output = 'hex'; SET statement_timeout = '60s'; SET client_min_messages = 'warning';
SQL
    return $self;
}

# Gives (SQLSTATE of the first error or 00000, everything printed). Dies when the server or psql is gone.
sub ask
{
    my ($self, $sql) = @_;
    $sql =~ s/"time"/$self->{time}/g;
    $sql .= ';' unless $sql =~ /(;|\n\\\.)\s*$/;
    my $text = "$sql\n\\echo ~end~ :SQLSTATE\n";
    print { $self->{log} } "$sql\n";
    $self->{log}->flush;
    local $SIG{PIPE} = 'IGNORE';
    print { $self->{in} } $text;
    my $answer = '';
    my $out = $self->{out};
    while (my $line = <$out>)
    {
        if ($line =~ /^~end~ (\S+)/)
        {
            die "the server went away after:\n$sql\n$answer"
                if $1 =~ /^(57P0[123]|08...)$/ || $answer =~ /server closed the connection/;
            chomp $answer;
            my $state = $1;
            return ($answer =~ /^ERROR:  (\w{5}):/m ? $1 : $state, $answer);
        }
        $answer .= $line;
    }
    die "psql ended after:\n$sql\n$answer";
}

# The answer of statements that must succeed.
sub must
{
    my ($self, $sql) = @_;
    my ($state, $answer) = $self->ask($sql);
    die "unexpected error:\n$sql\n$answer\n" if $state ne '00000';
    return $answer;
}

sub close
{
    my ($self) = @_;
    CORE::close $self->{in};
    waitpid $self->{pid}, 0;
    CORE::close $self->{log};
}

1;
