# For the crash test: a log table with a retention policy, to which one session adds rows with ascending numbers and of which it
# deletes the oldest by count, while the policy does the same.
#
# After a crash all numbers are there, once each, from some number on: nothing acknowledged that nobody wanted deleted is gone,
# and nothing is back whose deletion was acknowledged.
package Retained;
use strict;
use warnings;
use PostgreSQL::Test::Utils;

use constant KEPT => 3000;    # rows, by the policy

sub new
{
    my ($class, $node) = @_;
    $node->safe_psql('postgres', 'CREATE TABLE recent (n int, msg text) USING log;'
        . "SELECT set_retention('recent', rows => @{[KEPT]})");
    # Added to $last, or to $maybe when that COMMIT was not answered. The first one is between $first_from (what was deleted is
    # gone) and $first_to (nobody wanted more deleted).
    return bless { node => $node, last => 0, maybe => 0, first_from => 1, first_to => 1 }, $class;
}

# What a session is to do next: (text before the server's answer, SQL, text after it).
sub work
{
    my ($self) = @_;
    if (rand() < 0.2)
    {
        my $rows = int(rand(400));
        return ("delete $rows\n", "SELECT delete_oldest('recent', rows => $rows);\n", "deleted $rows\n");
    }
    my $first = $self->{last} + 1;
    my $last = $self->{last} += 1 + int(rand(500));
    return ("add $last\n", "INSERT INTO recent SELECT i, 'record number' || i, timestamptz '2026-01-01' + i * interval '1 ms' "
        . "FROM generate_series($first, $last) AS i;\n", "added $last\n");
}

sub read_log
{
    my ($self, $log) = @_;
    for my $line (split /\n/, slurp_file($log))
    {
        my ($what, $n) = split / /, $line;
        if ($what eq 'add') { $self->{maybe} = $n }
        elsif ($what eq 'added') { $self->{last} = $n }
        elsif ($what eq 'delete') { $self->{first_to} += $n }
        elsif ($what eq 'deleted') { $self->{first_from} += $n }
        my $policy = $self->{maybe} - KEPT + 1;
        $self->{first_to} = $policy if $self->{first_to} < $policy;
        # All that there was is deleted: the next one is the first.
        $self->{first_from} = $self->{last} + 1 if $self->{first_from} > $self->{last} + 1;
    }
}

# What is wrong, as text; nothing when all is well. What the log leaves in doubt is decided from now on.
sub faults
{
    my ($self, $log) = @_;
    $self->read_log($log);
    my ($count, $distinct, $first, $last, $found) = split /\|/, $self->{node}->safe_psql('postgres', 'SELECT count(*), '
        . "count(DISTINCT n), min(n), max(n), count(*) FILTER (WHERE msg @@ search('number' || n)) FROM recent");
    my $newest = $self->{node}->safe_psql('postgres', 'SELECT n FROM recent LIMIT 1');
    my $expected = "first $self->{first_from} to $self->{first_to}, last $self->{last} or $self->{maybe}";
    if (!$count)
    {
        return $self->{first_to} > $self->{last} ? () : ("the table with a policy is empty; expected: $expected");
    }
    my $is_right = $count == $last - $first + 1 && $distinct == $count && $found == $count && $newest == $last
        && ($last == $self->{last} || $last == $self->{maybe}) && $first >= $self->{first_from} && $first <= $self->{first_to};
    return ("the table with a policy holds $count rows ($distinct distinct, $found with their word), $first to $last, first "
        . "$newest; expected: $expected") if !$is_right;
    $self->{last} = $self->{maybe} = $last;
    $self->{first_from} = $self->{first_to} = $first;
    my ($status, $out, $err) = $self->{node}->psql('postgres', "SELECT historian_check('recent')");
    return $status == 0 ? () : ("historian_check of the table with a policy: $err");
}

# Whether no more rows are left than are to be kept.
sub is_trimmed
{
    my ($self) = @_;
    return $self->{node}->safe_psql('postgres', 'SELECT count(*) FROM recent') <= KEPT;
}

sub summary
{
    my ($self) = @_;
    return "$self->{last} rows were added to the table with a policy, which deleted " . $self->{node}->safe_psql('postgres',
        "SELECT total_rows_deleted FROM retention_policies WHERE relation = 'recent'::regclass");
}

1;
