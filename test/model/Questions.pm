# Questions: what is asked of both tables. Answers are compared as text, so that -0 and 0, 1.0 and 1.00 are different.
package Questions;
use strict;
use warnings;
use Exporter qw(import);
use Values qw(random_value quote);
our @EXPORT_OK = qw(digest_sql condition random_question random_settings cursor_faults sample_faults identity_faults
    order_faults tag_order_faults);

sub one_of { return $_[int(rand(@_))] }

# Row count and checksum of a query's rows, in no order.
sub digest_sql
{
    my ($query) = @_;
    return "SELECT count(*), md5(coalesce(string_agg(md5(r::text), '' ORDER BY md5(r::text)), '')) FROM ($query) AS r";
}

# Plans of every shape.
sub random_settings
{
    my @settings = map { "SET $_ = " . (rand() < 0.75 ? 'on' : 'off') }
        qw(enable_seqscan enable_hashjoin enable_mergejoin enable_nestloop enable_hashagg enable_material enable_memoize
        enable_sort);
    push @settings, 'SET max_parallel_workers_per_gather = ' . one_of(0, 2),
        'SET min_parallel_table_scan_size = ' . one_of("'0'", "'8MB'"),
        'SET parallel_setup_cost = ' . one_of(0, 1000), 'SET parallel_tuple_cost = ' . one_of(0, 0.1),
        'SET parallel_leader_participation = ' . one_of('on', 'off'), "SET work_mem = '" . one_of('64kB', '4MB') . "'",
        'SET plan_cache_mode = ' . one_of('auto', 'force_generic_plan', 'force_custom_plan'), 'SET jit = off';
    return join(";\n", @settings) . ';';
}

sub column { my ($state, $role) = @_; my ($found) = grep { ($_->{role} // '') eq $role } @{ $state->{columns} }; return $found }

sub tag_condition
{
    my ($state) = @_;
    my $type = column($state, 'tag')->{type};
    my $tag = sub { return quote(random_value($type, 'tag'), $type) };
    my $list = sub { return join ', ', map { $tag->() } 1 .. 1 + int(rand(5)) };
    my @kinds = (sub { 'tag = ' . $tag->() }, sub { 'tag = ' . $tag->() }, sub { 'tag IN (' . $list->() . ')' },
        sub { 'tag = ANY (ARRAY[' . $list->() . "]::$type\[])" }, sub { 'tag IS NULL' }, sub { 'tag <> ' . $tag->() },
        sub { 'tag > ' . $tag->() }, sub { 'tag = (SELECT ' . $tag->() . "::$type)" }, sub { $tag->() . ' = tag' },
        sub { 'tag IN (SELECT tag FROM model.h WHERE tag IS NOT NULL ORDER BY tag LIMIT 2)' });
    my $begin = sub { return one_of('', 't', 'tag', 'tag1', 'tag12', "caf\x{e9}", 'value ', 'tah') };
    push @kinds, sub { "tag LIKE '" . $begin->() . one_of('%', '%', '_', '_%', '') . "'" },
        sub { 'tag LIKE ' . $tag->() }, sub { "tag ^@ '" . $begin->() . "'" }, sub { 'starts_with(tag, ' . $tag->() . ')' },
        sub { 'tag COLLATE "C" ' . one_of('<', '<=', '>', '>=') . ' ' . $tag->() },
        sub { "tag = 'tag3'" }, sub { "tag >= 'tag2' AND tag < 'tag5'" },
        sub { "upper(tag) = 'TAG4'" } if $type eq 'text';
    return one_of(@kinds)->();
}

sub time_condition
{
    my ($state) = @_;
    my $type = column($state, 'time')->{type};
    my $time = sub { return quote(random_value($type, 'time'), $type) };
    return one_of(
        sub { '"time" >= ' . $time->() . ' AND "time" < ' . $time->() },
        sub { '"time" BETWEEN ' . $time->() . ' AND ' . $time->() },
        sub { '"time" = ' . $time->() },
        sub { '"time" ' . one_of('<', '<=', '>', '>=') . ' ' . $time->() },
        sub { '"time" IS NULL' },
        sub { $time->() . ' < "time"' },
        sub { "\"time\" >= timestamptz '2026-01-02 00:00:00+00' - interval '1 hour'" },
        sub { "\"time\" < date '2026-01-03'" },
        sub { "\"time\" >= timestamp '2026-01-01 00:00:05' AND \"time\" <= timestamptz '2026-01-01 00:10:00+00'" },
        sub {
            # Times at the ends of the calendar cannot be rounded.
            my $unit = one_of(qw(microseconds second minute hour day week month quarter year decade));
            my $rounded = one_of("date_trunc('$unit', \"time\")", "date_bin('1 hour', \"time\", '2000-01-01')",
                "date_bin('2 days 1 s', \"time\", '2026-03-01 00:00:07')");
            my $value = one_of('2026-01-02', '2026-01-01 05:00', '2026-01-01 00:00:05', '2024-12-30', '-infinity');
            my $op = one_of('<', '<=', '=', '>=', '>');
            return "\"time\" > '1000-01-01' AND \"time\" < '9000-01-01' AND $rounded $op '$value'";
        },
        sub { '"time"::date ' . one_of('<', '<=', '=', '>=', '>') . " '" . one_of('2026-01-02', 'infinity', '1999-12-31') . "'" },
        sub { '"time" > (SELECT min("time") FROM model.h WHERE isfinite("time"))' },
        sub { 'NOT ("time" < ' . $time->() . ')' })->();
}

# What an index of words may answer. The values that it is about: text_value() and series_expression() in Values.pm.
sub word_condition
{
    my ($name) = @_;
    my $number = int(rand(3000));
    my $word = one_of('value', 'message', 'tab', 'there', 'x', 'quote', $number, 'message ' . $number, 'value ' . int(rand(6)));
    my $query = one_of($word, $word, $word, "value | $word", "-$word", "message -$word", "$word $word", 'val*', '*ue', 'm*e', '*',
        "\x{bbfc}\x{ad6d}", "\x{ad6d}", "CAF\x{c9}", "\"$word\"", "NOT (value | message)", '', '...');
    $query = quote($query);
    return "$name @@ search($query)" if rand() < 0.5;
    return "search($query) @@ $name" if rand() < 0.1;
    return one_of("$name LIKE '%$word%'", "$name LIKE '$word%'", "$name LIKE 'value _'", "$name LIKE '$word'",
        "$name ILIKE '% $number'", "$name ILIKE 'MESSAGE $number'", "$name ~ 'message $number'", "$name ~ 'e [0-9]+\$'",
        "$name ~* 'VALUE . '", "$name NOT LIKE '$word%'",
        "$name = '$word'", "$name IN ('$word', 'message 7', 'value 1')", "$name = '$word' OR $name @@ search($query)");
}

sub value_condition
{
    my ($state) = @_;
    my ($column) = one_of(@{ $state->{columns} });
    return word_condition($column->{name}) if $column->{type} eq 'text' && rand() < 0.6;
    if ($column->{type} =~ /^(int[248]|float[48]|model\.level|date|time|timestamp(tz)?)$/ && rand() < 0.5)
    {
        my $value = sub { return quote(random_value($column->{type}, $column->{role}), $column->{type}) };
        return "$column->{name} BETWEEN " . $value->() . ' AND ' . $value->() if rand() < 0.3;
        return $value->() . ' >= ' . $column->{name} if rand() < 0.1;
        return "$column->{name} = ANY (ARRAY[" . $value->() . ', ' . $value->() . "]::$column->{type}\[])" if rand() < 0.1;
        return "$column->{name} > 20.5" if $column->{type} =~ /float|level/ && rand() < 0.3;
        return "$column->{name} " . one_of('<', '<=', '=', '>=', '>') . ' ' . $value->();
    }
    my $has_keys = qr/^(int[248]|oid|uuid|inet|macaddr|date|bool|model\.state|text|varchar.40.|timestamptz)$/;
    if ($column->{type} =~ $has_keys && rand() < 0.5)
    {
        my $value = sub { return quote(random_value($column->{type}, $column->{role}), $column->{type}) };
        return "$column->{name} = " . $value->() if rand() < 0.6;
        my $list = join ', ', map { $value->() } 1 .. 1 + int(rand(4));
        return "$column->{name} IN ($list)" if rand() < 0.7;
        return "$column->{name} = " . $value->() . " OR $column->{name} = " . $value->();
    }
    return "$column->{name}::text = " . quote(random_value($column->{type})) if rand() < 0.3;
    return one_of("$column->{name} IS NULL", "$column->{name} IS NOT NULL", "length($column->{name}::text) > 3", 'true');
}

sub condition
{
    my ($state) = @_;
    my @parts = map { one_of(\&tag_condition, \&tag_condition, \&time_condition, \&time_condition, \&value_condition)->($state) }
        1 .. 1 + int(rand(3));
    return join rand() < 0.85 ? ' AND ' : ' OR ', map { "($_)" } @parts;
}

# Of equal numerics, 0.0 and 0.00, PostgreSQL gives the one that comes first in the table: their scale is no part of the answer.
sub extremes
{
    my ($column) = @_;
    my ($name, $type) = @$column{qw(name type)};
    return "trim_scale(min($name))::text, trim_scale(max($name))::text" if $type eq 'numeric';
    return $type =~ /^(int[248]|date)$/ ? "min($name)::text, max($name)::text" : ();
}

# One query with @T@ for the table; its answer is one line or a few, the same for equal tables whatever their order.
sub random_question
{
    my ($state) = @_;
    my @columns = @{ $state->{columns} };
    my $some = join ', ', map { $_->{name} } grep { rand() < 0.5 } @columns;
    my $where = 'WHERE ' . condition($state);
    my $kind = int(rand(11));
    return digest_sql("SELECT * FROM \@T\@ $where") if $kind <= 2;
    return digest_sql("SELECT $some FROM \@T\@ $where") if $kind == 3;
    return "SELECT count(*) FROM \@T\@ $where" if $kind == 4;
    return 'SELECT count(*), count(tag), min("time"), max("time"), count(DISTINCT tag::text), ' . join(', ', map {;
            "count($_->{name})", extremes($_)
        } @columns) . " FROM \@T\@ $where" if $kind == 5;
    return digest_sql("SELECT tag::text, date_trunc('hour', \"time\"), count(*) FROM \@T\@ $where GROUP BY 1, 2") if $kind == 6;
    return digest_sql("SELECT a.* FROM \@T\@ AS a JOIN (SELECT DISTINCT tag::text AS wanted FROM \@T\@ ORDER BY 1 LIMIT 3) AS b "
            . "ON a.tag::text = b.wanted $where") if $kind == 7 && $where !~ /upper_tag/;
    if ($kind == 8)
    {
        # The inner side is scanned again for each tag, with a parameter.
        return digest_sql("SELECT b.* FROM (SELECT DISTINCT tag FROM model.h ORDER BY tag LIMIT 4) AS a, "
                . 'LATERAL (SELECT * FROM @T@ AS x WHERE x.tag = a.tag ORDER BY x."time", x::text LIMIT 5) AS b');
    }
    if ($kind == 9)
    {
        my ($tag, $time) = (column($state, 'tag'), column($state, 'time'));
        my $sql = "PREPARE q ($tag->{type}, $time->{type}) AS "
            . digest_sql('SELECT * FROM @T@ WHERE tag = $1 AND "time" >= $2') . ";\n";
        for (1 .. 1 + int(rand(7)))
        {
            $sql .= sprintf "EXECUTE q (%s, %s);\n", quote(random_value($tag->{type}, 'tag')),
                quote(random_value($time->{type}, 'time'));
        }
        return $sql . 'DEALLOCATE q';
    }
    return digest_sql("SELECT * FROM \@T\@ AS a $where AND EXISTS (SELECT FROM model.h AS b WHERE b.tag = a.tag LIMIT 1)");
}

sub lines { return $_[0] eq '' ? () : split /\n/, $_[0], -1 }

# A cursor must give the same rows at the same places however it is moved. Gives what is wrong.
#
# where, order   of the rows; without them some condition and no order
sub cursor_faults
{
    my ($session, $state, $where, $order) = @_;
    $where //= rand() < 0.5 ? '' : 'WHERE ' . condition($state);
    $order //= '';
    my $in_transaction = $state->{in_transaction};
    my @faults;
    $session->must('BEGIN') unless $in_transaction;
    my $expected = $session->must("SELECT count(*) FROM model.h $where");
    my $row = 'md5(t::text)';
    $session->must("DECLARE c SCROLL CURSOR FOR SELECT $row FROM model.t $where $order");
    # Rows inserted after it was opened are not the cursor's.
    $session->must("SAVEPOINT cursor_test;\nINSERT INTO model.t SELECT * FROM model.h LIMIT 3")
        if rand() < 0.5 && !$state->{has_generated};
    my @forward = lines($session->must('FETCH ALL FROM c'));
    push @faults, 'a cursor gave ' . @forward . " rows, heap has $expected" if @forward != $expected;
    my @backward = reverse lines($session->must('FETCH BACKWARD ALL FROM c'));
    push @faults, 'a cursor gave other rows backwards' if "@backward" ne "@forward";
    # Positions count from 1; 0 is before the first row and n + 1 behind the last.
    my $position = 0;
    for (1 .. 12)
    {
        my $step = int(rand(41)) - 20;
        my ($word, $count) = $step < 0 ? ('BACKWARD', -$step) : ('FORWARD', $step);
        next if $count == 0;
        my @got = lines($session->must("FETCH $word $count FROM c"));
        my @wanted;
        for (1 .. $count)
        {
            $position += $step < 0 ? -1 : 1;
            if ($position < 1) { $position = 0; last }
            if ($position > @forward) { $position = @forward + 1; last }
            push @wanted, $forward[$position - 1];
        }
        push @faults, "FETCH $word $count of a cursor came to other rows at row $position" if "@got" ne "@wanted";
    }
    $session->must('CLOSE c');
    $session->must($in_transaction ? 'SELECT 1' : 'ROLLBACK');
    return @faults;
}

# Records of a log table come newest first when nobody asks for an order, and in either order without a sort. Times alone are
# compared: of equal ones any record may be first. A NULL counts as -infinity unless ORDER BY says where it belongs. A condition
# with IN (SELECT ...) makes a join of it, whose order nobody promises: one tag's records after the other's, say.
sub order_faults
{
    my ($session, $state) = @_;
    my $where = rand() < 0.4 ? '' : 'WHERE ' . condition($state);
    my $limit = rand() < 0.5 ? '' : 'LIMIT ' . int(rand(30));
    my $nulls = column($state, 'time')->{nulls} eq 'NULL' ? 'NULLS LAST' : '';
    my $digest = sub {
        my ($table, $order) = @_;
        return $session->must("SELECT md5(coalesce(string_agg(coalesce(t, '-infinity')::text, ','), '')) "
                . "FROM (SELECT \"time\" AS t FROM $table $where $order $limit OFFSET 0) AS r");
    };
    my @faults;
    my $newest = $digest->('model.h', 'ORDER BY "time" DESC NULLS LAST');
    push @faults, "records do not come newest first: $where $limit"
        if $where !~ /IN \(SELECT/ && $digest->('model.t', '') ne $newest;
    for my $order ("ORDER BY \"time\" DESC $nulls", 'ORDER BY "time"')
    {
        push @faults, "other times: $where $order $limit" if $digest->('model.t', $order) ne $digest->('model.h', $order);
    }
    return @faults;
}

# Points of a tag table in order of tag and time, or one of each tag, in every form that a scan can have: forwards, as a cursor
# that turns, with the settings on and off. Of points with equal tag and time any may be first, so these two alone are compared.
sub tag_order_faults
{
    my ($session, $state) = @_;
    my ($tag, $time) = (column($state, 'tag'), column($state, 'time'));
    my @ways = ('', 'DESC', 'NULLS FIRST', 'DESC NULLS LAST');
    my $tag_name = $tag->{type} =~ /^(text|varchar)/ && rand() < 0.7 ? 'tag COLLATE "C"' : 'tag';
    my @conditions = rand() < 0.3 ? () : '(' . condition($state) . ')';
    my $has_one_tag = rand() < 0.3;
    push @conditions, 'tag = ' . quote(random_value($tag->{type}, 'tag'), $tag->{type}) if $has_one_tag;
    my $where = @conditions ? 'WHERE ' . join(' AND ', @conditions) : '';
    my $order = "ORDER BY $tag_name " . one_of(@ways) . ', "time" ' . one_of(@ways);
    my $distinct = rand() < 0.5 ? "DISTINCT ON ($tag_name)" : '';
    $order = 'ORDER BY "time" ' . one_of(@ways) if $has_one_tag && $distinct eq '' && rand() < 0.6;
    my $limit = rand() < 0.6 ? '' : 'LIMIT ' . int(rand(30));
    # Equal tags may differ in bytes, and of those with equal times either may be first.
    my $shown = $tag->{type} =~ /^(numeric|char|citext|float|inet|cidr|interval)/ ? '1' : 'tag';
    my $rows = "SELECT $distinct $shown AS a, \"time\" AS b FROM \@T\@ AS t $where $order $limit";
    my $digest = sub {
        return $session->must("SELECT count(*), md5(coalesce(string_agg(concat(a, '=', b), ','), '')) FROM ("
                . $rows =~ s/\@T\@/model.$_[0]/r . ' OFFSET 0) AS r');
    };
    my @faults;
    my $expected = $digest->('h');
    for my $setting ('enable_sort = off', 'historian.enable_ordered_scan = off', 'historian.enable_last_point = off')
    {
        $session->must("SET $setting; SET enable_seqscan = off");
        my $got = $digest->('t');
        $session->must('RESET ' . $setting =~ s/ = off//r . '; RESET enable_seqscan');
        push @faults, "with $setting other rows or another order: $rows" if $got ne $expected;
    }
    $session->must('SET enable_sort = off; SET enable_seqscan = off');
    push @faults, cursor_faults($session, $state, $where, $order) if $distinct eq '' && !$state->{in_transaction};
    $session->must('RESET enable_sort; RESET enable_seqscan');
    return @faults;
}

sub sample_faults
{
    my ($session) = @_;
    my @faults;
    my $count = $session->must('SELECT count(*) FROM model.t');
    for my $method ('BERNOULLI', 'SYSTEM')
    {
        my $all = $session->must("SELECT count(*) FROM model.t TABLESAMPLE $method (100)");
        push @faults, "TABLESAMPLE $method (100) gave $all of $count rows" if $all != $count;
        my $query = digest_sql("SELECT t.ctid, t.* FROM model.t TABLESAMPLE $method (50) REPEATABLE (7)");
        # In one statement: rows that are sealed between two have other places, and the sample is made of places.
        my $digest = "(SELECT d::text FROM ($query) AS d)";
        my $same = $session->must("SELECT $digest IS NOT DISTINCT FROM $digest");
        push @faults, "TABLESAMPLE $method (50) REPEATABLE gave two answers" if $same ne 't';
        my $extra = $session->must("SELECT count(*) FROM (SELECT md5(t::text) FROM model.t TABLESAMPLE $method (50) "
                . 'EXCEPT ALL SELECT md5(t::text) FROM model.t) AS d');
        push @faults, "TABLESAMPLE $method (50) gave $extra rows that are not there" if $extra != 0;
    }
    return @faults;
}

# Row identifiers are unique, and one leads back to its row.
sub identity_faults
{
    my ($session) = @_;
    my $answer = $session->must('SELECT count(*) - count(DISTINCT ctid) FROM model.t');
    my @faults = $answer != 0 ? "$answer rows share their ctid with another" : ();
    my $lost = $session->must('SELECT count(*) FROM (SELECT ctid AS id, md5(t::text) AS row FROM model.t LIMIT 20) AS a '
            . 'LEFT JOIN model.t AS b ON b.ctid = a.id WHERE md5(b::text) IS DISTINCT FROM a.row');
    push @faults, "$lost rows of 20 are not found by their ctid" if $lost != 0;
    my $wrong = $session->must("SELECT count(*) FROM model.t WHERE tableoid <> 'model.t'::regclass");
    push @faults, "$wrong rows say another tableoid" if $wrong != 0;
    return @faults;
}

1;
