# The bytes of a table's file are changed at random while the server is stopped: bits, bytes, numbers, sectors, whole pages, the
# file's length; with and without PostgreSQL's data checksums. Whatever was hit, everything that can be done with the table then
#
#   1. never ends the server and never hangs;
#   2. answers, or fails with the SQLSTATE of damaged data and names the table (or, as PostgreSQL's own checks do, its file);
#   3. never gives a row that was not stored: a damaged segment page, and with data checksums any page, is an error or has no
#      effect. Without data checksums damage may make rows of the tail visible or not, and hide whole segments when it meets the
#      directory or the metapage, but changes no row. (But for rows that were rolled back, which a flipped bit may commit.)
#
# A round makes many tables, puts a differently damaged copy of one file under each, and tries them all; files name no table, so
# that is allowed. HISTORIAN_TEST_SEED repeats a run; HISTORIAN_CORRUPTION_SECONDS (30) makes it longer;
# HISTORIAN_CORRUPTION_KEEP=1 stops at the first fault and keeps the damaged file.
use strict;
use warnings;
use IPC::Run;
use Time::HiRes qw(time);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{HISTORIAN_TEST_SEED} // int(rand(1_000_000_000));
my $seconds = $ENV{HISTORIAN_CORRUPTION_SECONDS} // 30;
my $am = $ENV{HISTORIAN_TEST_AM} // 'tag';
my $time = $am eq 'log' ? '_arrival_time' : '"time"';
note "seed $seed (HISTORIAN_TEST_SEED)";
srand($seed);

use constant { PAGE => 8192, TABLES => 30, FIRST_SEALED => q{'(2147483648,1)'::tid} };

# One server a setting of data checksums, each with the same table. Compaction is asked for, not waited for.
sub start_server
{
    my ($checksums) = @_;
    my $node = PostgreSQL::Test::Cluster->new("checksums_$checksums");
    # Version 18 has checksums unless it is told not to.
    $node->init($checksums eq 'on' ? (extra => ['--data-checksums']) : (no_data_checksums => 1));
    $node->append_conf('postgresql.conf', <<'SETTINGS');
shared_preload_libraries = 'historian'
fsync = off
autovacuum = off
restart_after_crash = on
log_statement = none
max_wal_size = 256MB
historian.maintenance_interval = 300ms
historian.seal_interval = 1h
work_mem = 64MB
SETTINGS
    $node->start;
    $node->safe_psql('postgres', <<'SQL' =~ s/"time"/$time/gr =~ s/USING tag/USING $am/r);
CREATE EXTENSION historian;
CREATE TABLE t (name text, "time" timestamptz, value float8, small int2, whole int4, big int8, good boolean, amount numeric,
                id uuid, note text, short char(3), doc jsonb, list int[], raw bytea) USING tag;
CREATE FUNCTION points(first int, last int)
RETURNS TABLE (name text, "time" timestamptz, value float8, small int2, whole int4, big int8, good boolean, amount numeric,
               id uuid, note text, short char(3), doc jsonb, list int[], raw bytea) LANGUAGE sql IMMUTABLE AS $$
    SELECT 's' || i % 17, timestamptz '2026-01-01 00:00:00+00' + i * interval '1 s', sin(i), (i % 700)::int2, i * 31,
           i::int8 << 31, i % 3 = 0, (i % 1000) / 7.0, md5(i::text)::uuid, CASE WHEN i % 5 > 0 THEN 'note ' || i END,
           chr(65 + i % 26), jsonb_build_object('a', i % 99, 'b', 'x' || i % 9), ARRAY[i % 50, NULL], decode(md5(i::text), 'hex')
    FROM generate_series(first, last) AS i
$$;
SQL
    my $file = $node->basedir . '/points.data';
    # A segment that was sealed and one that COPY made (of 8,192 rows or more).
    $node->safe_psql('postgres', 'INSERT INTO t SELECT * FROM points(1, 5000)');
    $node->safe_psql('postgres', "CALL compact('t')");
    $node->safe_psql('postgres', "COPY (SELECT * FROM points(5001, 13200)) TO '$file'");
    $node->safe_psql('postgres', "COPY t FROM '$file'");
    # A row longer than a page; a tail of rows that are committed, rolled back and frozen.
    $node->safe_psql('postgres', <<'SQL');
INSERT INTO t SELECT 'wide', now(), 0, 0, 0, 0, true, 0, md5('')::uuid, string_agg(md5(i::text), ''), 'x', '[1]', '{1}', ''
    FROM generate_series(1, 400) AS i;
INSERT INTO t SELECT * FROM points(13201, 13350);
VACUUM FREEZE t;
BEGIN; INSERT INTO t SELECT * FROM points(20001, 20100); ROLLBACK;
INSERT INTO t SELECT * FROM points(13351, 13700);
CREATE TABLE expected AS SELECT ctid >= '(2147483648,1)'::tid AS sealed, hashtextextended(t::text, 0) AS row FROM t;
-- What a flipped bit may bring back.
CREATE TABLE rolled_back AS SELECT hashtextextended(p::text, 0) AS row FROM points(20001, 20100) AS p;
ANALYZE expected;
SQL
    return $node;
}

# The block numbers of the golden file, by what is in them.
sub page_kinds
{
    my ($golden) = @_;
    my @names = ('nothing', ('directory') x 3, 'tail', 'segment');
    my %blocks;
    for my $block (0 .. length($golden) / PAGE - 1)
    {
        my $kind = unpack 'v', substr($golden, $block * PAGE + 8176, 2);
        push @{ $blocks{ $names[$kind] } }, $block;
    }
    return \%blocks;
}

my @words = (0, 1, 2, 3, 7, 8, 31, 177, 255, 4095, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF);
sub random_bytes { return join '', map { chr(int(rand(256))) } 1 .. $_[0] }
sub pick { return $_[int(rand(@_))] }

# Changes a copy of the file; returns it, what was done, and the kinds of the pages concerned.
sub damage
{
    my ($golden, $kinds) = @_;
    my $copy = $golden;
    my $blocks = length($golden) / PAGE;
    my (@done, %hit);
    for (1 .. pick(1, 1, 1, 2, 5))
    {
        my $kind = pick(grep { $kinds->{$_} } qw(nothing directory directory tail tail segment segment));
        my $block = pick(@{ $kinds->{$kind} });
        $hit{$kind} = 1;
        my $at = $block * PAGE;
        # Where pages of every kind keep what matters: header, first bytes, special area.
        my $offset = int(rand(pick(PAGE, 128, 1024, 384, 2048)));
        $offset = PAGE - 1 - $offset if rand() < 0.4;
        my $what = pick(qw(bit bit byte bytes word word word sector page copy length));
        $what = 'zero page' if $what eq 'page' && rand() < 0.7;
        if ($what eq 'bit') { substr($copy, $at + $offset, 1) ^= chr(1 << int(rand(8))) }
        elsif ($what eq 'byte') { substr($copy, $at + $offset, 1) = random_bytes(1) }
        elsif ($what eq 'bytes')
        {
            my $count = 1 + int(rand(64));
            $count = PAGE - $offset if $offset + $count > PAGE;
            substr($copy, $at + $offset, $count) = random_bytes($count);
        }
        elsif ($what eq 'word')
        {
            $offset -= $offset % pick(2, 4, 4);
            $offset = PAGE - 4 if $offset > PAGE - 4;
            my $word = pick(@words, int(rand($blocks)), int(rand(2000)));
            my $format = pick('v', 'V', 'V', 'C');
            my $bytes = pack $format, $word & ($format eq 'V' ? 0xFFFFFFFF : $format eq 'v' ? 0xFFFF : 0xFF);
            substr($copy, $at + $offset, length $bytes) = $bytes;
            $what .= " $word";
        }
        elsif ($what eq 'sector')
        {
            $offset -= $offset % 512;
            my $from = 512 * int(rand(length($golden) / 512));
            substr($copy, $at + $offset, 512) = pick("\0" x 512, random_bytes(512), substr($golden, $from, 512));
        }
        elsif ($what eq 'zero page') { substr($copy, $at, PAGE) = "\0" x PAGE }
        elsif ($what eq 'page') { substr($copy, $at, PAGE) = random_bytes(PAGE) }
        elsif ($what eq 'copy')
        {
            my $from = int(rand($blocks));
            substr($copy, $at, PAGE) = substr($golden, $from * PAGE, PAGE);
            $what .= " of block $from";
        }
        else
        {
            # (A file without blocks is an empty table, and no damage.)
            my $length = pick($at, $at, $at + $offset);
            $copy = substr($copy, 0, $length < PAGE ? PAGE : $length);
            push @done, sprintf('file cut to %d bytes', length $copy);
            last;
        }
        push @done, "$what at block $block offset $offset ($kind)";
    }
    return ($copy, join(', ', @done), \%hit);
}

# Everything that can be done with a table. Lines that begin with "= " are answers that are compared.
my $compare = <<'SQL';
SELECT '= TABLE ' || (SELECT count(*) FROM (SELECT row FROM got WHERE sealed EXCEPT SELECT row FROM expected) AS d)
    || ' ' || (SELECT count(*) FROM (SELECT row FROM got EXCEPT ALL SELECT row FROM expected) AS d)
    || ' ' || (SELECT count(*) FROM (SELECT row FROM expected EXCEPT ALL SELECT row FROM got) AS d)
    || ' ' || (SELECT count(*) FROM (SELECT row FROM expected WHERE sealed EXCEPT SELECT row FROM got) AS d)
    || ' ' || (SELECT count(*) FROM (SELECT row FROM got EXCEPT (TABLE rolled_back UNION ALL SELECT row FROM expected)) AS d);
SQL
my $battery = <<"SQL" =~ s/"time"/$time/gr . "$compare\n" . <<'SQL' . $compare;
SET statement_timeout = '20s';
SELECT '= count ' || count(*) FROM d;
SELECT count(*), sum(value), sum(whole::bigint), sum(amount), max(big), min(name), max(note), count(DISTINCT id),
       max(doc->>'a'), max(list) FROM d;
SELECT '= point ' || coalesce(md5(string_agg(d::text, ',' ORDER BY d::text COLLATE "C")), '')
    FROM d WHERE name = 's3' AND "time" BETWEEN '2026-01-01 00:30:00+00' AND '2026-01-01 00:50:00+00';
SELECT '= late ' || coalesce(md5(string_agg(d::text, ',' ORDER BY d::text COLLATE "C")), '')
    FROM d WHERE name = 's11' AND "time" > '2026-01-01 02:40:00+00';
SELECT '= absent ' || count(*) FROM d WHERE name = 'nobody';
SELECT '= words ' || count(*) FROM d WHERE note @@ search('note 31* | "note 3377"');
CREATE TEMP TABLE got AS SELECT ctid >= '(2147483648,1)'::tid AS sealed, hashtextextended(d::text, 0) AS row FROM d;
SQL
SET max_parallel_workers_per_gather = 0;
SELECT count(value) FROM d WHERE ctid IN ('(3,1)', '(20,1)', '(30,5)', '(2147483648,1)', '(2147483776,7)', '(2147484160,1)');
SELECT count(length(note)) FROM d TABLESAMPLE SYSTEM (50);
SELECT count(*), max(xmin::text) FROM d TABLESAMPLE BERNOULLI (20);
SELECT historian_check('d');
SELECT count(tag_first), sum(byte_count) FROM historian_segments('d');
SELECT * FROM historian_size('d');
ANALYZE d;
VACUUM d;
INSERT INTO d SELECT * FROM points(30001, 30001);
INSERT INTO d SELECT * FROM points(30002, 30300);
COPY d FROM 'POINTS';
CALL compact('d');
SELECT count(*), sum(value) FROM d;
VACUUM (FREEZE) d;
SELECT historian_check('d');
DROP TABLE IF EXISTS got;
CREATE TEMP TABLE got AS SELECT false AS sealed, hashtextextended(d::text, 0) AS row FROM d
    WHERE whole NOT BETWEEN 930000 AND 1550000;
SQL

my $faults = 0;
my ($tried, $failed_statements, $refused) = (0, 0, 0);

# Tries everything on one damaged table; returns what is wrong.
sub faults_of
{
    my ($node, $table, $path, $is_safe, $answers) = @_;
    my $sql = $battery =~ s/\bd\b/$table/gr;
    $sql =~ s/'d'/'$table'/g;
    my $points = $node->basedir . '/more.data';
    $sql =~ s/POINTS/$points/;
    my ($out, $err, $timed_out) = ('', '', 0);
    my $begin = time();
    $node->psql('postgres', "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\n$sql", on_error_stop => 0, stdout => \$out,
        stderr => \$err, timeout => 120, timed_out => \$timed_out);
    my @faults;
    push @faults, 'it hangs' if $timed_out;
    push @faults, sprintf('it takes %.0f s', time() - $begin) if time() - $begin > 15;
    push @faults, "the server is gone: $err" if $err =~ /server closed the connection|terminating connection|could not connect/;

    for my $message (split /^(?=psql:\S+: (?:ERROR|FATAL|PANIC|WARNING):)/m, $err)
    {
        next unless $message =~ /(ERROR|FATAL|PANIC):  (\w{5}): /;
        my $state = $2;
        next if $message =~ /relation "got" does not exist/;
        $failed_statements++;
        push @faults, "SQLSTATE $state: $message" unless $state =~ /^(?:XX001|XX002|22\w{3}|0A000|54000)$/;
        my $names_it = $message =~ /"$table"/ || $message =~ m{\Q$path\E\b} || $state =~ /^22/;
        push @faults, "the table is not named: $message" unless $names_it;
    }
    $refused++ if $err =~ /ERROR:/;
    my $comparisons = 0;
    for my $line (grep { /^= / } split /\n/, $out)
    {
        if ($line =~ /^= TABLE (\d+) (\d+) (\d+) (\d+) (\d+)/)
        {
            $comparisons++;
            push @faults, "$1 sealed rows, $5 rows in all, were never stored" if $1 > 0 || $5 > 0;
            push @faults, "comparison $comparisons: $2 rows too many, $3 too few" if $is_safe && ($2 > 0 || $3 > 0);
            push @faults, "comparison $comparisons: $4 sealed rows are gone" if $is_safe && $4 > 0;
        }
        elsif ($is_safe && $line =~ /^= (\w+) (.*)/ && $answers->{$1} ne $2) { push @faults, "wrong answer: $line" }
    }
    return @faults;
}

sub right_answers
{
    my ($node) = @_;
    my $sql = join '', grep { /^(?:SELECT '= |    FROM)/ } split /^/m, $battery =~ s/= TABLE.*//sr =~ s/\bd\b/t/gr;
    my %answers = map { /^= (\w+) (.*)/ ? ($1 => $2) : () } split /\n/, $node->safe_psql('postgres', $sql =~ s/SELECT '\n?\z//r);
    return \%answers;
}

my %nodes = map { $_ => start_server($_) } qw(off on);
my (%golden, %kinds, %answers);
for my $checksums (sort keys %nodes)
{
    my $node = $nodes{$checksums};
    my $more = $node->basedir . '/more.data';
    $node->safe_psql('postgres', "COPY (SELECT * FROM points(30301, 32500)) TO '$more'");
    $answers{$checksums} = right_answers($node);
    my $path = $node->safe_psql('postgres', "SELECT pg_relation_filepath('t')");
    $node->stop;
    $golden{$checksums} = slurp_file($node->data_dir . "/$path");
    $kinds{$checksums} = page_kinds($golden{$checksums});
    $node->start;
    # The test itself: an undamaged copy has no fault.
    note "checksums $checksums: ", join ', ', map { "$_ " . @{ $kinds{$checksums}{$_} } } sort keys %{ $kinds{$checksums} };
}

my $begin = time();
my $round = 0;
ROUND: while (time() - $begin < $seconds || $round < 3)
{
    # Without data checksums more can go wrong: two rounds of three. The first copy of a round is whole.
    my $checksums = $round++ % 3 == 2 ? 'on' : 'off';
    my $node = $nodes{$checksums};
    my $made = join "\n", map { "CREATE TABLE d${round}_$_ (LIKE t) USING $am;" } 1 .. TABLES;
    my %path = map { split /\|/ } split /\n/, $node->safe_psql('postgres', <<"SQL");
$made
UPDATE pg_class SET relfrozenxid = (SELECT relfrozenxid FROM pg_class WHERE relname = 't') WHERE relname LIKE 'd${round}\\_%';
SELECT relname, pg_relation_filepath(oid) FROM pg_class WHERE relname LIKE 'd${round}\\_%';
SQL
    $node->stop;
    my %story;
    for my $i (1 .. TABLES)
    {
        my ($bytes, $done, $hit) = ($golden{$checksums}, 'none', {});
        ($bytes, $done, $hit) = damage($bytes, $kinds{$checksums}) if $i > 1;
        my $only_segments = !$hit->{directory} && !$hit->{tail};
        $story{"d${round}_$i"} = { done => $done, is_safe => $checksums eq 'on' || $only_segments };
        open my $file, '>:raw', $node->data_dir . '/' . $path{"d${round}_$i"} or die $!;
        print $file $bytes;
        close $file;
    }
    $node->start;
    for my $i (1 .. TABLES)
    {
        my $table = "d${round}_$i";
        my $story = $story{$table};
        my $before = $failed_statements;
        my @wrong = faults_of($node, $table, $path{$table}, $story->{is_safe}, $answers{$checksums});
        $tried++;
        my ($status, undef, $err) = $node->psql('postgres', "DROP TABLE $table");
        push @wrong, "it cannot be dropped: $err" if $status != 0;
        push @wrong, 'statements fail' if $i == 1 && $failed_statements > $before;
        next unless @wrong;
        $faults++;
        diag "round $round, checksums $checksums, table $table, damage: $story->{done}\n  ", join "\n  ", @wrong;
        last ROUND if $ENV{HISTORIAN_CORRUPTION_KEEP} || $faults > 20;
        $node->poll_query_until('postgres', 'SELECT true') if grep { /server is gone/ } @wrong;
    }
}

# The worker goes on with other tables when it fails at one; tables come in the order of their making. Three more have a damaged
# segment: its raw bytes in the header, its version, the statistics of its granule. One has a metapage of an earlier version, as
# short as these were.
my $node = $nodes{off};
my $path = $node->safe_psql('postgres', <<'SQL' =~ s{\$am}{$am}gr =~ s{\$time}{$time}gr) =~ s/.*\n//sr;
CREATE TABLE broken (LIKE t) USING $am;
CREATE TABLE sound (LIKE t) USING $am;
INSERT INTO broken SELECT * FROM points(1, 10);
INSERT INTO sound SELECT * FROM points(1, 10);
CREATE TABLE header (LIKE t) USING $am;
CREATE TABLE older (LIKE t) USING $am;
INSERT INTO header SELECT * FROM points(1, 100);
INSERT INTO older SELECT * FROM points(1, 100);
CREATE TABLE figures (LIKE t) USING $am;
INSERT INTO figures (name, $time, value) SELECT 'one', $time, value FROM points(1, 300);
CREATE TABLE told (LIKE t) USING $am WITH (historian.seal_interval = '1h');
INSERT INTO told SELECT * FROM points(1, 1000);
CREATE TABLE elder (LIKE t) USING $am;
INSERT INTO elder SELECT * FROM points(1, 10);
CALL compact('header');
CALL compact('older');
CALL compact('figures');
SELECT pg_relation_filepath('broken');
SQL
my %segment = map { $_ => [split /\|/, $node->safe_psql('postgres',
    "SELECT pg_relation_filepath('$_'), first_block FROM historian_segments('$_') WHERE state = 'sealed'")] }
    qw(header older figures);
my $told_path = $node->safe_psql('postgres', "SELECT pg_relation_filepath('told')");
my $elder_path = $node->safe_psql('postgres', "SELECT pg_relation_filepath('elder')");
$node->append_conf('postgresql.conf', "historian.seal_interval = 1s");
$node->stop;
# One byte of the first summary on the page that tells what closed tail pages hold.
my $summary_block = -1;
{
    open my $file, '+<:raw', $node->data_dir . "/$told_path" or die $!;
    for (my $block = 0; read $file, my $page, PAGE; $block++)
    {
        $summary_block = $block if $summary_block < 0 && unpack('v', substr $page, PAGE - 16) == 7;
    }
    seek $file, $summary_block * PAGE + 24 + 50, 0;
    read $file, my $byte, 1;
    seek $file, $summary_block * PAGE + 24 + 50, 0;
    print $file chr(ord($byte) ^ 1);
    close $file;
}
{
    open my $file, '+<:raw', $node->data_dir . "/$path" or die $!;
    print $file random_bytes(PAGE);
    close $file;
}
{
    # pd_lower and the version.
    open my $file, '+<:raw', $node->data_dir . "/$elder_path" or die $!;
    seek $file, 12, 0;
    print $file pack('v', 152);
    seek $file, 28, 0;
    print $file pack('v', 3);
    close $file;
}
for (['header', 48, "\xFF"], ['older', 4, "\x01"], ['figures', undef, "\xFF"])
{
    my ($table, $offset, $byte) = @$_;
    my ($segment_path, $block) = @{ $segment{$table} };
    open my $file, '+<:raw', $node->data_dir . "/$segment_path" or die $!;
    if (!defined $offset)
    {
        # Statistics lie behind the index, whose bytes the header counts.
        seek $file, $block * PAGE + 24 + 16, 0;
        read $file, my $index_bytes, 8;
        $offset = 64 + unpack('Q<', $index_bytes) + 20;
    }
    seek $file, $block * PAGE + 24 + $offset, 0;
    print $file $byte;
    close $file;
}
$node->start;
my (undef, undef, $said) = $node->psql('postgres', "SELECT * FROM historian_size('header')");
like($said, qr/found damage in block $segment{header}[1] of table "header".*checksum of a segment's header/s,
    'historian_size names the block of a damaged header');
(undef, undef, $said) = $node->psql('postgres', "SELECT * FROM told WHERE name = 'nobody'");
like($said, qr/found damage in block $summary_block of table "told".*summary of tail page 0 does not match its checksum/s,
    'a damaged summary hides no row: the query says so');
is($node->safe_psql('postgres', 'SELECT count(*) FROM told'), 1000, '... and one that needs no summary reads on');
(undef, undef, $said) = $node->psql('postgres', "SELECT * FROM historian_size('older')");
like($said, qr/could not open a segment of table "older".*format version that this build does not know/s,
    'a segment of another version is refused');
(undef, undef, $said) = $node->psql('postgres', "SELECT * FROM elder");
like($said, qr/table "elder" has on-disk format version 3\b.*This historian reads version \d+\./s,
    'a table of another version is refused for its version');
(undef, undef, $said) = $node->psql('postgres', "SELECT * FROM historian_check('figures')");
like($said, qr/could not read the statistics of a segment of table "figures".*checksum of a segment's statistics/s,
    'damaged statistics are found');
is($node->safe_psql('postgres', 'SELECT count(value) FROM (SELECT value FROM figures OFFSET 0) AS f'), 300,
    '... and rows are read without them');
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM historian_segments('sound') WHERE kind = 'segment'"),
    'a damaged table does not keep the worker from others');

is($faults, 0, 'damage is an error or has no effect');
cmp_ok($refused, '>', $tried / 10, 'damage was met');
note sprintf '%d damaged tables, %d of them with errors, %d statements failed', $tried, $refused, $failed_statements;
for my $checksums (sort keys %nodes)
{
    $node = $nodes{$checksums};
    is($node->safe_psql('postgres',
        'SELECT count(*) FROM (SELECT hashtextextended(t::text, 0) FROM t EXCEPT ALL SELECT row FROM expected) AS d'), 0,
        "checksums $checksums: the table beside the damaged ones is whole");
    $node->stop;
    my @crashes = grep { /PANIC|terminated by signal|TRAP|stuck spinlock/ } split /^/m, slurp_file($node->logfile);
    is(join('', @crashes), '', "checksums $checksums: nothing crashed");
}
done_testing();
