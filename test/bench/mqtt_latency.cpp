// mqtt_latency: how long the points "probe" of mqtt_publish take until a query sees them.
//
//     mqtt_latency SECONDS WARM_SECONDS postgres TABLE      the connection comes from PGHOST and the like
//     mqtt_latency SECONDS WARM_SECONDS influxdb PORT       database "bench", measurement "points"
//
// Asks every millisecond for probes that are newer than the newest one seen. A probe's time is when its publisher made it, by the
// same clock; so what is printed, milliseconds, a probe a line, holds up to a millisecond and a query's own time that are not the
// pipeline's. Probes of the first WARM_SECONDS are not printed.
#include <arpa/inet.h>
#include <endian.h>
#include <libpq-fe.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::int64_t kPostgresEpoch = 946684800;  // 2000-01-01 in seconds since 1970
constexpr Oid kTimestamptz = 1184;

std::int64_t clock_microseconds() {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
}

[[noreturn]] void fail(const char *what, const char *why) {
    std::fprintf(stderr, "mqtt_latency: %s: %s\n", what, why);
    std::exit(1);
}

// Times of probes in microseconds since 1970.
using Times = std::vector<std::int64_t>;

class PostgresReader {
public:
    explicit PostgresReader(const char *table) : connection_(PQconnectdb("")) {
        if (PQstatus(connection_) != CONNECTION_OK) fail("connect", PQerrorMessage(connection_));
        const std::string query = std::string("SELECT time FROM ") + table + " WHERE name = 'probe' AND time > $1";
        const Oid types[] = {kTimestamptz};
        PGresult *result = PQprepare(connection_, "read", query.c_str(), 1, types);
        if (PQresultStatus(result) != PGRES_COMMAND_OK) fail("prepare", PQerrorMessage(connection_));
        PQclear(result);
    }

    Times newer_than(std::int64_t microseconds) {
        const std::uint64_t since = htobe64(static_cast<std::uint64_t>(microseconds - kPostgresEpoch * 1'000'000));
        const char *const parameters[] = {reinterpret_cast<const char *>(&since)};
        const int lengths[] = {sizeof since};
        const int formats[] = {1};
        PGresult *result = PQexecPrepared(connection_, "read", 1, parameters, lengths, formats, 1);
        if (PQresultStatus(result) != PGRES_TUPLES_OK) fail("query", PQerrorMessage(connection_));
        Times times;
        for (int row = 0; row < PQntuples(result); ++row) {
            std::uint64_t time;
            std::memcpy(&time, PQgetvalue(result, row, 0), sizeof time);
            times.push_back(static_cast<std::int64_t>(be64toh(time)) + kPostgresEpoch * 1'000'000);
        }
        PQclear(result);
        return times;
    }

private:
    PGconn *connection_;
};

class InfluxReader {
public:
    explicit InfluxReader(int port) : port_(port) {}

    Times newer_than(std::int64_t microseconds) {
        char request[512];
        std::snprintf(request, sizeof request,
                      "GET /query?db=bench&epoch=u&q=SELECT%%20value%%20FROM%%20points%%20WHERE%%20%%22name%%22%%3D%%27probe%%27"
                      "%%20AND%%20time%%20%%3E%%20%lldu HTTP/1.0\r\nHost: localhost\r\n\r\n",
                      static_cast<long long>(microseconds));
        const std::string answer = ask(request);
        if (answer.find(" 200 ") == std::string::npos || answer.find("\"error\"") != std::string::npos)
            fail("query", answer.c_str());
        // {"results":[{"statement_id":0,"series":[{"name":"points","columns":["time","value"],"values":[[T,V],[T,V]]}]}]}
        Times times;
        std::size_t at = answer.find("\"values\":[");
        while (at != std::string::npos && (at = answer.find('[', at + 1)) != std::string::npos) {
            char *end;
            const long long time = std::strtoll(answer.c_str() + at + 1, &end, 10);
            if (*end == ',') times.push_back(time);
        }
        return times;
    }

private:
    // A connection a question: HTTP 1.0 ends the answer by closing it.
    std::string ask(const char *request) {
        const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port_));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(socket, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) fail("connect", std::strerror(errno));
        if (send(socket, request, std::strlen(request), MSG_NOSIGNAL) < 0) fail("send", std::strerror(errno));
        std::string answer;
        char bytes[16 * 1024];
        ssize_t count;
        while ((count = recv(socket, bytes, sizeof bytes, 0)) > 0) answer.append(bytes, static_cast<std::size_t>(count));
        close(socket);
        return answer;
    }

    int port_;
};

template <typename Reader>
void watch(Reader reader, double seconds, double warm_seconds) {
    const std::int64_t begin = clock_microseconds();
    const auto warm_until = begin + static_cast<std::int64_t>(warm_seconds * 1e6);
    const auto end = begin + static_cast<std::int64_t>((warm_seconds + seconds) * 1e6);
    std::int64_t newest = begin;
    while (clock_microseconds() < end) {
        const Times times = reader.newer_than(newest);
        const std::int64_t now = clock_microseconds();
        for (const std::int64_t time : times) {
            if (time > newest) newest = time;
            if (time >= warm_until) std::printf("%.3f\n", static_cast<double>(now - time) / 1000);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

}  // namespace

int main(int argument_count, char **values) {
    if (argument_count != 5) {
        std::fprintf(stderr, "usage: mqtt_latency SECONDS WARM_SECONDS postgres TABLE | influxdb PORT\n");
        return 2;
    }
    const double seconds = std::atof(values[1]), warm_seconds = std::atof(values[2]);
    if (std::strcmp(values[3], "postgres") == 0) {
        watch(PostgresReader(values[4]), seconds, warm_seconds);
    } else {
        watch(InfluxReader(std::atoi(values[4])), seconds, warm_seconds);
    }
    return 0;
}
