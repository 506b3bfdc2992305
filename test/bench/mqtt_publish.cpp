// mqtt_publish: the plant of points.h, as JSON messages of QoS 1 to a broker on this machine.
//
//     mqtt_publish PORT TOPIC POINTS POINTS_PER_MESSAGE [POINTS_PER_SECOND]
//
// A message is ["name", nanoseconds, value], or an array of so many of them when POINTS_PER_MESSAGE is not 1. Without
// POINTS_PER_SECOND messages leave as fast as the broker acknowledges them, and times are the plant's: tag after tag, a second a
// round. With it times are those of the clock, and every 10 ms one point bears the name "probe": who sees it in the table knows
// how long it took.
//
// It speaks MQTT 3.1.1 itself (CONNECT, PUBLISH, PUBACK are all it needs), a system call for many messages: what it spends is not
// counted in a benchmark, but taken from the same processors. test/publisher.cpp reconnects, and is for tests.
//
// Standard output: points, and the seconds since 1970 when the first message left and when the last one was acknowledged.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>

#include "points.h"

namespace {

constexpr int kTagCount = 1000;
constexpr std::int64_t kWindow = 10000;  // messages on their way, below the 65,535 packet ids
constexpr std::size_t kChunkBytes = 64 * 1024;
constexpr std::int64_t kProbeNanoseconds = 10'000'000;
constexpr std::size_t kPubackBytes = 4;
constexpr char kConnack = 0x20, kPuback = 0x40;

std::int64_t clock_nanoseconds() {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

[[noreturn]] void fail(const char *what) {
    std::fprintf(stderr, "mqtt_publish: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

void append_u16(std::string *bytes, std::size_t value) {
    bytes->push_back(static_cast<char>(value >> 8));
    bytes->push_back(static_cast<char>(value));
}

void append_text(std::string *bytes, const char *text) {
    append_u16(bytes, std::strlen(text));
    *bytes += text;
}

// A packet's fixed header: type and flags, and the length of the rest, seven bits a byte.
void append_header(std::string *bytes, char type_and_flags, std::size_t rest) {
    bytes->push_back(type_and_flags);
    do {
        const std::size_t low = rest & 0x7F;
        rest >>= 7;
        bytes->push_back(static_cast<char>(low | (rest > 0 ? 0x80 : 0)));
    } while (rest > 0);
}

struct Arguments {
    int port;
    const char *topic;
    std::int64_t points;
    std::int64_t points_per_message;
    double points_per_second;  // 0: no limit
};

class Publisher {
public:
    explicit Publisher(const Arguments &arguments)
        : arguments_(arguments), random_(bench::kSeed), tags_(bench::make_tags(kTagCount, random_)) {}

    void run() {
        connect_to_broker();
        const std::int64_t begin = clock_nanoseconds();
        next_probe_ = begin;
        while (acknowledged_ * arguments_.points_per_message < arguments_.points) {
            compose_due_messages(begin);
            write_some();
            read_some();
        }
        std::printf("%lld %.6f %.6f\n", static_cast<long long>(points_), begin / 1e9, clock_nanoseconds() / 1e9);
    }

private:
    void connect_to_broker() {
        socket_ = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(arguments_.port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (socket_ < 0 || connect(socket_, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) fail("connect");
        const int on = 1;
        setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        char client_id[32];
        std::snprintf(client_id, sizeof client_id, "bench-publisher-%d", static_cast<int>(getpid()));
        std::string body;
        append_text(&body, "MQTT");
        body += {4, 2, 0, 0};  // version 3.1.1, a clean session, no keepalive
        append_text(&body, client_id);
        std::string packet;
        append_header(&packet, 0x10, body.size());
        packet += body;
        char answer[4];
        if (write(socket_, packet.data(), packet.size()) != static_cast<ssize_t>(packet.size())) fail("CONNECT");
        if (recv(socket_, answer, sizeof answer, MSG_WAITALL) != sizeof answer) fail("CONNACK");
        if (answer[0] != kConnack || answer[3] != 0) {
            errno = ECONNREFUSED;
            fail("CONNACK");
        }
    }

    void append_point() {
        bench::Tag &tag = tags_[points_ % kTagCount];
        const std::int64_t second = points_ / kTagCount;
        const bool is_live = arguments_.points_per_second > 0;
        std::int64_t time = (bench::kStartSeconds + second) * 1'000'000'000 + points_ % kTagCount * 1'000'000;
        if (is_live) time = clock_nanoseconds();
        const bool is_probe = is_live && time >= next_probe_;
        if (is_probe) next_probe_ = time + kProbeNanoseconds;
        char text[128];
        const int bytes =
            std::snprintf(text, sizeof text, "[\"%s\",%lld,", is_probe ? "probe" : tag.name, static_cast<long long>(time));
        char *end = bench::write_value(text + bytes, text + sizeof text, tag.kind, bench::next_value(tag, second, random_));
        *end++ = ']';
        payload_.append(text, end);
        ++points_;
    }

    void append_message() {
        payload_.clear();
        if (arguments_.points_per_message == 1) {
            append_point();
        } else {
            for (std::int64_t i = 0; i < arguments_.points_per_message; ++i) {
                payload_.push_back(i == 0 ? '[' : ',');
                append_point();
            }
            payload_.push_back(']');
        }
        append_header(&out_, 0x32, 2 + std::strlen(arguments_.topic) + 2 + payload_.size());  // PUBLISH at QoS 1
        append_text(&out_, arguments_.topic);
        append_u16(&out_, 1 + static_cast<std::size_t>(published_ % 65535));
        out_ += payload_;
        ++published_;
    }

    // Messages that are due and that the window takes, until there is a chunk of them.
    void compose_due_messages(std::int64_t begin) {
        if (written_ < out_.size()) return;
        out_.clear();
        written_ = 0;
        const std::int64_t all = (arguments_.points + arguments_.points_per_message - 1) / arguments_.points_per_message;
        std::int64_t due = all;
        if (arguments_.points_per_second > 0) {
            const double seconds = static_cast<double>(clock_nanoseconds() - begin) / 1e9;
            due = static_cast<std::int64_t>(seconds * arguments_.points_per_second / arguments_.points_per_message) + 1;
        }
        if (due > all) due = all;
        while (published_ < due && published_ - acknowledged_ < kWindow && out_.size() < kChunkBytes) append_message();
    }

    void write_some() {
        if (written_ == out_.size()) return;
        const ssize_t done = send(socket_, out_.data() + written_, out_.size() - written_, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (done < 0 && errno != EAGAIN && errno != EINTR) fail("send");
        if (done > 0) written_ += static_cast<std::size_t>(done);
    }

    // What the broker sends is PUBACKs, four bytes each; waits a millisecond for them when there is nothing else to do.
    void read_some() {
        const bool is_written = written_ == out_.size();
        const bool is_full = published_ - acknowledged_ >= kWindow;
        pollfd wait{socket_, static_cast<short>(POLLIN | (is_written ? 0 : POLLOUT)), 0};
        const bool may_wait = !is_written || is_full || arguments_.points_per_second > 0 || is_all_published();
        if (poll(&wait, 1, may_wait ? 1 : 0) < 0 && errno != EINTR) fail("poll");
        if ((wait.revents & (POLLIN | POLLERR | POLLHUP)) == 0) return;
        char bytes[16 * 1024];
        const ssize_t count = recv(socket_, bytes, sizeof bytes, MSG_DONTWAIT);
        if (count == 0) {
            errno = ECONNRESET;
            fail("recv");
        }
        if (count < 0 && errno != EAGAIN && errno != EINTR) fail("recv");
        for (ssize_t i = 0; i < count; ++i, ++received_) {
            if (received_ % kPubackBytes == 0 && bytes[i] != kPuback) {
                errno = EPROTO;
                fail("PUBACK");
            }
        }
        acknowledged_ = static_cast<std::int64_t>(received_ / kPubackBytes);
    }

    bool is_all_published() const { return published_ * arguments_.points_per_message >= arguments_.points; }

    const Arguments arguments_;
    bench::Random random_;
    std::vector<bench::Tag> tags_;
    int socket_ = -1;
    std::string payload_;
    std::string out_;
    std::size_t written_ = 0;
    std::size_t received_ = 0;  // bytes
    std::int64_t points_ = 0;
    std::int64_t published_ = 0;     // messages
    std::int64_t acknowledged_ = 0;  // messages
    std::int64_t next_probe_ = 0;
};

}  // namespace

int main(int argument_count, char **values) {
    if (argument_count < 5) {
        std::fprintf(stderr, "usage: mqtt_publish PORT TOPIC POINTS POINTS_PER_MESSAGE [POINTS_PER_SECOND]\n");
        return 2;
    }
    Publisher({std::atoi(values[1]), values[2], std::atoll(values[3]), std::atoll(values[4]),
               argument_count > 5 ? std::atof(values[5]) : 0})
        .run();
    return 0;
}
