# rsyslog itself writes into log tables, with the configuration of doc/collecting-logs.md, and loses no more than the page says.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Rsyslog;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

Rsyslog::require_or_skip();

my $seed = $ENV{HISTORIAN_TEST_SEED} // int(rand(1_000_000_000));
srand $seed;
note "seed $seed (HISTORIAN_TEST_SEED)";

my $node = PostgreSQL::Test::Cluster->new('writers');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'\nhistorian.maintenance_interval = 100ms\n");
$node->start;
my $database = 'postgres';

sub query { return $node->safe_psql($database, $_[0]) }
sub refused {
    my ($sql, $expected, $name) = @_;
    my ($code, $out, $err) = $node->psql($database, "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
    like($err, $expected, $name);
}
sub wait_for {
    my ($sql, $name) = @_;
    ok($node->poll_query_until($database, "SELECT ($sql)"), $name);
}

query(<<'END');
CREATE EXTENSION historian;
CREATE TABLE syslog (host text, severity int, facility int, tag text, msg text) USING log;
CREATE ROLE collector LOGIN;
GRANT INSERT ON syslog TO collector;
END

# --- rsyslog's own table: the script that comes with rsyslog-pgsql, or what is in it that matters here
my $script_file = '/usr/share/dbconfig-common/data/rsyslog-pgsql/install/pgsql';
my $script = -r $script_file ? slurp_file($script_file) : <<'END';
CREATE TABLE SystemEvents (ID serial not null primary key, ReceivedAt timestamp, DeviceReportedTime timestamp, Facility smallint,
    Priority smallint, FromHost varchar(60), Message text, InfoUnitID int, SysLogTag varchar(60));
END
my $as_log = 'SET default_table_access_method = log;';
refused("$as_log $script", qr/ERROR:  0A000: unique indexes and primary keys are not supported on table "systemevents"/,
    "rsyslog's own table cannot have its primary key");
refused("$as_log $script", qr/HINT:  Leave out PRIMARY KEY and UNIQUE\./, '... and the hint says what to do');
query("$as_log " . $script =~ s/ primary key//gr);
query('GRANT INSERT ON SystemEvents TO collector; GRANT USAGE ON SEQUENCE systemevents_id_seq TO collector');

# --- rsyslog, configured as the page says, with a second input for its own table
my ($page) = grep { -r } map { "$FindBin::RealBin/../../doc/$_" } 'collecting-logs.md';
my ($configuration) = slurp_file($page) =~ /^```conf\n(.*?)^```/ms or die 'no configuration on the page';
my $folder = PostgreSQL::Test::Utils::tempdir();
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $own_table_port = PostgreSQL::Test::Cluster::get_free_port();
my $server = 'postgresql://collector@/postgres?host=' . $node->host . '&port=' . $node->port;
for (['/var/spool/rsyslog', $folder], ['/var/log/plant', $folder], ['"10514"', "\"$port\""], [qr/postgresql:[^"]*/, $server],
    ['action.resumeInterval="5"', 'action.resumeInterval="1"'], ['queue.size="100000"', 'queue.size="8000"'])
{
    my ($theirs, $ours) = @$_;
    $theirs = qr/\Q$theirs\E/ unless ref $theirs;
    $configuration =~ s/$theirs/$ours/ or die "the page's configuration has no $theirs";
}
my $rsyslog = Rsyslog->new(folder => $folder, port => $port, configuration => $configuration . <<"END")->start;
ruleset(name="own_table") {
    action(type="ompgsql" conninfo="$server" queue.type="LinkedList" action.resumeRetryCount="-1" action.resumeInterval="1")
}
input(type="imtcp" address="127.0.0.1" port="$own_table_port" ruleset="own_table")
END

# Texts that something between us and the table could take for something else.
my @odd = (
    '', ' ', '  two spaces before', 'space behind ', "it's", "''", "'; DROP TABLE syslog; --", '\\', '\\\\', "\\'", '\\n',
    '\\x41', '\\.', '%msg%', '%', '%%', '$1', '$$', '"', '{"json": [1, "a\\"b"]}', "tab\tand\nline\r\nbreaks", "\x01\x1b[31m\x7f",
    '#011', 'NULL', '한글 메시지: 3호기 펌프 고장', '日本語', 'é e' . "\xcc\x81", "\xf0\x9f\x98\x80",
    '-' x 200, 'BEGIN', 'ERROR:  x', '<34>1 2026', "\xef\xbb\xbfbom",
);
my @words = qw(error connection refused pump started stopped 펌프 3호기 점검 완료 10.0.0.1 /var/log user@example.com it's "x" \\ 0x1f);
sub some_text {
    my $kind = int rand 10;
    return $odd[ rand @odd ] if $kind < 2;
    return join ' ', map { $words[ rand @words ] } 1 .. 1 + rand($kind == 9 ? 3000 : 20);
}

# --- each message exactly as sent, in the order of arrival
my @sent;
sub message {
    my ($number, $text) = @_;
    my ($severity, $facility) = (int rand 8, int rand 24);
    push @sent, [ 8 * $facility + $severity, "host-" . int(rand 5), "n$number", $text ];
    return $sent[-1];
}
my $number = 0;
$rsyslog->send_messages($port, map { message(++$number, $_) } @odd, 'x' x 60_000, '한' x 20_000, map { some_text() } 1 .. 3000);
wait_for("(SELECT count(*) FROM syslog) >= $number", 'the messages arrive');

sub stored { return query("SELECT host, severity, facility, tag, encode(convert_to(msg, 'UTF8'), 'hex') FROM syslog") }
my $expected = join "\n", map { join '|', $_->[1], $_->[0] % 8, int($_->[0] / 8), $_->[2], unpack('H*', $_->[3]) } reverse @sent;
ok(stored() eq $expected, 'each as it was sent, newest first');

sub count_word { my ($word) = @_; return scalar grep { $_->[3] =~ $word } @sent }
my %searches = (
    '"connection refused"' => qr/connection (?:\\ )*refused/,
    'DROP' => qr/DROP/,
    '고장' => qr/고장/,
    'pump -started' => qr/^(?!.*started).*pump/s,
);
sub check_searches {
    my ($when) = @_;
    for my $search (sort keys %searches) {
        is(query("SELECT count(*) FROM syslog WHERE msg @@ search('$search')"), count_word($searches{$search}),
            "search $search $when");
    }
}
check_searches('in fresh records');
query("CALL compact('syslog')");
is(query("SELECT count(*) FROM historian_segments('syslog') WHERE state IN ('open', 'closed')"), 0, 'all records are sealed');
ok(stored() eq $expected, '... and as they were sent');
check_searches('in sealed records');

# --- what is not a message of RFC 5424 in UTF-8
query('TRUNCATE syslog');
$rsyslog->send_messages($port, [ 13, 'h', 'bytes', "bad \xff\xfe\xc3 end" ], [ 13, 'h', 'zero', "a\0b" ],
    [ 13, 'h', 'break', "end\n" ]);
$rsyslog->send_bytes($port, "<34>Oct 11 22:14:15 gate su[5]: 'su root' failed\n<34>Oct 11 22:14:15 gate su: again\n");
wait_for('(SELECT count(*) FROM syslog) >= 5', 'messages of other kinds arrive');
is(query("SELECT tag, msg FROM syslog ORDER BY _arrival_time"), <<'END' =~ s/\n\z//r, '... changed as the page says');
bytes|bad     end
zero|a#000b
break|end
su[5]:|'su root' failed
su:|again
END

SKIP: {
    my $logger = Broker::find_program('logger') or skip 'logger is needed', 1;
    query('TRUNCATE syslog');
    system($logger, '--server', '127.0.0.1', '--port', $port, '--tcp', '--rfc5424', '--tag', 'me', '-p', 'cron.err', q(it's 한글));
    wait_for("(SELECT string_agg(concat_ws('|', severity, facility, tag, msg), ',') FROM syslog) = '3|9|me|it''s 한글'",
        'logger writes');
}

# --- files
query('TRUNCATE syslog');
append_to_file("$folder/pump.log", "펌프 started\n\tit's \\n a \"line\"\n");
wait_for("(SELECT string_agg(tag || ':' || severity || ':' || msg, '|' ORDER BY _arrival_time) FROM syslog) = "
        . "E'plant:6:펌프 started|plant:6:\\tit''s \\\\n a \"line\"'", 'lines of a file');

# --- rsyslog's own table, its own template
$rsyslog->send_messages($own_table_port, map { [ 3 * 8 + 4, 'gate', "tag$_", "own '$_' \\ 한글" ] } 1 .. 1000);
wait_for('(SELECT count(*) FROM systemevents) = 1000', "rsyslog's own template fills its own table");
is(query('SELECT Message, Facility, FromHost, Priority, SysLogTag, DeviceReportedTime FROM SystemEvents LIMIT 2'),
    "own '1000' \\ 한글|3|gate|4|tag1000|2026-01-01 00:00:00\nown '999' \\ 한글|3|gate|4|tag999|2026-01-01 00:00:00", 'newest first');
query("CALL compact('systemevents')");
is(query("SELECT count(*) FROM SystemEvents WHERE Message @@ search('한글 77')"), 1, '... and searched');

# --- a server that is away
my $lines = 0;
sub next_lines { my ($count) = @_; return map { [ 14, 'h', 't', 'line ' . ++$lines ] } 1 .. $count }
my $times = 'SELECT count(*), count(DISTINCT msg) FROM syslog';
sub check_complete {
    my ($name, $missing) = @_;
    my $wanted = $lines - ($missing // 0);
    wait_for("(SELECT count(DISTINCT msg) FROM syslog) >= $wanted", $name);
}
query('TRUNCATE syslog');
$rsyslog->send_messages($port, next_lines(1000));
check_complete('messages before the server stops');
$node->stop('fast');
$rsyslog->send_messages($port, next_lines(5000));
$node->start;
check_complete('what came while the server was away is there');
is(query($times), "$lines|$lines", '... each once');
is(query("SELECT string_agg(substr(msg, 6), ' ') FROM syslog"), join(' ', reverse 1 .. $lines), '... newest first');

$node->stop('fast');
$rsyslog->send_messages($port, next_lines(12_000));
ok(glob("$folder/historian.0*"), 'when many messages come while the server is away they go to disk');
$node->start;
check_complete('... and are there');
is(query($times), "$lines|$lines", '... each once');

for my $how ('immediate', 'fast') {
    $rsyslog->send_messages($port, next_lines(3000));
    $node->stop($how);
    $rsyslog->send_messages($port, next_lines(1000));
    $node->start;
    check_complete("a server that stops amid messages, $how, gets all of them");
}

# --- connections that are cut
$rsyslog->send_messages($port, next_lines(5000));
my $cuts = 0;
for (1 .. 40) {
    $cuts += query("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'collector'");
    usleep(20_000);
}
check_complete("connections that are cut amid messages, $cuts times, lose none of them");
note query("SELECT 'twice: ' || count(*) - count(DISTINCT msg) FROM syslog");
query("CALL compact('syslog')");
is(query('SELECT count(DISTINCT msg) FROM syslog'), $lines, 'nor does compact');
isnt(query("SELECT historian_check('syslog')"), '', 'the table is well');

# --- rsyslog stops while the server is away: it gives up the message that it is trying to store
$node->stop('fast');
$rsyslog->send_messages($port, next_lines(2000));
$rsyslog->stop;
$rsyslog->start;
$node->start;
check_complete('when rsyslog stops while the server is away, all but one message wait', 1);
$rsyslog->stop;

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP/, 'nothing crashed');
done_testing();
