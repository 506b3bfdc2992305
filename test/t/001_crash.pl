# The server is killed with SIGKILL at random moments while it is written to in every way. After each restart:
#
#   1. every transaction that was acknowledged is there, each of its rows exactly once and exactly as sent;
#   2. every other transaction is there as a whole or not at all (its COMMIT may have happened before the kill);
#   3. nothing that was rolled back is there, nothing whose deletion was acknowledged, and no deletion is half done;
#   4. historian_check() finds nothing;
#   5. a log table with a retention policy holds all from some row on: see Retained.pm.
#
# Each row is a function of (writer, txn, row), see sent() below, so that no list of rows needs to be kept: writers log only
# "begin txn k", "done txn" and "undo txn", and "delete txn" and "deleted txn" for what they delete again. Kills are of three
# kinds: the postmaster with all its children at one instant, the postmaster alone, and one child, after which the postmaster
# restarts the others.
#
# HISTORIAN_TEST_SEED repeats a run's choices (not its timing); HISTORIAN_CRASH_ROUNDS (40) makes it longer;
# HISTORIAN_TEST_AM=log runs it on a log table (013_crash_of_log_table.pl does), =heap tests the test.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use FindBin;
use IO::Handle;
use IPC::Open2;
use POSIX qw(strftime);
use Time::HiRes qw(sleep time);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use lib $FindBin::RealBin;
use Retained;

my $am = $ENV{HISTORIAN_TEST_AM} // 'tag';
my $is_ours = $am ne 'heap';
my $time = $am eq 'log' ? '_arrival_time' : '"time"';
my $rounds = $ENV{HISTORIAN_CRASH_ROUNDS} // 40;
my $seed = $ENV{HISTORIAN_TEST_SEED} // int(rand(1_000_000_000));
note "seed $seed (HISTORIAN_TEST_SEED)";
srand($seed);

use constant WRITERS => 3;

# Rows of one transaction; few of the long ones, so that checking all rows after each kill stays quick.
my @row_counts = ((1) x 60, (2, 7, 20, 100, 300) x 14, (1500) x 5, 5000, 20_000);

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
# Killed processes leave the operating system's cache alone: fsync would only cost time.
$node->append_conf('postgresql.conf', <<'SETTINGS');
fsync = off
max_connections = 30
restart_after_crash = on
checkpoint_timeout = 30s
max_wal_size = 128MB
autovacuum_naptime = 1s
log_min_messages = warning
historian.maintenance_interval = 50ms
historian.seal_interval = 1s
historian.retention_interval = 1s
historian.retention_warn_share = 1
SETTINGS
# So small that there are many to merge by tag.
$node->append_conf('postgresql.conf', 'historian.debug_segment_rows = 20000');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'") if $is_ours;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION historian') if $is_ours;
$node->safe_psql('postgres', <<"SETUP");
CREATE TABLE t (name text, $time timestamptz, value float8, writer int, txn int, "row" int, k int, note text) USING $am;
-- The rows 0 .. rows-1 of one transaction. Some notes are too long for a page.
CREATE FUNCTION sent(w int, x int, rows int)
RETURNS TABLE (name text, $time timestamptz, value float8, writer int, txn int, "row" int, k int, note text)
LANGUAGE sql IMMUTABLE AS \$\$
    SELECT 'w' || w || '.s' || i % 13, timestamptz '2026-01-01 00:00:00+00' + x * interval '1 s' + i * interval '1 ms',
           ((x::bigint * 31 + i * 17) % 10007)::float8 / 100, w, x, i, rows,
           CASE WHEN i % 5 = 0 THEN NULL
                WHEN x % 10 = 0 AND i % 997 = 1 THEN repeat(md5(w || '/' || x || '/' || i), 700)
                ELSE 'note ' || md5(w || '/' || x || '/' || i) END
    FROM generate_series(0, rows - 1) AS i
\$\$;
SETUP
my $has_compact = $is_ours;
my $dir = PostgreSQL::Test::Utils::tempdir;
my $retained = $am eq 'log' ? Retained->new($node) : undef;

# One line of sent(), as COPY text.
sub copy_line
{
    my ($w, $x, $i, $k) = @_;
    my $time = strftime('%Y-%m-%d %H:%M:%S', gmtime(1767225600 + $x + int($i / 1000))) . sprintf('.%03d+00', $i % 1000);
    my $md5 = md5_hex("$w/$x/$i");
    my $note = $i % 5 == 0 ? '\N' : $x % 10 == 0 && $i % 997 == 1 ? $md5 x 700 : "note $md5";
    return sprintf("w%d.s%d\t%s\t%.2f\t%d\t%d\t%d\t%d\t%s\n",
        $w, $i % 13, $time, (($x * 31 + $i * 17) % 10007) / 100, $w, $x, $i, $k, $note);
}

# The SQL of one transaction, and whether it is to be undone.
sub transaction_sql
{
    my ($w, $x, $k) = @_;
    my $one = "INSERT INTO t SELECT * FROM sent($w, $x, $k) AS s WHERE s.row";
    my $junk = "INSERT INTO t SELECT name, $time, value, writer, txn, -1, k, note FROM sent($w, $x, 50);\n";
    my $copy = sub {
        my ($first, $last) = @_;
        return "COPY t FROM STDIN;\n" . join('', map { copy_line($w, $x, $_, $k) } $first .. $last) . "\\.\n";
    };
    my $half = int($k / 2);
    my $kind = int(rand(8));
    return ($copy->(0, $k - 1), 0) if $kind <= 1 || $k > 5000;
    return ("INSERT INTO t SELECT * FROM sent($w, $x, $k);\n", 0) if $kind == 2;
    if ($kind == 3)
    {
        my $m = $k < 30 ? $k : 30;
        my $sql = "BEGIN;\n";
        $sql .= "EXECUTE one_row($w, $x, $k, $_);\n" for 0 .. $m - 1;
        $sql .= "$one >= $m;\n" if $k > $m;
        return ($sql . "COMMIT;\n", 0);
    }
    if ($kind == 4)
    {
        my $sql = "BEGIN;\n$one < $half;\nSAVEPOINT a;\n$junk";
        $sql .= "SAVEPOINT b;\n$junk" . "RELEASE b;\n" if rand() < 0.5;
        return ("$sql ROLLBACK TO a;\n$one >= $half;\nCOMMIT;\n", 0);
    }
    if ($kind == 5)
    {
        return ("BEGIN;\nSAVEPOINT a;\n" . $copy->(0, $half) . "RELEASE a;\nSAVEPOINT b;\n" . $copy->(0, 40) . "ROLLBACK TO b;\n"
            . ($half + 1 < $k ? $copy->($half + 1, $k - 1) : '') . "COMMIT;\n", 0);
    }
    if ($kind == 6)
    {
        return ("BEGIN;\n$junk" . $copy->(0, $half) . "ROLLBACK;\n", 1);
    }
    # Rows as literals, in one statement.
    my $m = $k < 50 ? $k : 50;
    my $values = join(",\n", map {
        my @field = map { $_ eq '\N' ? 'NULL' : "'$_'" } split /\t/, copy_line($w, $x, $_, $k) =~ s/\n//r;
        '(' . join(', ', @field) . ')';
    } 0 .. $m - 1);
    return ("BEGIN;\nINSERT INTO t VALUES $values;\n" . ($k > $m ? "$one >= $m;\n" : '') . "COMMIT;\n", 0);
}

# Sends to a psql until the server is gone. $next gives (text before the server's answer, SQL, text after it), or nothing to stop.
sub converse
{
    my ($log_name, $next) = @_;
    $SIG{PIPE} = 'IGNORE';
    open my $log, '>>', $log_name or die "$log_name: $!";
    $log->autoflush(1);
    # A connection may be refused while the server comes back.
    open STDERR, '>>', "$log_name.stderr";
    open2(my $out, my $in, 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'));
    $in->autoflush(1);
    while (my ($before, $sql, $after) = $next->())
    {
        print $log $before;
        print $in "$sql\\echo answered\n" or last;
        my $line;
        while (defined($line = <$out>)) { last if $line eq "answered\n" }
        last unless defined $line;
        print $log $after;
    }
}

# Forks a process that runs $work and leaves without Test::More's goodbye.
sub in_background
{
    my ($work) = @_;
    my $random = int(rand(1 << 30));
    my $pid = fork() // die "fork: $!";
    return $pid if $pid;
    srand($random);
    eval { $work->(); 1 } or print STDERR $@;
    POSIX::_exit(0);
}

my %done;      # writer -> txn -> rows, acknowledged
my %unknown;   # writer -> txn -> rows, begun and not answered
my %deleting;  # writer -> txn -> rows, acknowledged once, and a deletion begun and not answered
my %undone;    # writer -> txn -> 1, rolled back or deleted
my @next_txn = (1) x (WRITERS + 1);

# The SQL that deletes the rows of an earlier transaction, and whether it stays with that.
sub deletion_sql
{
    my ($w, $x) = @_;
    my $delete = "DELETE FROM t WHERE writer = $w AND txn = $x";
    my $kind = int(rand(4));
    return ("$delete;\n", 1) if $kind <= 1;
    return ("BEGIN;\n$delete AND row % 2 = 0;\nSAVEPOINT a;\n$delete;\nROLLBACK TO a;\n$delete;\nCOMMIT;\n", 1) if $kind == 2;
    return ("BEGIN;\n$delete;\nROLLBACK;\n", 0);
}

sub start_writer
{
    my ($w, $round) = @_;
    my $x = $next_txn[$w];
    my $prepared = 0;
    my @kept = keys %{ $done{$w} };
    my @just_sent;
    return in_background(sub {
        converse("$dir/writer$w.$round", sub {
            if (!$prepared++)
            {
                return ('', "PREPARE one_row(int, int, int, int) AS INSERT INTO t SELECT * FROM sent(\$1, \$2, \$3) AS s "
                    . "WHERE s.row = \$4;\nSET synchronous_commit = on;\n", '');
            }
            push @kept, splice @just_sent;    # it was answered
            if (@kept > 5 && rand() < 0.2)
            {
                my ($old) = splice @kept, int(rand(@kept)), 1;
                my ($sql, $stays) = deletion_sql($w, $old);
                return ("delete $old\n", $sql, "deleted $old\n") if $stays;
                push @kept, $old;
                return ('', $sql, '');
            }
            my $k = $row_counts[int(rand(@row_counts))];
            my ($sql, $undo) = transaction_sql($w, $x, $k);
            my $number = $x++;
            push @just_sent, $number unless $undo;
            return ("begin $number $k\n", $sql, ($undo ? 'undo' : 'done') . " $number\n");
        });
    });
}

sub start_maintenance
{
    my ($round) = @_;
    my @statements = ('VACUUM t', 'CHECKPOINT', 'ANALYZE t', ('CALL compact(\'t\')') x (6 * $has_compact),
        ('CALL compact(\'recent\')', 'VACUUM recent') x defined $retained);
    return in_background(sub {
        converse("$dir/maintenance.$round", sub {
            sleep(rand(0.1));
            return ('', $statements[int(rand(@statements))] . ";\n", '');
        });
    });
}

# A reader's snapshot holds whole transactions, whatever compaction does meanwhile, and two scans of one snapshot agree.
sub start_reader
{
    my ($round) = @_;
    my $torn = "SELECT count(*) FROM (SELECT FROM t GROUP BY writer, txn HAVING count(*) <> max(k)) AS torn";
    return in_background(sub {
        converse("$dir/reader.$round", sub {
            sleep(rand(0.3));
            return ('', "BEGIN ISOLATION LEVEL REPEATABLE READ;\nDO \$\$ DECLARE a bigint; b bigint; c bigint; BEGIN\n"
                . "SELECT count(*), sum(row) INTO a, b FROM t; PERFORM pg_sleep(0.05); SELECT count(*) INTO c FROM t;\n"
                . "IF a <> c THEN RAISE 'a snapshot changed from % to % rows', a, c; END IF;\n"
                . "IF ($torn) > 0 THEN RAISE 'a snapshot holds part of a transaction'; END IF;\n"
                . "END \$\$;\nCOMMIT;\n", '');
        });
    });
}

sub read_logs
{
    my ($round) = @_;
    for my $w (1 .. WRITERS)
    {
        for my $line (split /\n/, slurp_file("$dir/writer$w.$round"))
        {
            my ($what, $x, $k) = split / /, $line;
            if ($what eq 'begin') { $unknown{$w}{$x} = $k; $next_txn[$w] = $x + 1 }
            elsif ($what eq 'done') { $done{$w}{$x} = delete $unknown{$w}{$x} }
            elsif ($what eq 'undo') { $undone{$w}{$x} = delete $unknown{$w}{$x} }
            elsif ($what eq 'delete') { $deleting{$w}{$x} = delete $done{$w}{$x} }
            elsif ($what eq 'deleted') { $undone{$w}{$x} = delete $deleting{$w}{$x} }
        }
    }
    my $reader = slurp_file("$dir/reader.$round.stderr");
    return $reader =~ /(a snapshot [a-z0-9 ]+)/ ? ($1) : ();
}

# Everything that is wrong in the table, as text; empty when all is well.
sub faults
{
    my ($with_values) = @_;
    my @faults;
    my $groups = $node->safe_psql('postgres', 'SELECT writer, txn, count(*), count(DISTINCT "row"), min("row"), max("row"), '
        . 'min(k), max(k) FROM t GROUP BY writer, txn');
    my %found;
    for my $line (split /\n/, $groups)
    {
        my ($w, $x, $count, $distinct, $first, $last, $k, $k_max) = split /\|/, $line;
        $found{$w}{$x} = 1;
        my $sent = $done{$w}{$x} // $unknown{$w}{$x} // $deleting{$w}{$x};
        if ($undone{$w}{$x}) { push @faults, "writer $w txn $x was rolled back or deleted, $count rows are there"; next }
        if (!defined $sent) { push @faults, "writer $w txn $x was never sent, $count rows are there"; next }
        push @faults, "writer $w txn $x: sent $sent rows, found $count ($distinct distinct, $first to $last, k $k to $k_max)"
            if $count != $sent || $distinct != $sent || $first != 0 || $last != $sent - 1 || $k != $sent || $k_max != $sent;
    }
    for my $w (keys %done)
    {
        for my $x (keys %{ $done{$w} }) { push @faults, "writer $w txn $x was acknowledged and is gone" unless $found{$w}{$x} }
    }
    # What was in doubt is decided now, for ever.
    for my $doubtful (\%unknown, \%deleting)
    {
        for my $w (keys %$doubtful)
        {
            for my $x (keys %{ $doubtful->{$w} })
            {
                if ($found{$w}{$x}) { $done{$w}{$x} = delete $doubtful->{$w}{$x} }
                else { delete $doubtful->{$w}{$x}; $undone{$w}{$x} = 1 }
            }
        }
    }
    if ($with_values)
    {
        my $changed = $node->safe_psql('postgres', <<'SQL');
CREATE TEMP TABLE stored AS SELECT * FROM t;
CREATE TEMP TABLE expected AS SELECT s.* FROM (SELECT DISTINCT writer, txn, k FROM stored) AS x, sent(x.writer, x.txn, x.k) AS s;
SELECT 'changed ' || count(*) FROM (TABLE stored EXCEPT ALL TABLE expected) AS d;
SELECT 'absent ' || count(*) FROM (TABLE expected EXCEPT ALL TABLE stored) AS d;
SQL
        push @faults, "rows that are not as sent: $changed" unless $changed =~ /changed 0\nabsent 0$/;
    }
    if ($am eq 'log')
    {
        # Answered by filters and templates, and by reading the texts.
        my $words = $node->safe_psql('postgres', "SELECT (SELECT count(*) FROM t WHERE note @@ search('note')), "
            . "(SELECT count(*) FROM t WHERE note LIKE 'note %' OR note LIKE '% note%')");
        my ($found, $there) = split /\|/, $words;
        push @faults, "a search found $found rows of $there" if $found != $there;
    }
    if ($is_ours)
    {
        my ($status, $out, $err) = $node->psql('postgres', "SELECT historian_check('t')");
        push @faults, "historian_check: $err" if $status != 0;
    }
    return @faults;
}

sub children
{
    my ($postmaster) = @_;
    my @pids;
    for my $stat (glob '/proc/[0-9]*/stat')
    {
        open my $file, '<', $stat or next;
        my $line = <$file> // next;
        push @pids, $1 if $line =~ /^(\d+) \(.*\) \S+ $postmaster /;
    }
    return @pids;
}

sub wait_until
{
    my ($what, $test) = @_;
    my $end = time() + 120;
    until ($test->())
    {
        if (time() > $end) { diag "timed out: $what"; return 0 }
        sleep(0.05);
    }
    return 1;
}

sub is_gone { my ($pid) = @_; return !kill(0, $pid) || slurp_file("/proc/$pid/stat") =~ /\) Z / }

sub crash
{
    my ($kind) = @_;
    my $postmaster = $node->{_pid};
    my @children = children($postmaster);
    if ($kind eq 'one child')
    {
        kill 9, $children[int(rand(@children))];
        return;
    }
    if ($kind eq 'all at once')
    {
        # Stopped first, so that no child sees another one die.
        kill 'STOP', $postmaster, @children;
        @children = children($postmaster);
        kill 9, @children;
    }
    $node->kill9;
    wait_until('children end', sub { !grep { -e "/proc/$_" && !eval { is_gone($_) } } @children });
    # Not $node->start: it ends the test at the first refusal, and one is right as long as a child of the dead postmaster lives.
    wait_until('the postmaster starts', sub {
        return system_log('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, 'start') == 0;
    });
    $node->_update_pid(1);
}

# MQTT: messages go on during all rounds; the broker lives. Each must be there at the end, at least once.
my $broker;
my $published = 0;
my ($broker_pid, $publisher_pid, $publisher);

sub start_mqtt
{
    my ($mosquitto) = grep { -x } '/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/usr/bin/mosquitto';
    return 0 unless $am eq 'tag' && $mosquitto
        && $node->safe_psql('postgres', "SELECT count(*) FROM pg_proc WHERE proname = 'mqtt_subscribe'") > 0;
    $broker = PostgreSQL::Test::Cluster::get_free_port();
    append_to_file("$dir/mosquitto.conf", "listener $broker 127.0.0.1\nallow_anonymous true\nmax_queued_messages 1000000\n");
    $broker_pid = fork() // die "fork: $!";
    if (!$broker_pid)
    {
        open STDOUT, '>', "$dir/mosquitto.log";
        open STDERR, '>&', \*STDOUT;
        exec $mosquitto, '-c', "$dir/mosquitto.conf" or POSIX::_exit(1);
    }
    $node->safe_psql('postgres', "CREATE TABLE m (name text, time timestamptz, value float8) USING tag;");
    wait_until('the broker answers', sub { system("mosquitto_pub -p $broker -t none -m x 2>/dev/null") == 0 });
    $node->safe_psql('postgres',
        "SELECT mqtt_subscribe('crash', broker => 'mqtt://127.0.0.1:$broker', topic => 'db/append/#')");
    # The session must exist at the broker before the first message, or nobody keeps it.
    wait_until('the worker subscribes', sub {
        system("mosquitto_pub -p $broker -q 1 -t db/append/m -m '[\"probe\", 1767225600000000000, 0]'");
        sleep(0.2);
        return $node->safe_psql('postgres', "SELECT count(*) FROM m WHERE name = 'probe'") > 0;
    });
    $publisher_pid = open($publisher, '|-', "exec mosquitto_pub -p $broker -q 1 -t db/append/m -l") or die "mosquitto_pub: $!";
    $publisher->autoflush(1);
    return 1;
}

sub publish
{
    my ($count) = @_;
    for (1 .. $count)
    {
        printf $publisher "[\"mqtt.%d\", %d, %d]\n", $published % 20, 1767225600 * 10**9 + $published * 10**6, $published;
        $published++;
    }
}
my $has_mqtt = start_mqtt();

my %kinds;
for my $round (1 .. $rounds)
{
    my @workers = ((map { start_writer($_, $round) } 1 .. WRITERS), start_maintenance($round), start_reader($round));
    push @workers, in_background(sub { converse("$dir/retained.$round", sub { $retained->work }) }) if $retained;
    my $end = time() + 0.2 + rand(1.3);
    while (time() < $end)
    {
        publish(int(rand(40))) if $has_mqtt;
        sleep(0.02);
    }
    my $kind = ('all at once', 'all at once', 'postmaster', 'one child')[int(rand(4))];
    $kinds{$kind}++;
    crash($kind);
    # Their connections are gone, so they end by themselves.
    waitpid($_, 0) for @workers;
    my $is_up = wait_until('the server answers', sub { $node->psql('postgres', 'SELECT 1') == 0 });
    my @faults = (read_logs($round), $is_up ? faults($round % 8 == 0 || $round == $rounds) : ('the server did not come back'));
    push @faults, $retained->faults("$dir/retained.$round") if $retained && $is_up;
    ok(!@faults, "round $round: all is as acknowledged after SIGKILL of $kind");
    if (@faults)
    {
        diag join("\n", @faults[0 .. ($#faults < 10 ? $#faults : 10)]);
        last;
    }
}

if ($has_mqtt)
{
    close $publisher;
    my $all = wait_until('all messages arrive',
        sub { $node->safe_psql('postgres', "SELECT count(DISTINCT value) FROM m WHERE name <> 'probe'") == $published });
    my $rows = $node->safe_psql('postgres', "SELECT count(*) FROM m WHERE name <> 'probe'");
    my $wrong = $node->safe_psql('postgres', "SELECT count(*) FROM m WHERE name <> 'probe' "
        . "AND (name <> 'mqtt.' || value::int % 20 OR time <> timestamptz '2026-01-01 00:00:00+00' + value * interval '1 ms')");
    ok($all && $wrong == 0, "$published MQTT messages are all there, each as sent");
    note "$published messages published, ", $rows - $published, " stored twice";
}

if ($retained)
{
    ok(wait_until('the policy deletes', sub { $retained->is_trimmed }), 'the policy goes on');
    note $retained->summary;
}

my ($done, $undone) = (0, 0);
$done += keys %$_ for values %done;
$undone += keys %$_ for values %undone;
note "$rounds kills (", join(', ', map { "$kinds{$_} of $_" } sort keys %kinds), "), $done transactions kept, $undone undone, ",
    $node->safe_psql('postgres', 'SELECT count(*) FROM t'), ' rows';
$node->stop;
done_testing();

END
{
    if ($broker_pid) { local $?; kill 'TERM', $broker_pid; waitpid($broker_pid, 0) }
}
