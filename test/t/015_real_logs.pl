# Real logs in a log table and in a heap table: the same answers to random searches, patterns, equalities and windows of time,
# while the records are fresh, half sealed, sealed, and deleted from. What is asked is taken from the lines themselves.
#
# The logs lie beside the project, or in $HISTORIAN_DATA_DIR/logs; without them there is nothing to test.
# HISTORIAN_TEST_SEED repeats a run's choices.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = $ENV{HISTORIAN_DATA_DIR} // "$FindBin::RealBin/../../../shared/data";
my @sets = glob "$data/logs/*.log.zst";
plan skip_all => 'no real logs at hand' unless @sets;

my $seed = $ENV{HISTORIAN_TEST_SEED} // int(rand(1_000_000_000));
note "seed $seed (HISTORIAN_TEST_SEED)";
srand($seed);

use constant LINES => 20_000;

my $node = PostgreSQL::Test::Cluster->new('real_logs');
$node->init(extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION historian');

my $dir = PostgreSQL::Test::Utils::tempdir;
chmod 0755, $dir;

sub one_of { return $_[int(rand(@_))] }
sub literal { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

# A condition about what stands in a line.
sub condition
{
    my ($line) = @_;
    my @words = grep { length } split /[^A-Za-z0-9]+/, $line;
    return "msg = ''" unless @words;
    my $at = int(rand(@words));
    my $word = $words[$at];
    my $part = substr($line, int(rand(length $line)), 1 + int(rand(30)));
    my $like = $part =~ s/([\\%_])/\\$1/gr;
    my $regex = $part =~ s/([^A-Za-z0-9 ])/\\$1/gr;
    return one_of(
        sub { 'msg @@ search(' . literal($word) . ')' },
        sub { 'msg @@ search(' . literal(lc "$word " . one_of(@words)) . ')' },
        sub { 'msg @@ search(' . literal(join ' ', map { "\"$_\"" } $word, one_of(@words)) . ')' },
        sub { 'msg @@ search(' . literal('"' . join(' ', grep { defined } @words[$at .. $at + 2]) . '"') . ')' },
        sub { 'msg @@ search(' . literal(substr($word, 0, 1 + int(rand(length $word))) . '*') . ')' },
        sub { 'msg @@ search(' . literal('*' . substr($word, int(rand(length $word)))) . ')' },
        sub { 'msg @@ search(' . literal("$word -" . one_of(@words)) . ')' },
        sub { 'msg @@ search(' . literal("-$word") . ')' },
        sub { 'msg @@ search(' . literal("$word | " . one_of(@words)) . ')' },
        sub { 'msg LIKE ' . literal("%$like%") },
        sub { 'msg LIKE ' . literal('%' . ($line =~ s/([\\%_])/\\$1/gr)) },
        sub { 'msg ILIKE ' . literal('%' . uc($like) . '%') },
        sub { 'msg ~ ' . literal($regex) },
        sub { 'msg ~* ' . literal($regex) },
        sub { 'msg = ' . literal($line) },
        sub { 'msg IN (' . literal($line) . ", 'nothing')" })->();
}

for my $packed (@sets)
{
    my ($name) = $packed =~ m{([^/]+)\.log\.zst$};
    my @all = split /\n/, `zstd -dqc '$packed'`;
    # From anywhere in the set; PostgreSQL takes neither invalid UTF-8 nor NUL bytes.
    my $first = @all > LINES ? int(rand(@all - LINES)) : 0;
    my @lines = grep { my $copy = $_; utf8::decode($copy) && !/\0/ } splice @all, $first, LINES;
    my %escape = ("\\" => '\\\\', "\t" => '\t', "\r" => '\r');
    my $number = 0;
    open my $file, '>', "$dir/$name.tsv" or die $!;
    printf $file "%d\t%s\n", ++$number, s/([\\\t\r])/$escape{$1}/gr for @lines;
    close $file;
    $node->safe_psql('postgres', <<"SQL");
DROP TABLE IF EXISTS ours, heap, incoming;
CREATE TABLE incoming (id int, msg text) USING heap;
COPY incoming FROM '$dir/$name.tsv';
CREATE TABLE heap (id int, msg text, _arrival_time timestamptz NOT NULL) USING heap;
INSERT INTO heap SELECT id, msg, timestamptz '2026-01-01 00:00+00' + id * interval '100 ms' FROM incoming;
CREATE TABLE ours (LIKE heap) USING log;
SQL
    my $half = int(@lines / 2);
    my @states = (
        [ 'fresh' => "INSERT INTO ours SELECT * FROM heap WHERE id <= $half", $half ],
        [ 'sealed' => "CALL compact('ours')", $half ],
        [ 'half sealed' => "INSERT INTO ours SELECT * FROM heap WHERE id > $half", scalar @lines ],
        [ 'merged' => "CALL compact('ours')", scalar @lines ],
        [ 'deleted from' => 'DELETE FROM ours WHERE id % 7 = 3; DELETE FROM heap WHERE id % 7 = 3', scalar @lines ]);
    for (@states)
    {
        my ($state, $sql, $last) = @$_;
        $node->safe_psql('postgres', $sql);
        my (@conditions, $script);
        for (1 .. 40)
        {
            my $condition = condition(one_of(@lines));
            my $minute = int(rand(20));
            $condition .= " AND _arrival_time <@ duration('10 minutes', before => timestamptz '2026-01-01 00:$minute+00')"
                if rand() < 0.2;
            push @conditions, $condition;
            my $digest = "count(*), md5(coalesce(string_agg(id || ' ' || md5(msg), ',' ORDER BY id), ''))";
            $script .= "SELECT (SELECT ($digest)::text FROM ours WHERE $condition) IS NOT DISTINCT FROM "
                . "(SELECT ($digest)::text FROM heap WHERE id <= $last AND ($condition));\n";
        }
        my ($status, $out, $err) = $node->psql('postgres', $script);
        my @equal = split /\n/, $out;
        my @wrong = grep { ($equal[$_] // '') ne 't' } 0 .. $#conditions;
        ok(!@wrong && $status == 0, "$name, $state: the answers of heap") or diag join "\n", $err, @conditions[@wrong];
    }
    my $same = $node->safe_psql('postgres', "SELECT delete_oldest('ours', rows => 1000); SELECT count(*) FROM "
            . '(SELECT id FROM ours EXCEPT ALL (SELECT id FROM heap ORDER BY id OFFSET 1000)) AS d; SELECT count(*) FROM ours');
    my $left = $node->safe_psql('postgres', 'SELECT greatest(count(*) - 1000, 0) FROM heap');
    is((split /\n/, $same)[1], 0, "$name: the oldest 1,000 are gone");
    is((split /\n/, $same)[2], $left, '... and no others');
    is($node->safe_psql('postgres', "SELECT historian_check('ours') IS NOT NULL"), 't', "$name: historian_check");
}
$node->stop;
done_testing();
