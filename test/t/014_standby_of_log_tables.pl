# The standby test on log tables.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # its INIT block runs only now

$ENV{HISTORIAN_TEST_AM} = 'log';
my $test = "$FindBin::RealBin/002_standby.pl";
do $test or die $@ || "$test: $!";
