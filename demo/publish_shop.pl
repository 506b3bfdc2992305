#!/usr/bin/perl
# Prints what a device of its own mind publishes, one JSON object a line and second: a time in milliseconds, and readings by name.
# For: publish_shop.pl SECONDS | mosquitto_pub -t shop/oven -l
use strict;
use warnings;
use Time::HiRes qw(sleep time);

my ($live_seconds) = @ARGV;
$| = 1;
srand(2);
my ($temperature, $humidity) = (180, 35);
for (1 .. $live_seconds)
{
    $temperature += rand(2) - 1;
    $humidity += rand(1) - 0.5;
    printf qq({"ts": %.0f, "temperature": %.1f, "humidity": %.1f, "door": %d}\n), time() * 1000, $temperature, $humidity,
        rand() < 0.1 ? 1 : 0;
    sleep(1);
}
