#!/usr/bin/perl
# Prints this machine's own readings as MQTT payloads, one reading a line, once a second: ["name", nanoseconds since 1970, value].
# For: publish_machine.pl SECONDS | mosquitto_pub -l
#
# Read from /proc (processor, memory, load, disks, network, pressure, interrupts) and /sys (temperatures, clocks, fans), whatever
# of these the machine has: about a hundred tags.
use strict;
use warnings;
use Sys::Hostname qw(hostname);
use Time::HiRes qw(clock_gettime sleep CLOCK_REALTIME);

my ($live_seconds) = @ARGV;
$| = 1;
my $host = hostname() =~ s/[^A-Za-z0-9-].*//r || 'machine';

sub lines
{
    my ($path) = @_;
    open my $file, '<', $path or return;
    my @lines = <$file>;    # a sensor may refuse to be read
    chomp @lines;
    return @lines;
}

# name => value of everything that can be read now
sub readings
{
    my %reading;
    my @times = qw(user nice system idle iowait irq softirq steal);
    for (lines('/proc/stat'))
    {
        my ($word, @numbers) = split;
        if ($word =~ /^cpu([0-3]?)$/) { $reading{"$word.$times[$_]_ticks"} = $numbers[$_] for 0 .. 7 }
        @reading{map { "kernel.softirq_$_" } 1 .. 10} = @numbers[1 .. 10] if $word eq 'softirq';
        $reading{"kernel.$word"} = $numbers[0] if $word =~ /^(ctxt|processes|procs_running|procs_blocked|intr)$/;
    }
    my $wanted = join '|', qw(MemFree MemAvailable Buffers Cached Active Inactive Dirty Writeback AnonPages Mapped Shmem Slab
        PageTables SwapFree);
    for (lines('/proc/meminfo'))
    {
        $reading{'memory.' . lc($1) . '_kb'} = $2 if /^($wanted):\s+(\d+)/;
    }
    for (lines('/proc/vmstat'))
    {
        $reading{"memory.$1"} = $2 if /^(pgfault|pgmajfault|pgpgin|pgpgout|pgalloc_normal|pgfree) (\d+)/;
    }
    my ($load) = lines('/proc/loadavg');
    @reading{qw(load.1min load.5min load.15min)} = split ' ', $load if $load;
    for (lines('/proc/diskstats'))
    {
        my (undef, undef, $disk, @numbers) = split;
        next if $disk !~ /^(sd[a-d]|vd[a-d]|xvd[a-d]|nvme[0-3]n1|mmcblk0)$/;
        @reading{map { "disk.$disk.$_" } qw(reads sectors_read writes sectors_written io_ms)} = @numbers[0, 2, 4, 6, 9];
    }
    for (lines('/proc/net/dev'))
    {
        my ($interface, $rest) = /^\s*([^\s:]+):(.*)/ or next;
        my @numbers = split ' ', $rest;
        next if $interface =~ /^veth|^br-/;
        my @what = qw(rx_bytes rx_packets rx_drop tx_bytes tx_packets tx_drop);
        @reading{map { "net.$interface.$_" } @what} = @numbers[0, 1, 3, 8, 9, 11];
    }
    for (lines('/proc/net/sockstat'))
    {
        $reading{"net.sockets.$1"} = $2 if /^(\w+): (?:inuse|used) (\d+)/;
    }
    for my $resource (qw(cpu io memory))
    {
        for (lines("/proc/pressure/$resource")) { $reading{"pressure.$resource.$1_avg10"} = $2 if /^(\w+) avg10=([\d.]+)/ }
    }
    for my $path (glob '/sys/class/thermal/thermal_zone*/temp /sys/class/hwmon/hwmon*/temp*_input')
    {
        my ($value) = lines($path);
        $reading{'sensor.' . ($path =~ s{^/sys/class/|/temp$|_input$}{}gr =~ tr{/}{.}r) . '_celsius'} = $value / 1000
            if defined $value && $value =~ /^-?\d+$/;
    }
    for my $path (glob '/sys/class/hwmon/hwmon*/fan*_input /sys/devices/system/cpu/cpu[0-7]/cpufreq/scaling_cur_freq')
    {
        my ($value) = lines($path);
        $reading{'sensor.' . ($path =~ s{^/sys/(class|devices/system)/|_input$}{}gr =~ tr{/}{.}r)} = $value
            if defined $value && $value =~ /^\d+$/;
    }
    return %reading;
}

for (1 .. $live_seconds)
{
    my %reading = readings();
    # Microseconds are what a double holds of the clock; the database keeps no more.
    my $nanoseconds = sprintf('%.6f', clock_gettime(CLOCK_REALTIME)) =~ tr/.//dr . '000';
    print qq(["$host.$_",$nanoseconds,$reading{$_}]\n) for sort keys %reading;
    sleep(1);
}
