# The crash test, fewer rounds of it, on a log table.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # its INIT block runs only now

$ENV{HISTORIAN_TEST_AM} = 'log';
$ENV{HISTORIAN_CRASH_ROUNDS} //= 12;
my $test = "$FindBin::RealBin/001_crash.pl";
do $test or die $@ || "$test: $!";
