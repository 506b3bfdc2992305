# Aggregates: the same groups of both tables, by PostgreSQL's own nodes and by HistorianAggregate, in every kind of plan.
#
# What is exact is compared as text. Sums of floats depend on the order of rows: they are compared with a tolerance, of groups
# whose values are all moderate.
package Aggregates;
use strict;
use warnings;
use Exporter qw(import);
use Questions qw(condition digest_sql);
use Values qw(random_value quote);
our @EXPORT_OK = qw(aggregate_faults aggregates_by_node);

my ($by_node, $asked) = (0, 0);
sub aggregates_by_node { return "$by_node of $asked aggregates by HistorianAggregate" }

sub one_of { return $_[int(rand(@_))] }
sub column { my ($state, $role) = @_; my ($found) = grep { ($_->{role} // '') eq $role } @{ $state->{columns} }; return $found }
sub numbers { my ($state, $types) = @_; return grep { !$_->{role} && $_->{type} =~ /^($types)$/ } @{ $state->{columns} } }

# A condition without a subquery, which HistorianAggregate leaves to others.
sub plain_condition
{
    my ($state) = @_;
    while (1)
    {
        my $condition = condition($state);
        return $condition if $condition !~ /SELECT/ || rand() < 0.1;
    }
}

sub random_bucket
{
    my ($state) = @_;
    my $zone = one_of('Europe/Berlin', 'America/St_Johns', 'Asia/Kolkata', 'UTC');
    my $width = one_of('1 s', '7 s', '1 min', '40 min', '1 hour', '1 day', '3 days 1 hour');
    my $unit = one_of(qw(second minute hour day week month year));
    my $bin = one_of("date_bin('$width', \"time\", '2000-01-01')", "time_bucket('$width', \"time\")",
        "time_bucket('$width', \"time\", '2001-01-01 00:15'::" . column($state, 'time')->{type} . ')');
    my @buckets = ('"time"', $bin, $bin, "date_trunc('$unit', \"time\")", '"time"::date', "($bin)::date",
        'floor(extract(epoch from "time") / 300) * 300', "extract(epoch from $bin)", 'extract(epoch from "time")::int8 / 60');
    push @buckets, "date_trunc('$unit', \"time\", '$zone')", "$bin AT TIME ZONE '$zone'", "date_trunc('day', \"time\")::date",
        "to_timestamp(floor(extract(epoch from \"time\") / 900) * 900)", "time_bucket('1 day', \"time\", '$zone')",
        "date_trunc('$unit', $bin, '$zone')" if column($state, 'time')->{type} eq 'timestamptz';
    return one_of(@buckets);
}

sub exact_aggregate
{
    my ($state) = @_;
    my ($any) = one_of(@{ $state->{columns} });
    my @kinds = (sub { 'count(*)' }, sub { "count($any->{name})" }, sub { one_of('min', 'max') . '("time")' });
    if (my @integers = numbers($state, 'int[248]'))
    {
        my $column = one_of(@integers);
        my @functions = qw(sum avg min max count);
        push @functions, qw(variance stddev_pop) if $column->{type} ne 'int8';
        push @kinds, (sub { one_of(@functions) . "($column->{name})" }) x 3;
    }
    if (my @floats = numbers($state, 'float[48]|model\.level'))
    {
        # Of -0 and 0 either may be the least.
        push @kinds, (sub { one_of('min', 'max') . '(' . one_of(@floats)->{name} . ') + 0' }) x 2;
    }
    my @times = numbers($state, 'date|time|timestamp(tz)?');
    push @kinds, sub { one_of('min', 'max') . '(' . one_of(@times)->{name} . ')' } if @times;
    my @truths = numbers($state, 'bool');
    push @kinds, sub { one_of('bool_and', 'bool_or', 'every') . '(' . one_of(@truths)->{name} . ')' } if @truths;
    my $aggregate = one_of(@kinds)->();
    return $aggregate if rand() < 0.75;
    my $filter = ' FILTER (WHERE ' . plain_condition($state) . ')';
    return $aggregate =~ s/( \+ 0)?$/$filter . ($1 \/\/ '')/er;
}

# The least and the greatest number say whether a sum of all is exact enough.
sub float_sums
{
    my ($state) = @_;
    my @floats = numbers($state, 'float8|model\.level') or return;
    my $name = one_of(@floats)->{name};
    return { sums => [one_of('sum', 'avg') . "($name)", "sum($name)"], having => "min($name) > -1e7 AND max($name) < 1e7" };
}

# Gives { sql, sums }: a query of groups, and the names of its columns that are sums of floats.
sub random_groups
{
    my ($state) = @_;
    my ($by_tag, $by_bucket) = (rand() < 0.5, rand() < 0.6);
    # Floats that are equal may differ in bytes, and may be shown as either.
    my $shows_tag = column($state, 'tag')->{type} !~ /^float/;
    my @groups = (($by_tag ? 'tag' : ()), ($by_bucket ? random_bucket($state) : ()), (rand() < 0.05 ? "'x'::text" : ()));
    # Some tags are joined with two rows, some with none.
    my $join = rand() < 0.8 ? '' : ' JOIN (SELECT DISTINCT tag AS joined_tag, "time" IS NULL AS joined_part FROM model.h WHERE '
        . one_of('true', '"time" < \'2026-01-01\'') . ') AS joined ON joined_tag ' . one_of('=', '=', '>') . ' tag';
    my @shown = grep { $_ ne 'tag' || $shows_tag } @groups;
    my @aggregates = map { exact_aggregate($state) } 1 .. 1 + int(rand(4));
    my $float = rand() < 0.5 ? float_sums($state) : undef;
    my @conditions = rand() < 0.5 ? plain_condition($state) : ();
    # Of times at the ends of the calendar buckets are errors, or are not, as the rows of a bucket are looked at.
    push @conditions, '"time" > \'1000-01-01\' AND "time" < \'9000-01-01\'' if $by_bucket && "@groups" ne '"time"';
    push @conditions, 'tag = $2' if $state->{has_parameters};
    if ($join && rand() < 0.5) { push $_->@*, 'joined_part' for \@groups, \@shown }
    my @having = $float ? "($float->{having})" : ();
    push @having, one_of('count(*) > 1', 'count(*) % 2 = 0', 'max("time") IS NOT NULL') if rand() < 0.3;
    my $number = 0;
    my $sql = 'SELECT ' . join(', ', (map { "$_ AS g" . ++$number } @shown), (map { "$_ AS a" . ++$number } @aggregates),
        (map { "$_ AS s" . ++$number } $float ? @{ $float->{sums} } : ())) . ' FROM @T@' . $join;
    $sql .= ' WHERE ' . join ' AND ', map { "($_)" } @conditions if @conditions;
    $sql .= ' GROUP BY ' . join ', ', @groups if @groups;
    $sql .= ' HAVING ' . join ' AND ', @having if @having;
    if (@groups && @shown == @groups && rand() < ($float ? 1 : 0.4))
    {
        my $order = join ', ', map { "$_ " . one_of('', 'DESC') } 1 .. @groups;
        $sql .= " ORDER BY $order LIMIT " . (1 + int(rand(200)));
    }
    elsif (@groups && $float) { return random_groups($state) }
    $sql =~ s/date_bin\('[^']*'/date_bin(\$1/ if $state->{has_parameters};
    my @sums = map { 's' . ($number - $_) } $float ? (1, 0) : ();
    my @exact = map { ($_ <= @shown ? 'g' : 'a') . $_ } 1 .. $number - @sums;
    my $row = 'ROW(' . join(', ', @exact) . ')::text';
    return @sums ? "SELECT md5($row), " . join(', ', @sums) . " FROM ($sql) AS q ORDER BY md5($row)" : digest_sql($sql);
}

# Whether two answers are the same but for the last digits of sums.
sub is_same
{
    my ($a, $b) = @_;
    return 1 if $a eq $b;
    my @fields = map { [split /[|\n]/, $_, -1] } $a, $b;
    return 0 if @{ $fields[0] } != @{ $fields[1] };
    for my $i (0 .. $#{ $fields[0] })
    {
        my ($x, $y) = map { $_->[$i] } @fields;
        next if $x eq $y;
        my $number = qr/^-?\d+(\.\d+)?(e[-+]\d+)?$/;
        return 0 if $x !~ $number || $y !~ $number || abs($x - $y) > 1e-4 + 1e-9 * abs($x);
    }
    return 1;
}

# first() and last() of groups that have one row at their first and last time.
sub first_last_question
{
    my ($state) = @_;
    my @numbers = numbers($state, 'int[248]|float[48]|model\.level|bool|date') or return;
    my $name = one_of(@numbers)->{name};
    my $where = rand() < 0.5 ? 'true' : plain_condition($state);
    my $rows_at = sub {
        return "(SELECT count(*) FROM model.h WHERE tag IS NOT DISTINCT FROM q.g AND \"time\" = q.$_[0] AND ($where)) = 1";
    };
    my $add = (grep { $_->{name} eq $name && $_->{type} =~ /float|level/ } @numbers) ? ' + 0' : '';
    return digest_sql('SELECT CASE WHEN ' . $rows_at->('t0') . ' THEN f END, CASE WHEN ' . $rows_at->('t1') . ' THEN l END, '
            . "t0, t1 FROM (SELECT tag AS g, min(\"time\") AS t0, max(\"time\") AS t1, first($name, \"time\")$add AS f, "
            . "last($name, \"time\")$add AS l FROM \@T\@ WHERE $where GROUP BY tag) AS q");
}

# Gives what is wrong.
sub aggregate_faults
{
    my ($session, $state) = @_;
    my $tag = column($state, 'tag');
    local $state->{has_parameters} = rand() < 0.25;
    my $is_prepared = $state->{has_parameters};
    my @calls = map { [one_of('1 min', '7 s', '1 day'), quote(random_value($tag->{type}, 'tag'))] } 1 .. 3;
    my $sql = (!$is_prepared && rand() < 0.15 ? first_last_question($state) : undef) // random_groups($state);
    my $ask = sub {
        my ($table, $mode) = @_;
        my $text = $sql =~ s/\@T\@/model.$table/gr;
        $text = "DEALLOCATE ALL;\nSET plan_cache_mode = $mode;\nPREPARE aggregate (interval, $tag->{type}) AS $text;\n"
            . join("\n", map { "EXECUTE aggregate ('$_->[0]', $_->[1]);" } @calls) if $is_prepared;
        $session->must('SAVEPOINT aggregate') if $state->{in_transaction};
        my $answer = join "\n", $session->ask($text);
        $session->must('ROLLBACK TO aggregate; RELEASE aggregate') if $state->{in_transaction};
        return $answer =~ /^00000/ ? $answer : substr($answer, 0, 5);
    };
    my $heap = $ask->('h', 'auto');
    return if $heap eq '57014';
    $asked++;
    my $shown = $sql =~ s/\@T\@/model.t/gr =~ s/\$1/'1 min'/gr =~ s/\$2/$calls[0][1]/gr;
    $session->must('SAVEPOINT aggregate') if $state->{in_transaction};
    my ($code, $plan) = $session->ask("EXPLAIN (COSTS OFF) $shown");
    $session->must('ROLLBACK TO aggregate; RELEASE aggregate') if $state->{in_transaction};
    $by_node++ if $plan =~ /HistorianAggregate/;
    my @faults;
    for my $mode ($is_prepared ? ('force_generic_plan', 'force_custom_plan') : 'auto')
    {
        for my $setting ('on', 'off')
        {
            $session->must("SET historian.enable_aggregate = $setting");
            my $ours = $ask->('t', $mode);
            # Sums of floats may leave their range in one order of rows and not in another.
            next if "$heap $ours" =~ /\b22003\b/ && $sql =~ /\bs\d+/;
            push @faults, "other aggregates, enable_aggregate = $setting, $mode:\n$sql\nheap:\n$heap\nours:\n$ours"
                if !is_same($heap, $ours);
        }
    }
    $session->must('RESET historian.enable_aggregate; RESET plan_cache_mode');
    return @faults;
}

1;
