# Values: every column type that the model uses, with random values of it, extremes first of all.
#
# A value is the text that the type's input function reads, or undef for NULL. The same text goes into the heap and the tag table,
# as a literal or through COPY, so both must hold the same value afterwards.
package Values;
use strict;
use warnings;
use Exporter qw(import);
our @EXPORT_OK = qw(setup_sql random_type key_type random_value quote series_expression %wider);

sub one_of { return $_[int(rand(@_))] }
sub digits { my ($count) = @_; return join('', map { int(rand(10)) } 1 .. $count) }
sub hex_digits { my ($count) = @_; return join('', map { sprintf '%x', int(rand(16)) } 1 .. $count) }
sub word { return join('', map { chr(97 + int(rand(26))) } 1 .. 1 + int(rand(10))) }

# Types of our own, once a database.
sub setup_sql
{
    return <<'SQL';
DROP SCHEMA IF EXISTS model CASCADE;
CREATE SCHEMA model;
CREATE TYPE model.state AS ENUM ('off', 'starting', 'on', 'an uncommonly long label of an enum');
CREATE TYPE model.pair AS (a int, b text, c float8);
CREATE DOMAIN model.short AS varchar(20) CHECK (length(VALUE) < 15);
CREATE DOMAIN model.level AS float8;
SQL
}

sub text_value
{
    my $kind = rand();
    return '' if $kind < 0.05;
    return word() if $kind < 0.5;
    return 'value ' . int(rand(5)) if $kind < 0.7;
    return one_of("tab\there", "line\nbreak", 'back\\slash', "quote's \"double\"", "caf\x{e9} \x{bbfc}\x{ad6d} \x{1f600}",
        '\\N', 'NULL', '\\.', ' ', "a,b;c", "\x{1}\x{7f}") if $kind < 0.88;
    return 'x' x (1 + int(rand(400))) if $kind < 0.93;
    return hex_digits(100 + int(rand(3000))) if $kind < 0.97;
    return hex_digits(9000 + int(rand(9000))) if $kind < 0.994;
    return word() x 20_000 if $kind < 0.998;
    return hex_digits(1000) x 1048;    # a megabyte
}

sub float_value
{
    my ($is_double) = @_;
    my $kind = rand();
    return one_of('NaN', 'Infinity', '-Infinity', '-0', '0') if $kind < 0.15;
    return ($is_double ? one_of('5e-324', '1.7976931348623157e308', '-1.7976931348623157e308', '2.2250738585072014e-308', '0.1',
        '123456789012345680', '9007199254740993', '1e22', '-1e-7')
        : one_of('1e-45', '3.4028235e38', '-3.4028235e38', '1.1754944e-38', '0.1', '16777217')) if $kind < 0.25;
    return sprintf('%.2f', 20 + rand(60)) if $kind < 0.55;
    return sprintf('%d', rand(2000) - 1000) if $kind < 0.7;
    return sprintf('%.17g', rand()) if $kind < 0.9;
    return sprintf('%.*f', int(rand(9)), rand(1e6) - 5e5);
}

sub integer_value
{
    my ($bits) = @_;
    my ($least, $most) = $bits == 16 ? (-32768, 32767) : $bits == 32 ? (-2147483648, 2147483647)
        : ('-9223372036854775808', '9223372036854775807');
    my $kind = rand();
    return one_of($least, $most, 0, -1, 1) if $kind < 0.15;
    return int(rand(100)) if $kind < 0.5;
    return int(rand(60000)) - 30000 if $kind < 0.8;
    return $bits == 16 ? int(rand(10)) : $bits == 32 ? int(rand(4e9)) - 2e9 : one_of('', '-') . '9' . digits(17);
}

sub date_part
{
    my $kind = rand();
    return sprintf('2026-%02d-%02d', 1 + int(rand(12)), 1 + int(rand(28))) if $kind < 0.7;
    return sprintf('%04d-%02d-%02d', 1 + int(rand(9999)), 1 + int(rand(12)), 1 + int(rand(28)));
}

sub clock_part
{
    return sprintf('%02d:%02d:%02d%s', rand(24), rand(60), rand(60), one_of('', '', '.5', '.' . digits(6), '.999999', '.000001'));
}

sub timestamp_value
{
    my ($zone) = @_;
    my $kind = rand();
    return one_of('infinity', '-infinity') if $kind < 0.04;
    return one_of("4714-11-24 00:00:00$zone BC", "294276-12-31 23:59:59.999999$zone", "1999-12-31 23:59:59.999999$zone",
        "2000-01-01 00:00:00$zone", "1970-01-01 00:00:00$zone") if $kind < 0.1;
    return "2026-01-01 00:00:0" . int(rand(10)) . $zone if $kind < 0.4;
    return sprintf('2026-01-%02d %02d:00:00%s', 1 + int(rand(5)), int(rand(24)), $zone) if $kind < 0.6;
    return date_part() . ' ' . clock_part() . $zone;
}

sub numeric_value
{
    my $kind = rand();
    return one_of('NaN', 'Infinity', '-Infinity', '0', '0.00', '-0.000', '1e100', '1e-100', '1.10', '1.1') if $kind < 0.3;
    return sprintf('%.2f', rand(1000)) if $kind < 0.7;
    return one_of('', '-') . '1' . digits(int(rand(40))) . '.' . digits(int(rand(40)));
}

sub json_value
{
    return one_of('{}', '[]', 'null', '"text"', '1.50', '{"a": 1, "b": [true, null, {"c": "d"}]}',
        '{"n": ' . int(rand(100)) . '}', '[' . join(',', map { int(rand(1000)) } 1 .. 1 + int(rand(200))) . ']',
        '{"t": "' . hex_digits(3000) . '"}');
}

my %value_of = (
    'text' => \&text_value,
    'varchar(40)' => sub { word() },
    'char(6)' => sub { substr(word(), 0, 6) },
    'name' => sub { word() },
    'model.short' => sub { substr(word(), 0, 12) },
    '"char"' => sub { one_of('a' .. 'z') },
    'int2' => sub { integer_value(16) },
    'int4' => sub { integer_value(32) },
    'int8' => sub { integer_value(64) },
    'oid' => sub { int(rand(4e9)) },
    'float4' => sub { float_value(0) },
    'float8' => sub { float_value(1) },
    'model.level' => sub { float_value(1) },
    'numeric' => \&numeric_value,
    'numeric(12,3)' => sub { sprintf('%.3f', rand(1e6)) },
    'money' => sub { sprintf('%.2f', rand(1e6)) },
    'bool' => sub { one_of('t', 'f') },
    'date' => sub { rand() < 0.15 ? one_of('infinity', '-infinity', '4714-11-24 BC', '5874897-12-31') : date_part() },
    'timestamp' => sub { timestamp_value('') },
    'timestamptz' => sub { timestamp_value('+00') },
    'time' => sub { rand() < 0.1 ? one_of('24:00:00', '00:00:00') : clock_part() },
    'timetz' => sub { clock_part() . one_of('+00', '-07', '+05:30') },
    'interval' => sub {
        one_of('0', '-1 day 2 mons', '178000000 years', int(rand(1000)) . ' s', '1.5 h', '-0.000001 s', '1 mon -30 days')
    },
    'uuid' => sub { rand() < 0.1 ? '00000000-0000-0000-0000-000000000000' : hex_digits(32) },
    'jsonb' => \&json_value,
    'json' => \&json_value,
    'int[]' => sub {
        one_of('{}', '{NULL}', '{{1,2},{3,4}}', '[5:6]={7,8}', '{' . join(',', map { int(rand(100)) } 1 .. 1 + rand(50)) . '}')
    },
    'text[]' => sub { one_of('{}', '{NULL,"null"}', '{"a b","c\\"d"}', '{' . join(',', map { word() } 1 .. 1 + rand(20)) . '}') },
    'inet' => sub {
        one_of('0.0.0.0/0', '::1', sprintf('10.%d.%d.%d', map { rand(256) } 1 .. 3), '2001:db8::' . hex_digits(4) . '/64')
    },
    'macaddr' => sub { hex_digits(12) },
    'bytea' => sub { '\\x' . hex_digits(2 * int(rand(one_of(4, 40, 4000)))) },
    'point' => sub { sprintf '(%g,%g)', rand(10), rand(10) },
    'int4range' => sub { one_of('empty', '(,)', '[1,5)', '[' . int(rand(9)) . ',)') },
    'bit(5)' => sub { join '', map { one_of(0, 1) } 1 .. 5 },
    'varbit' => sub { join '', map { one_of(0, 1) } 1 .. rand(40) },
    'model.state' => sub { one_of('off', 'starting', 'on', 'an uncommonly long label of an enum') },
    'model.pair' => sub { one_of('(,,)', '(1,"a, b",2.5)', '(' . int(rand(100)) . ',' . word() . ',NaN)') },
);
my @types = sort keys %value_of;
# The types that sensors really have come more often.
my @common = qw(float8 float8 float8 model.level float4 int4 int8 int2 text text bool numeric timestamptz jsonb);

# Types to which ALTER COLUMN TYPE can go without a USING clause.
our %wider = ('int2' => 'int4', 'int4' => 'int8', 'float4' => 'float8', 'varchar(40)' => 'text', 'date' => 'timestamptz',
    'int8' => 'numeric', 'char(6)' => 'text', 'numeric(12,3)' => 'numeric', 'model.level' => 'float8');

sub random_type { return rand() < 0.5 ? one_of(@common) : one_of(@types) }
my @rare_keys = ('varchar(40)', 'name', 'int4', 'int8', 'uuid', 'model.short', 'inet', 'float8');
sub key_type { return rand() < 0.7 ? 'text' : one_of(@rare_keys) }

our $no_null_times = 0;    # of the round: the time is NOT NULL

# Tags come from few names, so that they have many points; the longer a table lives the better.
sub random_value
{
    my ($type, $role) = @_;
    return undef if rand() < ($role ? 0.02 : 0.1) && !($no_null_times && ($role // '') eq 'time');
    return one_of(map { "tag$_" } 1 .. 12) if $role && $role eq 'tag' && $type eq 'text' && rand() < 0.9;
    return 1 + int(rand(9)) if $role && $role eq 'tag' && $type =~ /^(int|float)/ && rand() < 0.9;
    return '0' x 31 . int(rand(9)) if $role && $role eq 'tag' && $type eq 'uuid' && rand() < 0.9;
    return $value_of{$type}->();
}

sub quote
{
    my ($value, $type) = @_;
    return 'NULL' unless defined $value;
    $value =~ s/'/''/g;
    return "'$value'" . (defined $type ? "::$type" : '');
}

# An expression of the integer i that walks through a few random values, or steadily where real columns do.
sub series_expression
{
    my ($type, $role) = @_;
    my $kind = rand();
    if ($role && $role eq 'time' && $kind < 0.85)
    {
        my $step = one_of('1 s', '1 s', '100 ms', '1 min', '7 us', '-1 s', '0 s');
        my $jitter = rand() < 0.3 ? " + (i * 7919 % 1000) * interval '1 us'" : '';
        return sprintf("%s '2026-01-%02d' + i * interval '%s'%s", $type, 1 + int(rand(9)), $step, $jitter);
    }
    # Now and then a tag of its own for each row: granules of thousands of tags.
    if ($role && $role eq 'tag' && $kind < 0.08)
    {
        return "'tag' || i" if $type eq 'text';
        return "i::$type" if $type =~ /^(int[48]|float8)$/;
    }
    if (!$role && $kind < 0.6)
    {
        my $salt = 1 + int(rand(100));
        return "((i * $salt % 2000) / 100.0)::$type" if $type =~ /^(float|model\.level|numeric|money)/;
        return "sin(i * $salt)::$type" if $type =~ /^float/ && $kind < 0.2;
        return "(i * $salt % 30000)::$type" if $type =~ /^(int|oid)/ && $type !~ /\[|range/;
        return "(i / $salt)::$type" if $type eq 'int4' || $type eq 'int8';
        return "'message ' || i * $salt" if $type eq 'text';
        return "(i % 3 = 0)" if $type eq 'bool';
        return "jsonb_build_object('i', i, 'salt', $salt)" if $type eq 'jsonb';
    }
    my @values = map { random_value($type, $role) } 1 .. 1 + int(rand($role ? 12 : 30));
    @values = map { defined $_ && length $_ > 5000 ? substr($_, 0, 50) : $_ } @values if $type eq 'text';
    my $list = join ', ', map { quote($_) } @values;
    return sprintf '((ARRAY[%s]::text[])[1 + (i * %d) %% %d])::%s', $list, 1 + int(rand(5)), scalar(@values), $type;
}

1;
