#!/usr/bin/perl
# Prints the readings of a simulated plant of 1,000 sensors as MQTT payloads, one a line: first some hours of history, as fast as
# it can, then one reading a sensor and second. For: publish_plant.pl ... | mosquitto_pub -l
#
#   publish_plant.pl HISTORY_SECONDS STEP_SECONDS LIVE_SECONDS
#
# A payload is an array of [name, nanoseconds since 1970, value], one for each sensor. A fifth each of the sensors are
# temperatures and pressures (two decimals, slowly walking), counters, levels (integers), and vibrations (noisy, full precision).
use strict;
use warnings;
use Time::HiRes qw(sleep time);

my ($history_seconds, $step_seconds, $live_seconds) = @ARGV;
$| = 1;
srand(1);

my @kinds = qw(temperature pressure count level vibration);
my @sensors = map { {
    name => sprintf('plant.line%02d.%s_%02d', $_ / 50, $kinds[$_ % 5], $_ % 50 / 5),
    kind => $_ % 5,
    value => $_ % 5 == 2 ? int(rand(1e6)) : 20 + int(rand(60)),
    phase => rand(6.28),
} } 0 .. 999;

sub reading
{
    my ($sensor, $seconds) = @_;
    my $kind = $sensor->{kind};
    if ($kind <= 1)
    {
        $sensor->{value} += rand(0.2) - 0.1 if rand() < 0.3;
        return sprintf '%.2f', $sensor->{value};
    }
    return $sensor->{value} += int(rand(8)) if $kind == 2;
    if ($kind == 3)
    {
        $sensor->{value} += rand() < 0.5 ? 1 : -1 if rand() < 0.1;
        return $sensor->{value};
    }
    return 50 + 10 * sin($sensor->{phase} + $seconds / 95) + (rand() + rand() + rand() - 1.5);
}

sub publish
{
    my ($seconds) = @_;
    # Whole seconds with nine zeros: a double could not hold the nanoseconds.
    print '[', join(',', map { qq(["$_->{name}",${seconds}000000000,) . reading($_, $seconds) . ']' } @sensors), "]\n";
}

# The plant's clock stands on whole seconds.
my $now = int(time());
for (my $seconds = $now - $history_seconds; $seconds < $now; $seconds += $step_seconds) { publish($seconds) }
my $end = time() + $live_seconds;
while (time() < $end)
{
    my $seconds = int(time());
    publish($seconds);
    sleep($seconds + 1 - time()) if $seconds + 1 > time();
}
