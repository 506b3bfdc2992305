// trickle: one client inserts batches while another reads one tag's last hour; how long the reader waits.
//
//     trickle TABLE FIRST_SECOND SECONDS WARM_SECONDS ROWS_PER_SECOND LATENCIES
//
// The connection comes from PGHOST and the like. A batch is one second of the simulated plant (points.h), 1,000 rows, one a tag;
// the plant's clock goes on as fast as batches are committed, or as ROWS_PER_SECOND says when that is not 0. So an hour of it is
// 3,600 rows a tag, whatever the rate. FIRST_SECOND is the plant's second at which the table ends now.
//
// Every 50 ms the reader asks for a random tag, and half way between runs a query of about a millisecond that reads no table:
// what that one waits, it waits for a processor. The first WARM_SECONDS are not counted, nor is the reader's first query.
// Standard output: rows committed and seconds, both without the warming, and all rows committed. The file LATENCIES gets a line
// each time: seconds since the start, milliseconds, rows, milliseconds of the other query.
#include <endian.h>
#include <libpq-fe.h>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "points.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTagCount = 1000;
constexpr std::int64_t kPostgresEpoch = 946684800;  // 2000-01-01 in seconds since 1970
constexpr Oid kFloat8 = 701, kText = 25, kTimestamptz = 1184, kTexts = 1009, kFloat8s = 1022, kTimestamptzs = 1185;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

[[noreturn]] void fail(PGconn *connection) {
    std::fprintf(stderr, "trickle: %s", PQerrorMessage(connection));
    std::exit(1);
}

PGconn *connect() {
    PGconn *connection = PQconnectdb("");
    if (PQstatus(connection) != CONNECTION_OK) fail(connection);
    return connection;
}

void check(PGconn *connection, PGresult *result) {
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) fail(connection);
    PQclear(result);
}

void append_u32(std::string *bytes, std::uint32_t value) {
    value = htobe32(value);
    bytes->append(reinterpret_cast<const char *>(&value), sizeof(value));
}

void append_u64(std::string *bytes, std::uint64_t value) {
    value = htobe64(value);
    bytes->append(reinterpret_cast<const char *>(&value), sizeof(value));
}

// A one-dimensional array without NULLs, as array_recv reads it; the elements follow.
std::string array_header(Oid element_type) {
    std::string bytes;
    append_u32(&bytes, 1);
    append_u32(&bytes, 0);
    append_u32(&bytes, element_type);
    append_u32(&bytes, kTagCount);
    append_u32(&bytes, 1);
    return bytes;
}

std::uint64_t plant_time(std::int64_t second, int tag) {
    return static_cast<std::uint64_t>((bench::kStartSeconds + second - kPostgresEpoch) * 1000000 + tag * 1000);
}

struct Arguments {
    std::string table;
    std::int64_t first_second;
    double seconds;
    double warm_seconds;
    double rows_per_second;
    const char *latencies;
};

std::atomic<std::int64_t> newest_second;
std::atomic<bool> is_over;

// Until the time is over; prints the rows and the seconds.
void insert_batches(const Arguments &arguments, std::vector<bench::Tag> tags, bench::Random random, Clock::time_point start) {
    PGconn *connection = connect();
    const std::string statement =
        "INSERT INTO " + arguments.table + " SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::float8[])";
    const Oid types[] = {kTexts, kTimestamptzs, kFloat8s};
    check(connection, PQprepare(connection, "insert", statement.c_str(), 3, types));
    std::string names = array_header(kText);
    for (const bench::Tag &tag : tags) {
        append_u32(&names, static_cast<std::uint32_t>(std::strlen(tag.name)));
        names += tag.name;
    }
    std::int64_t warm_batches = 0, batches = 0;
    for (std::int64_t second = arguments.first_second;; ++second, ++batches) {
        const double now = seconds_since(start);
        if (now >= arguments.warm_seconds + arguments.seconds) break;
        if (now < arguments.warm_seconds) warm_batches = batches + 1;
        if (arguments.rows_per_second > 0) {
            const double due = static_cast<double>(batches) * kTagCount / arguments.rows_per_second;
            if (due > now) std::this_thread::sleep_for(std::chrono::duration<double>(due - now));
        }
        std::string times = array_header(kTimestamptz);
        std::string values = array_header(kFloat8);
        for (int i = 0; i < kTagCount; ++i) {
            append_u32(&times, 8);
            append_u64(&times, plant_time(second, i));
            append_u32(&values, 8);
            append_u64(&values, std::bit_cast<std::uint64_t>(bench::next_value(tags[i], second, random)));
        }
        const char *const parameters[] = {names.data(), times.data(), values.data()};
        const int lengths[] = {static_cast<int>(names.size()), static_cast<int>(times.size()), static_cast<int>(values.size())};
        const int formats[] = {1, 1, 1};
        check(connection, PQexecPrepared(connection, "insert", 3, parameters, lengths, formats, 0));
        newest_second = second;
    }
    std::printf("%lld %.3f %lld\n", static_cast<long long>(batches - warm_batches) * kTagCount,
                seconds_since(start) - arguments.warm_seconds, static_cast<long long>(batches) * kTagCount);
    is_over = true;
    PQfinish(connection);
}

// Until the inserter is done; writes the file of latencies.
void read_last_hours(const Arguments &arguments, std::vector<bench::Tag> tags, Clock::time_point start) {
    std::FILE *latencies = std::fopen(arguments.latencies, "w");
    if (latencies == nullptr) {
        std::perror(arguments.latencies);
        std::exit(1);
    }
    PGconn *connection = connect();
    const std::string statement = "SELECT time, value FROM " + arguments.table + " WHERE name = $1 AND time >= $2";
    const Oid types[] = {kText, kTimestamptz};
    check(connection, PQprepare(connection, "read", statement.c_str(), 2, types));
    check(connection, PQprepare(connection, "control", "SELECT count(*) FROM generate_series(1, 12000)", 0, nullptr));
    bench::Random random(bench::kSeed + 1);
    bool is_first = true;
    while (!is_over) {
        const bench::Tag &tag = tags[random.bits() % tags.size()];
        std::string since;
        append_u64(&since, plant_time(newest_second - 3600, 0));
        const char *const parameters[] = {tag.name, since.data()};
        const int lengths[] = {static_cast<int>(std::strlen(tag.name)), static_cast<int>(since.size())};
        const int formats[] = {1, 1};
        const Clock::time_point asked = Clock::now();
        const double since_start = seconds_since(start);
        PGresult *result = PQexecPrepared(connection, "read", 2, parameters, lengths, formats, 1);
        const double ms = seconds_since(asked) * 1000;
        const int rows = PQntuples(result);
        check(connection, result);
        std::this_thread::sleep_until(asked + std::chrono::milliseconds(25));
        const Clock::time_point asked_control = Clock::now();
        check(connection, PQexecPrepared(connection, "control", 0, nullptr, nullptr, nullptr, 1));
        const double control_ms = seconds_since(asked_control) * 1000;
        if (!is_first && since_start >= arguments.warm_seconds)
            std::fprintf(latencies, "%.3f %.3f %d %.3f\n", since_start, ms, rows, control_ms);
        is_first = false;
        std::this_thread::sleep_until(asked + std::chrono::milliseconds(50));
    }
    PQfinish(connection);
    std::fclose(latencies);
}

}  // namespace

int main(int argument_count, char **values) {
    if (argument_count != 7) {
        std::fprintf(stderr, "usage: trickle TABLE FIRST_SECOND SECONDS WARM_SECONDS ROWS_PER_SECOND LATENCIES\n");
        return 2;
    }
    const Arguments arguments = {
        values[1], std::atoll(values[2]), std::atof(values[3]), std::atof(values[4]), std::atof(values[5]), values[6]};
    bench::Random random(bench::kSeed);
    const std::vector<bench::Tag> tags = bench::make_tags(kTagCount, random);
    newest_second = arguments.first_second - 1;
    const Clock::time_point start = Clock::now();
    std::thread reader(read_last_hours, arguments, tags, start);
    insert_batches(arguments, tags, random, start);
    reader.join();
    return 0;
}
