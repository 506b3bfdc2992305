// log_lines: the records that part logs of test/bench/run loads, as COPY text on standard output. The same arguments give the
// same bytes anywhere.
//
//     log_lines ROWS SECONDS      ROWS records, evenly at random over about so many seconds from 2026-01-01 on
//
// Columns: time, host, level, component, message. The messages are those of a plant's computers: ten programs with one to three
// templates each, ids, addresses and measured values in them. One record in 100,003 ends in the word xyzzy42fault.
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "points.h"

namespace {

constexpr std::uint64_t kSeed = 4;
constexpr const char *kUsers[] = {"root", "admin", "svc_mqtt", "operator", "deploy", "jsmith", "mkim", "backup"};
constexpr const char *kDevices[] = {"pump", "valve", "conveyor", "boiler", "chiller", "robot", "gateway", "meter"};

bench::Random random_bits(kSeed);

int below(int bound) { return static_cast<int>(random_bits.bits() % static_cast<std::uint64_t>(bound)); }
const char *any_user() { return kUsers[below(8)]; }
const char *any_device() { return kDevices[below(8)]; }

struct Hex {
    char text[20];
};
Hex hex(int digits) {
    Hex made{};
    for (int i = 0; i < digits; ++i) made.text[i] = "0123456789abcdef"[below(16)];
    return made;
}

struct Record {
    const char *level;
    const char *component;
    char message[400];
};

template <typename... Values>
void write(Record &record, const char *format, Values... values) {
    std::snprintf(record.message, sizeof record.message, format, values...);
}

void fill_record(Record &record, long number, double second, const char *host) {
    const int kind = below(100);
    record.level = "INFO";
    if (kind < 22) {
        record.component = "mqtt-broker";
        write(record, "client %s connected from 10.%d.%d.%d:%d keepalive=%d clean_session=%d protocol=MQTTv5 user=%s",
              hex(12).text, below(256), below(256), 1 + below(254), 1024 + below(60000), 30 * (1 + below(4)), below(2),
              any_user());
    } else if (kind < 42) {
        record.component = "opcua-bridge";
        write(record, "read %s-%03d ns=2;s=Line%d.Sensor%d.PV value=%.3f quality=Good latency=%dus queue_depth=%d", any_device(),
              below(500), below(20), below(1000), 100 * random_bits.uniform(), 200 + below(4000), below(64));
    } else if (kind < 56) {
        record.component = "ingest";
        write(record, "flushed batch id=%s rows=%d bytes=%d duration=%d.%03dms partition=%d offset=%ld status=ok", hex(8).text,
              500 + below(9500), 20000 + below(800000), 1 + below(90), below(1000), below(16), number * 7 + below(7));
    } else if (kind < 68) {
        record.component = "http";
        write(record, "10.%d.%d.%d - \"%s /api/v2/devices/%s-%03d/readings?limit=%d HTTP/1.1\" %d %d \"agent/%d.%d\" rt=0.%03d",
              below(256), below(256), 1 + below(254), below(5) == 0 ? "POST" : "GET", any_device(), below(500),
              10 * (1 + below(50)), below(20) == 0 ? 404 : 200, 200 + below(20000), 1 + below(4), below(20), below(1000));
    } else if (kind < 75) {
        record.component = "sshd";
        write(record, "Accepted publickey for %s from 10.%d.%d.%d port %d ssh2: ED25519 key accepted by policy default",
              any_user(), below(256), below(256), 1 + below(254), 1024 + below(60000));
    } else if (kind < 78) {
        record.level = "WARN";
        record.component = "sshd";
        write(record, "Failed password for invalid user %s from 172.16.%d.%d port %d ssh2, attempt %d of 6 on %s", any_user(),
              below(256), 1 + below(254), 1024 + below(60000), 1 + below(6), host);
    } else if (kind < 86) {
        record.level = below(4) == 0 ? "WARN" : "INFO";
        record.component = "kernel";
        write(record, "[%.6f] eth%d: link %s, speed %d Mbps full duplex, irq=%d rx_dropped=%d tx_queue=%d", 4000 + second,
              below(4), below(8) == 0 ? "down" : "up", below(2) == 0 ? 100 : 1000, below(128), below(10000), below(512));
    } else if (kind < 93) {
        record.level = "WARN";
        record.component = "plc-driver";
        write(record,
              "slow response from %s-%03d unit=%d function=%d retry %d/3 elapsed=%dms register=%d timeout threshold=250ms",
              any_device(), below(500), below(248), 1 + below(16), 1 + below(3), 250 + below(2000), 40001 + below(9999));
    } else if (kind < 98) {
        record.level = "ERROR";
        record.component = "plc-driver";
        write(record, "modbus error code=0x%02x on %s-%03d: connection to 192.168.%d.%d:502 %s after %d ms, will retry in %ds",
              below(12), any_device(), below(500), below(8), 1 + below(254), below(2) == 0 ? "timed out" : "reset by peer",
              100 + below(5000), 1 << below(6));
    } else {
        record.level = "ERROR";
        record.component = "alarm";
        write(
            record,
            "high limit exceeded tag=site%d.line%02d.temp_%04d value=%.2f limit=80.0 event=%s ack=false error raised by rule r%d",
            below(4), below(50), below(1000), 80 + 40 * random_bits.uniform(), hex(16).text, below(200));
    }
    if (number % 100003 == 77777) std::strcat(record.message, " xyzzy42fault");
}

}  // namespace

int main(int argument_count, char **arguments) {
    if (argument_count < 3) {
        std::fprintf(stderr, "usage: log_lines ROWS SECONDS\n");
        return 2;
    }
    const long rows = std::atol(arguments[1]);
    const double mean_gap = std::atof(arguments[2]) / static_cast<double>(rows);
    double second = 0;
    Record record;
    for (long number = 0; number < rows; ++number) {
        second += -std::log(1 - random_bits.uniform()) * mean_gap;
        const std::time_t whole = 1767225600 + static_cast<std::time_t>(second);
        std::tm parts;
        gmtime_r(&whole, &parts);
        char time[32];
        std::strftime(time, sizeof time, "%Y-%m-%d %H:%M:%S", &parts);
        char host[24];
        const int host_number = below(40);
        std::snprintf(host, sizeof host, "gw-%02d.plant%d", host_number, host_number % 4);
        fill_record(record, number, second, host);
        std::printf("%s.%06d+00\t%s\t%s\t%s\t%s\n", time, static_cast<int>((second - std::floor(second)) * 1e6), host,
                    record.level, record.component, record.message);
    }
    return std::fflush(stdout) == 0 ? 0 : 1;
}
