# The corruption test, half as long, on log tables.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # its INIT block runs only now

$ENV{HISTORIAN_TEST_AM} = 'log';
$ENV{HISTORIAN_CORRUPTION_SECONDS} //= 15;
my $test = "$FindBin::RealBin/006_corruption.pl";
do $test or die $@ || "$test: $!";
