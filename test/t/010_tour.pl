# Every example of README.md and doc/*.md works. How blocks are marked: doc/README.md.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $top = "$FindBin::Bin/../..";
my @pages = ("$top/README.md", sort glob "$top/doc/*.md");

my $node = PostgreSQL::Test::Cluster->new('tour');
$node->init;
# One worker for each page's database and for each of its subscriptions.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'\nmax_worker_processes = 40");
$node->start;

# The broker that mqtt://127.0.0.1:1883 stands for; started when a page needs it, anew for each page.
my ($broker_pid, $port);

sub stop_broker
{
    return unless $broker_pid;
    kill 'TERM', $broker_pid;
    waitpid $broker_pid, 0;
    undef $broker_pid;
}

sub start_broker
{
    my ($mosquitto) = grep { -x } '/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/usr/bin/mosquitto';
    die 'mosquitto is not installed' unless $mosquitto;
    $port = PostgreSQL::Test::Cluster::get_free_port();
    my $dir = PostgreSQL::Test::Utils::tempdir;
    append_to_file("$dir/mosquitto.conf", "listener $port 127.0.0.1\nallow_anonymous true\n");
    $broker_pid = fork() // die "fork: $!";
    if (!$broker_pid)
    {
        open STDOUT, '>', "$dir/mosquitto.log";
        open STDERR, '>&', \*STDOUT;
        exec $mosquitto, '-c', "$dir/mosquitto.conf" or POSIX::_exit(1);
    }
    until (system("mosquitto_pub -p $port -t none -m x 2>/dev/null") == 0) { sleep(0.1) }
}
END { local $?; stop_broker() }

# The blocks of a page: (language, text, line).
sub blocks
{
    my ($page) = @_;
    my (@blocks, $block);
    my $line = 0;
    for (split /\n/, slurp_file($page), -1)
    {
        $line++;
        if ($block && /^\s*```\s*$/) { push @blocks, $block; undef $block }
        elsif (!$block && /^\s*```(\w*)/) { $block = { language => $1, text => '', line => $line } }
        elsif ($block) { $block->{text} .= "$_\n" }
    }
    return @blocks;
}

sub poll
{
    my ($database, $query) = @_;
    my $end = time() + 60;
    while (time() < $end)
    {
        return 1 if $node->safe_psql($database, $query) eq 't';
        sleep(0.1);
    }
    return 0;
}

my $number = 0;
for my $page (@pages)
{
    my @blocks = grep { $_->{language} =~ /^(sql|sh)$/ } blocks($page);
    my $name = $page =~ s{^\Q$top\E/}{}r;
    next unless @blocks;
    my $database = 'page' . ++$number;
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    # A page may begin in the middle: the extension is there unless the page itself creates it.
    $node->safe_psql($database, 'CREATE EXTENSION historian') unless grep { $_->{text} =~ /CREATE EXTENSION/ } @blocks;
    my $published = 0;
    for my $block (@blocks)
    {
        my $what = "$name line $block->{line}";
        my $text = $block->{text};
        if ($text =~ /127\.0\.0\.1:1883|mosquitto_pub/) { start_broker() unless $broker_pid }
        if ($block->{language} eq 'sql')
        {
            $text =~ s/127\.0\.0\.1:1883/127.0.0.1:$port/g if $broker_pid;
            my ($status, $out, $err) = $node->psql($database, "\\set VERBOSITY verbose\n$text", on_error_stop => 1);
            if ($text =~ /^-- fails: (\w{5})/)
            {
                like($err, qr/ERROR:  $1:/, "$what fails with $1");
            }
            else
            {
                is($status, 0, "$what runs") or diag $err;
            }
            # A message is kept for a session that exists: wait for it as a reader would by looking.
            poll($database, "SELECT bool_and(state = 'receiving') FROM mqtt_status") if $text =~ /mqtt_subscribe/ && $status == 0;
        }
        elsif ($text =~ /mosquitto_pub/)
        {
            my $before = $node->safe_psql($database, 'SELECT coalesce(sum(messages), 0) FROM mqtt_status');
            my $count = () = $text =~ /\bmosquitto_pub -/g;
            $text =~ s/\bmosquitto_pub -/mosquitto_pub -p $port -/g;
            is(system($text), 0, "$what publishes");
            ok(poll($database, "SELECT sum(messages) >= $before + $count FROM mqtt_status"), "$what: $count messages arrive");
        }
    }
    stop_broker();
}
$node->stop;
done_testing();
