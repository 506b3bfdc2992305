# Statements: what happens to the two tables. A writing statement is a text with @T@ for the table's name, run on model.h (heap)
# and model.t (ours) one after the other; a tending one concerns only model.t and changes no row.
package Statements;
use strict;
use warnings;
use Exporter qw(import);
use Questions qw(condition);
use Values qw(random_type key_type random_value quote series_expression %wider);
our @EXPORT_OK = qw(random_columns create_sql writing_statement deleting_statement tending_statement);

sub one_of { return $_[int(rand(@_))] }
sub shuffle { my @rest = @_; my @out; push @out, splice(@rest, int(rand(@rest)), 1) while @rest; return @out }
sub names { return join ', ', map { $_->{name} } @_ }

# The first timestamp column is the time, the first other column the tag; anything may stand between and after them.
sub random_columns
{
    my ($am) = @_;
    my @keys = ({ name => 'tag', type => key_type(), role => 'tag' },
        { name => '"time"', type => one_of('timestamptz', 'timestamptz', 'timestamp'), role => 'time' });
    $keys[1]{type} = 'timestamptz' if $am eq 'log';
    $keys[1]{nulls} = rand() < 0.3 ? 'NULL' : 'NOT NULL' if $am eq 'log';
    $Values::no_null_times = ($keys[1]{nulls} // '') eq 'NOT NULL';
    my @before_time = map { random_type() } 1 .. int(rand(3));
    @before_time = grep { !/^timestamp/ } @before_time;
    my @after = map { random_type() } 1 .. int(rand(6));
    my $number = 0;
    my $extra = sub { return { name => 'c' . ++$number, type => $_[0] } };
    return (reverse(@keys), map { $extra->($_) } @before_time, @after) if rand() < 0.2;
    return ($keys[0], (map { $extra->($_) } @before_time), $keys[1], map { $extra->($_) } @after);
}

# Definitions of the columns, the same for both tables.
sub create_sql
{
    my (@columns) = @_;
    my @parts = map {
        my $part = "$_->{name} $_->{type}";
        # A log table completes the definition of its time; the heap table must have the same one.
        $part .= " DEFAULT '2026-01-01 00:00:00+00' $_->{nulls}" if $_->{nulls};
        if (!$_->{role} && rand() < 0.1) { $part .= ' DEFAULT ' . quote(random_value($_->{type}), $_->{type}) }
        $part;
    } @columns;
    push @parts, 'upper_tag text GENERATED ALWAYS AS (upper(tag)) STORED' if $columns[0]{type} eq 'text' && rand() < 0.2;
    return join ', ', @parts;
}

sub literal_rows
{
    my ($count, @columns) = @_;
    my $row = sub { return join ', ', map { quote(random_value($_->{type}, $_->{role}), $_->{type}) } @columns };
    return join ",\n", map { '(' . $row->() . ')' } 1 .. $count;
}

# Many rows only while the table is small: time goes to statements, not to checksums.
sub row_count
{
    my ($state) = @_;
    my $kind = rand();
    my $count = 1 + int(rand($kind < 0.4 ? 5 : $kind < 0.75 ? 300 : $kind < 0.96 ? 6000 : 60_000));
    $count = 1 + $count % 20 if $count > 20 && $state->{rows_sent} + $count > $state->{rows_most};
    $state->{rows_sent} += $count;
    return $count;
}

sub insert_values
{
    my (@columns) = @_;
    # A subset of the columns, in any order: the others get their defaults.
    my @some = rand() < 0.7 ? @columns : grep { rand() < 0.7 } shuffle(@columns);
    return 'INSERT INTO @T@ DEFAULT VALUES' unless @some;
    return sprintf 'INSERT INTO @T@ (%s) VALUES %s', names(@some), literal_rows(rand() < 0.6 ? 1 : 1 + int(rand(40)), @some);
}

sub insert_select
{
    my ($state, @columns) = @_;
    my $select = join ', ', map { series_expression($_->{type}, $_->{role}) } @columns;
    return sprintf 'INSERT INTO @T@ (%s) SELECT %s FROM generate_series(1, %d) AS i%s', names(@columns), $select,
        row_count($state), rand() < 0.3 ? ' ORDER BY i % 7, i DESC' : '';
}

sub insert_prepared
{
    my (@columns) = @_;
    my $sql = sprintf "PREPARE p (%s) AS INSERT INTO \@T@ (%s) VALUES (%s);\n", join(', ', map { $_->{type} } @columns),
        names(@columns), join(', ', map { "\$$_" } 1 .. @columns);
    $sql .= sprintf "EXECUTE p (%s);\n", join(', ', map { quote(random_value($_->{type}, $_->{role}), $_->{type}) } @columns)
        for 1 .. 1 + int(rand(12));
    return $sql . 'DEALLOCATE p';
}

sub copy_escape
{
    my ($value) = @_;
    return '\N' unless defined $value;
    my %escape = ("\\" => '\\\\', "\t" => '\t', "\n" => '\n', "\r" => '\r');
    $value =~ s/([\\\t\n\r])/$escape{$1}/g;
    return $value;
}

sub csv_escape
{
    my ($value) = @_;
    return '' unless defined $value;
    $value =~ s/"/""/g;
    return "\"$value\"";
}

sub copy_inline
{
    my (@columns) = @_;
    my $is_csv = rand() < 0.5;
    my $sql = sprintf "COPY \@T@ (%s) FROM STDIN%s;\n", names(@columns), $is_csv ? ' (FORMAT csv)' : '';
    for (1 .. 1 + int(rand(rand() < 0.2 ? 3000 : 100)))
    {
        my @values = map { random_value($_->{type}, $_->{role}) } @columns;
        # A line of the data that consists of \. would end it, in CSV as well.
        if ($is_csv) { s/^\\\.$/dot/mg for grep { defined } @values }
        $sql .= join($is_csv ? ',' : "\t", map { $is_csv ? csv_escape($_) : copy_escape($_) } @values) . "\n";
    }
    return "$sql\\.";
}

# Rows of the heap table, doubled by way of a file, in a format that psql cannot send.
sub copy_file
{
    my ($state, @columns) = @_;
    my $format = one_of('binary', 'binary', 'csv', 'text');
    my $names = names(@columns);
    # Both reads come after both writes, so that the heap table's new rows are not among them.
    return ["COPY (SELECT $names FROM model.h LIMIT " . row_count($state) . ") TO '$state->{folder}/rows' (FORMAT $format)",
        "COPY \@T@ ($names) FROM '$state->{folder}/rows' (FORMAT $format)"];
}

# A timestamp before the time would be the time: refused, and no matter for a comparison.
sub can_widen
{
    my ($column, @columns) = @_;
    my $type = $wider{ $column->{type} } // return 0;
    return 1 if $type !~ /^timestamp/;
    my ($first) = grep { $_ == $column || ($_->{role} // '') eq 'time' } @columns;
    return $first != $column;
}

# The other table is no part of the condition: it loses its rows first.
sub deleting_condition
{
    my ($state) = @_;
    my $kind = rand();
    # Rows all over the table, by what is in them.
    return sprintf "md5(r::text) < '%02x'", 1 + int(rand(rand() < 0.7 ? 20 : 256)) if $kind < 0.5;
    return 'true' if $kind < 0.53;
    while (1)
    {
        my $condition = condition($state);
        return $condition if $condition !~ /model\.h/;
    }
}

# Those with RETURNING give a digest of what they deleted.
sub deleting_statement
{
    my ($state) = @_;
    my $where = deleting_condition($state);
    my $digest = sub {
        return "WITH gone AS ($_[0]) SELECT count(*), md5(coalesce(string_agg(md5(row), '' ORDER BY md5(row)), '')) FROM gone";
    };
    my $kind = rand();
    return "DELETE FROM \@T\@ AS r WHERE $where" if $kind < 0.3;
    return $digest->("DELETE FROM \@T\@ AS r WHERE $where RETURNING r::text AS row") if $kind < 0.7;
    my ($tag) = grep { ($_->{role} // '') eq 'tag' } @{ $state->{columns} };
    my $tags = join ', ', map { '(' . quote(random_value($tag->{type}, 'tag'), $tag->{type}) . ')' } 1 .. 3;
    # A row that two others match is deleted once, and MERGE refuses it on both tables.
    return $digest->("DELETE FROM \@T\@ AS r USING (VALUES $tags) AS v (wanted) WHERE r.tag = v.wanted AND $where "
            . 'RETURNING r::text AS row') if $kind < 0.85;
    return "MERGE INTO \@T\@ AS r USING (SELECT DISTINCT wanted::text AS wanted FROM (VALUES $tags) AS v (wanted)) AS w "
        . "ON r.tag::text = w.wanted AND $where WHEN MATCHED THEN DELETE";
}

# Gives a list of texts for both tables; those without @T@ are run once. $state: see test/model/run.
sub writing_statement
{
    my ($state) = @_;
    my @columns = @{ $state->{columns} };
    my @free = grep { !$_->{role} } @columns;
    my $kind = rand();
    return insert_values(@columns) if $kind < 0.3;
    return insert_select($state, @columns) if $kind < 0.55;
    return insert_prepared(@columns) if $kind < 0.65;
    return copy_inline(@columns) if $kind < 0.78;
    return @{ copy_file($state, @columns) } if $kind < 0.85;
    return deleting_statement($state) if rand() < 0.45;
    return insert_values(@columns) if $state->{snapshot_open};    # what follows would wait for the other session's lock
    return 'TRUNCATE @T@' if $kind < 0.87;
    if ($kind < 0.93)
    {
        my $new = { name => 'd' . ++$state->{added}, type => random_type() };
        $state->{columns} = [@columns, $new];
        return "ALTER TABLE \@T\@ ADD COLUMN $new->{name} $new->{type}"
            . (rand() < 0.6 ? ' DEFAULT ' . quote(random_value($new->{type}), $new->{type}) : '');
    }
    if ($kind < 0.955 && @free)
    {
        my $gone = one_of(@free);
        $state->{columns} = [grep { $_ != $gone } @columns];
        return "ALTER TABLE \@T\@ DROP COLUMN $gone->{name}";
    }
    if ($kind < 0.975 && (my @can_widen = grep { can_widen($_, @columns) } @free))
    {
        my $column = one_of(@can_widen);
        my $type = $wider{ $column->{type} };
        $state->{columns} = [map { $_ == $column ? { %$_, type => $type } : $_ } @columns];
        return "ALTER TABLE \@T\@ ALTER COLUMN $column->{name} TYPE $type";
    }
    if ($kind < 0.985 && @free)
    {
        my $column = one_of(@free);
        my $name = 'e' . ++$state->{added};
        $state->{columns} = [map { $_ == $column ? { %$_, name => $name } : $_ } @columns];
        return "ALTER TABLE \@T\@ RENAME COLUMN $column->{name} TO $name";
    }
    return insert_select($state, @columns);
}

# What keeps the rows as they are. Outside of transactions only, and while no other session holds a lock for those marked so.
sub tending_statement
{
    my ($state) = @_;
    my @kinds = (('VACUUM model.t') x 2, 'VACUUM (FREEZE, ANALYZE) model.t', 'ANALYZE model.t', 'CHECKPOINT',
        'SELECT pg_sleep(0.05)');
    push @kinds, ("CALL compact('model.t')") x 8, ("SELECT historian_check('model.t')") x 2 if $state->{am} ne 'heap';
    if (!$state->{snapshot_open})
    {
        push @kinds, 'VACUUM FULL model.t',
            "ALTER TABLE model.t SET ACCESS METHOD heap; ALTER TABLE model.t SET ACCESS METHOD $state->{am}";
    }
    return one_of(@kinds);
}

1;
