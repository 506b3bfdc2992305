# Without shared_preload_libraries CREATE EXTENSION fails with one clear sentence and the line to add; the server lives on.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

my ($status, undef, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nCREATE EXTENSION historian");
isnt($status, 0, 'CREATE EXTENSION fails');
like($err, qr/ERROR:  55000: historian must be loaded when the server starts/, 'the error is one clear sentence');
like($err, qr/HINT:  .*shared_preload_libraries = 'historian'/, 'the hint is the line to add');
is(() = $err =~ /ERROR:/g, 1, 'one error and no other');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_extension WHERE extname = 'historian'"), 0, 'nothing is left behind');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_am WHERE amname IN ('tag', 'log')"), 0, 'no access method either');

($status, undef, $err) = $node->psql('postgres', "LOAD 'historian'");
isnt($status, 0, 'LOAD fails too');
like($err, qr/shared_preload_libraries/, '... for the same reason');
is($node->safe_psql('postgres', 'SELECT 1'), 1, 'the server answers');

# With the line it works; the line is taken from the hint.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'");
$node->restart;
is($node->psql('postgres', 'CREATE EXTENSION historian'), 0, 'with the line CREATE EXTENSION works');

# Taken away again, with tables in use: an error, no crash.
$node->safe_psql('postgres', "CREATE TABLE t (name text, time timestamptz) USING tag; INSERT INTO t VALUES ('a', now())");
$node->stop;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->start;
($status, undef, $err) = $node->psql('postgres', 'SELECT * FROM t');
isnt($status, 0, 'a table cannot be read without the line');
like($err, qr/shared_preload_libraries/, '... and the error says so');
is($node->safe_psql('postgres', 'SELECT 1'), 1, 'the server still answers');
$node->stop;

# A crash leaves records of our own in the WAL: the server must say what it lacks, not guess.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'");
$node->start;
$node->safe_psql('postgres', "CHECKPOINT; INSERT INTO t VALUES ('b', now())");
$node->stop('immediate');
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
is($node->start(fail_ok => 1), 0, 'recovery refuses to start without the library');
like(slurp_file($node->logfile), qr/resource manager with ID \d+ not registered/, '... and PostgreSQL says why');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'");
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), 2, 'with the line all rows are there');
$node->stop;
done_testing();
