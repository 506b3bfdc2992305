// Publishes numbered points at QoS 1 as fast as the broker takes them, and ends when the broker has acknowledged every one.
//
//   publisher HOST PORT TOPIC FIRST COUNT TAGS [RATE]
//
// Message i (FIRST <= i < FIRST + COUNT) is ["tag<i mod TAGS>", i * 1000000, i]: a time of i milliseconds since 1970 and the
// value i, so that a table shows which messages are missing and which came twice. RATE limits messages per second; 0 is no limit.
// A connection that is lost is made again, and what was not acknowledged is sent again. Exit status 0: all acknowledged.
//
// Build: g++ -std=c++20 -O2 test/publisher.cpp -o publisher -lmosquitto
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <mosquitto.h>
#include <unistd.h>

namespace {

std::atomic<long> acknowledged_count{0};

// Unacknowledged messages in memory; also what may be lost from view when the broker restarts.
constexpr long kWindow = 2000;

void on_publish(mosquitto *, void *, int) { ++acknowledged_count; }

}  // namespace

int main(int argc, char **argv) {
    if (argc < 7) {
        std::fprintf(stderr, "usage: publisher HOST PORT TOPIC FIRST COUNT TAGS [RATE]\n");
        return 2;
    }
    const char *topic = argv[3];
    const long first = std::atol(argv[4]);
    const long count = std::atol(argv[5]);
    const long tags = std::atol(argv[6]);
    const double rate = argc > 7 ? std::atof(argv[7]) : 0;

    mosquitto_lib_init();
    char client_id[64];
    std::snprintf(client_id, sizeof client_id, "publisher-%d", static_cast<int>(getpid()));
    mosquitto *client = mosquitto_new(client_id, false, nullptr);
    mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, kWindow);
    mosquitto_publish_callback_set(client, on_publish);
    mosquitto_reconnect_delay_set(client, 1, 1, false);
    if (mosquitto_connect(client, argv[1], std::atoi(argv[2]), 60) != MOSQ_ERR_SUCCESS) {
        std::fprintf(stderr, "publisher: could not connect\n");
        return 1;
    }
    mosquitto_loop_start(client);
    const auto begin = std::chrono::steady_clock::now();
    for (long i = 0; i < count; ++i) {
        while (i - acknowledged_count >= kWindow) std::this_thread::sleep_for(std::chrono::microseconds(50));
        if (rate > 0) std::this_thread::sleep_until(begin + std::chrono::duration<double>(i / rate));
        char payload[128];
        const long number = first + i;
        const int bytes = std::snprintf(payload, sizeof payload, "[\"tag%ld\",%ld,%ld]", number % tags, number * 1000000, number);
        const int result = mosquitto_publish(client, nullptr, topic, bytes, payload, 1, false);
        // Without a connection the message is queued all the same, and sent when there is one again.
        if (result != MOSQ_ERR_SUCCESS && result != MOSQ_ERR_NO_CONN && result != MOSQ_ERR_CONN_LOST) {
            std::fprintf(stderr, "publisher: %s\n", mosquitto_strerror(result));
            return 1;
        }
    }
    while (acknowledged_count < count) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("published %ld messages in %.2f s, %.0f/s\n", count, seconds, count / seconds);
    mosquitto_disconnect(client);
    mosquitto_loop_stop(client, false);
    return 0;
}
