#include "bgworker/mqtt_connection.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <mosquitto.h>
// From libmosquitto 2.1 on, mosquitto.h has it, and the old name warns.
#if !__has_include(<mosquitto/mqtt_protocol.h>)
#include <mqtt_protocol.h>
#endif
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

namespace historian::bgworker {

namespace {

// Reason codes of CONNACK and SUBACK from here on are refusals (MQTT 5, section 2.4; MQTT 3.1.1: 1 to 5, and 0x80).
constexpr int kFirstRefusal = 0x80;

// Never expires: the broker keeps what arrives while the server is away, however long (MQTT 5, section 3.1.2.11.2).
constexpr std::uint32_t kSessionNeverExpires = 0xFFFFFFFF;

constexpr const char *kNeedsNewProtocol = "it knows MQTT 3.1.1 only, and several workers need the shared subscriptions of MQTT 5";

const char *reason_text(int code) noexcept {
    return code >= kFirstRefusal ? mosquitto_reason_string(code) : mosquitto_connack_string(code);
}

std::int64_t microseconds_since_1970() noexcept {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
}

/// A text property that the library has allocated.
struct OwnedText {
    char *text = nullptr;
    ~OwnedText() { std::free(text); }
};

/// Calls `use` with name and value of each user property; false when memory is short.
template <typename Use>
bool for_each_user_property(const mosquitto_property *properties, Use use) noexcept {
    for (const mosquitto_property *each = properties; each != nullptr; each = mosquitto_property_next(each)) {
        if (mosquitto_property_identifier(each) != MQTT_PROP_USER_PROPERTY) continue;
        OwnedText name, value;
        if (mosquitto_property_read_string_pair(each, MQTT_PROP_USER_PROPERTY, &name.text, &value.text, false) == nullptr)
            return false;
        use(name.text, value.text);
    }
    return true;
}

char *copy_text(const char *text, char **room) noexcept {
    const std::size_t bytes = std::strlen(text) + 1;
    char *copy = *room;
    std::memcpy(copy, text, bytes);
    *room += bytes;
    return copy;
}

bool has_bytes(int socket) noexcept {
    pollfd readable{socket, POLLIN, 0};
    return poll(&readable, 1, 0) > 0 && (readable.revents & POLLIN) != 0;
}

/// Keeps small packets together while it is on: the library writes each acknowledgement by itself, and the broker would be woken
/// for each.
void set_cork(int socket, int on) noexcept { setsockopt(socket, IPPROTO_TCP, TCP_CORK, &on, sizeof on); }

}  // namespace

/// What libmosquitto calls. Nothing here may longjmp or throw: the library holds its locks (rule 9).
struct Callbacks {
    static void connected(mosquitto *, void *self, int code, int flags, const mosquitto_property *properties) {
        auto *connection = static_cast<MqttConnection *>(self);
        // The log goes on for what a resumed session brings once more: only there the library tells of DUP.
        if (code != 0 || (flags & 1) == 0) mosquitto_log_callback_set(connection->handle_, nullptr);
        if (code == 0) {
            connection->accepted_ = true;
            connection->session_present_ = (flags & 1) != 0;
            read_terms(connection, properties);
            return;
        }
        connection->refused_ = true;
        const bool older = code == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION || code == 1;
        connection->older_protocol_ = older && !connection->options_.is_shared;
        connection->set_problem("broker refused the connection",
                                older && connection->options_.is_shared ? kNeedsNewProtocol : reason_text(code));
    }

    /// What the broker makes of our wishes (MQTT 5, section 3.2.2.3).
    static void read_terms(MqttConnection *connection, const mosquitto_property *properties) {
        std::uint16_t keepalive_seconds = 0;
        std::uint8_t has_shared = 1;
        mosquitto_property_read_int16(properties, MQTT_PROP_SERVER_KEEP_ALIVE, &keepalive_seconds, false);
        mosquitto_property_read_byte(properties, MQTT_PROP_SHARED_SUB_AVAILABLE, &has_shared, false);
        mosquitto_property_read_int32(properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, &connection->session_expiry_seconds_, false);
        if (keepalive_seconds > 0) connection->keepalive_seconds_ = keepalive_seconds;
        if (has_shared != 0 || !connection->options_.is_shared) return;
        connection->refused_ = true;
        connection->set_problem("broker cannot serve several workers", "it has no shared subscriptions");
    }

    static void subscribed(mosquitto *, void *self, int, int count, const int *granted, const mosquitto_property *) {
        auto *connection = static_cast<MqttConnection *>(self);
        const char *why = count == connection->options_.topics.count ? nullptr : "malformed answer";
        connection->granted_qos_ = connection->options_.qos;
        for (int i = 0; why == nullptr && i < count; ++i) {
            if (granted[i] >= kFirstRefusal) why = reason_text(granted[i]);
            if (granted[i] < connection->granted_qos_) connection->granted_qos_ = granted[i];
        }
        connection->subscribed_ = why == nullptr;
        if (connection->subscribed_) return;
        connection->refused_ = true;
        connection->set_problem("broker refused the subscription", why);
    }

    static void unsubscribed(mosquitto *, void *self, int, const mosquitto_property *) {
        static_cast<MqttConnection *>(self)->unsubscribed_ = true;
    }

    static void disconnected(mosquitto *, void *self, int code, const mosquitto_property *) {
        auto *connection = static_cast<MqttConnection *>(self);
        connection->taken_over_ = code == MQTT_RC_SESSION_TAKEN_OVER;
        if (connection->problem_[0] == '\0' && code >= kFirstRefusal) {
            connection->set_problem("broker closed the connection", mosquitto_reason_string(code));
        }
    }

    /// Copies the message: one block holds the header, the properties, the topic and the payload.
    static void received(mosquitto *, void *self, const mosquitto_message *message, const mosquitto_property *properties) {
        auto *connection = static_cast<MqttConnection *>(self);
        OwnedText content_type;
        std::size_t property_count = 0;
        std::size_t property_bytes = 0;
        bool good = for_each_user_property(properties, [&property_count, &property_bytes](const char *name, const char *value) {
            ++property_count;
            property_bytes += sizeof(UserProperty) + std::strlen(name) + 1 + std::strlen(value) + 1;
        });
        const bool is_crowded = property_count > kUserPropertiesMax || property_bytes > connection->options_.payload_max_bytes;
        if (is_crowded) property_count = property_bytes = 0;
        (void)mosquitto_property_read_string(properties, MQTT_PROP_CONTENT_TYPE, &content_type.text, false);
        if (content_type.text != nullptr) property_bytes += std::strlen(content_type.text) + 1;
        const std::size_t topic_bytes = std::strlen(message->topic);
        const auto payload_bytes = static_cast<std::size_t>(message->payloadlen);
        const bool oversize = payload_bytes > connection->options_.payload_max_bytes;
        const std::size_t kept_bytes = oversize ? kOversizeKeptBytes : payload_bytes;
        const std::size_t block_bytes = sizeof(ReceivedMessage) + property_bytes + topic_bytes + 1 + kept_bytes + 1;
        auto *copy = static_cast<ReceivedMessage *>(std::malloc(block_bytes));
        if (copy == nullptr || !good) {
            std::free(copy);
            connection->failed_ = true;
            return;
        }
        auto *property = reinterpret_cast<UserProperty *>(copy + 1);
        char *room = reinterpret_cast<char *>(property + property_count);
        *copy = {};
        copy->properties = property;
        copy->property_count = static_cast<std::uint32_t>(property_count);
        const auto keep = [&property, &room](const char *name, const char *value) {
            property->name = copy_text(name, &room);
            property->value = copy_text(value, &room);
            ++property;
        };
        if (!is_crowded) good = for_each_user_property(properties, keep);
        if (!good) {
            std::free(copy);
            connection->failed_ = true;
            return;
        }
        if (content_type.text != nullptr) copy->content_type = copy_text(content_type.text, &room);
        copy->topic = copy_text(message->topic, &room);
        if (kept_bytes > 0) std::memcpy(room, message->payload, kept_bytes);
        room[kept_bytes] = '\0';
        copy->payload = room;
        copy->payload_bytes = payload_bytes;
        copy->kept_bytes = kept_bytes;
        copy->arrived_at = microseconds_since_1970();
        copy->qos = static_cast<std::uint8_t>(message->qos);
        copy->retained = message->retain;
        copy->is_crowded = is_crowded;
        copy->redelivered = take_duplicate_flag(connection, message->qos);
        (connection->last_ == nullptr ? connection->first_ : connection->last_->next) = copy;
        connection->last_ = copy;
        ++connection->held_count_;
        ++connection->received_count_;
        connection->held_bytes_ += block_bytes;
    }

    /// Whether the message that is being received was sent before. Such messages come first and in order (MQTT 5, sections 4.4
    /// and 4.6): none follows the first new one.
    static bool take_duplicate_flag(MqttConnection *connection, int qos) {
        const bool duplicate = connection->duplicate_;
        connection->duplicate_ = false;
        if (qos > 0 && !duplicate) mosquitto_log_callback_set(connection->handle_, nullptr);
        return duplicate;
    }

    /// Keeps the library's own words on a failure: they are the only place where TLS errors are explained; and of a message, that
    /// it is sent again: "Client ID received PUBLISH (d1, q1, ...". Set until the first new message: the library formats a text
    /// for each one otherwise.
    static void logged(mosquitto *, void *self, int level, const char *text) {
        auto *connection = static_cast<MqttConnection *>(self);
        if (connection->accepted_) {
            if (std::strstr(text, " received PUBLISH (") != nullptr)
                connection->duplicate_ = std::strstr(text, " received PUBLISH (d1,") != nullptr;
            return;
        }
        if (connection->problem_[0] != '\0' || (level & (MOSQ_LOG_ERR | MOSQ_LOG_WARNING)) == 0) return;
        const char *refusal = connection->tls_.problem();
        if (refusal[0] != '\0') {
            connection->set_problem("certificate of the broker was not accepted", refusal);
        } else {
            connection->set_problem("connection failed", text);
        }
    }
};

void MqttConnection::set_problem(const char *doing, const char *why) noexcept {
    std::snprintf(problem_, sizeof problem_, "%s: %s", doing, why);
    problem_[std::strcspn(problem_, "\r\n")] = '\0';
}

bool MqttConnection::lost(int result, const char *doing) noexcept {
    if (problem_[0] == '\0') set_problem(doing, result == MOSQ_ERR_ERRNO ? std::strerror(errno) : mosquitto_strerror(result));
    return false;
}

bool MqttConnection::configure(const ConnectionOptions &options) noexcept {
    // Threaded mode is what holds acknowledgements back: without it each one is written before the callback runs.
    mosquitto_threaded_set(handle_, true);
    mosquitto_connect_v5_callback_set(handle_, Callbacks::connected);
    mosquitto_disconnect_v5_callback_set(handle_, Callbacks::disconnected);
    mosquitto_subscribe_v5_callback_set(handle_, Callbacks::subscribed);
    mosquitto_unsubscribe_v5_callback_set(handle_, Callbacks::unsubscribed);
    mosquitto_message_v5_callback_set(handle_, Callbacks::received);
    mosquitto_int_option(handle_, MOSQ_OPT_PROTOCOL_VERSION, options.mqtt5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
    mosquitto_int_option(handle_, MOSQ_OPT_RECEIVE_MAXIMUM, options.receive_maximum);
    mosquitto_int_option(handle_, MOSQ_OPT_TCP_NODELAY, 1);
    if (options.username != nullptr) {
        const int result = mosquitto_username_pw_set(handle_, options.username, options.password);
        if (result != MOSQ_ERR_SUCCESS) return lost(result, "could not set the user name");
    }
    if (options.uses_tls) {
        if (!tls_.open(options.tls)) {
            set_problem("could not prepare TLS", tls_.problem());
            return false;
        }
        // The library adds nothing of its own to our context, and takes a reference to it.
        mosquitto_int_option(handle_, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
        const int result = mosquitto_void_option(handle_, MOSQ_OPT_SSL_CTX, tls_.handle());
        if (result != MOSQ_ERR_SUCCESS) return lost(result, "could not prepare TLS");
    }
    if (!options.mqtt5 || options.clean_start) return true;

    mosquitto_property *properties = nullptr;
    int result = mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, kSessionNeverExpires);
    if (result != MOSQ_ERR_SUCCESS) return lost(result, "could not prepare the session");
    // CONNECT's properties can be given to the blocking connect only. Port -1 makes it keep them and stop before it connects.
    result = mosquitto_connect_bind_v5(handle_, options.tls.host, -1, options.keepalive_seconds, nullptr, properties);
    mosquitto_property_free_all(&properties);
    if (result != MOSQ_ERR_INVAL) return lost(result, "could not prepare the session");
    return true;
}

bool MqttConnection::open(const ConnectionOptions &options) noexcept {
    close();
    problem_[0] = '\0';
    options_ = options;
    connected_ = accepted_ = session_present_ = subscribed_ = unsubscribed_ = refused_ = older_protocol_ = failed_ = false;
    taken_over_ = duplicate_ = false;
    received_count_ = 0;
    granted_qos_ = 0;
    keepalive_seconds_ = options.keepalive_seconds;
    session_expiry_seconds_ = kSessionNeverExpires;
    mosquitto_lib_init();
    handle_ = mosquitto_new(options.client_id, options.clean_start, this);
    if (handle_ == nullptr) return lost(MOSQ_ERR_ERRNO, "could not prepare a connection");
    return configure(options);
}

bool MqttConnection::start_connecting(const char *address) noexcept {
    mosquitto_log_callback_set(handle_, Callbacks::logged);
    const int result = mosquitto_connect_bind_async(handle_, address, options_.port, options_.keepalive_seconds, nullptr);
    if (result > MOSQ_ERR_SUCCESS) return lost(result, "could not connect to the broker");
    return true;
}

bool MqttConnection::check_connected() noexcept {
    if (connected_) return true;
    int error = 0;
    socklen_t error_bytes = sizeof error;
    if (getsockopt(socket(), SOL_SOCKET, SO_ERROR, &error, &error_bytes) == 0 && error == 0) {
        pollfd poll_writable{socket(), POLLOUT, 0};
        connected_ = poll(&poll_writable, 1, 0) > 0;
        return true;
    }
    set_problem("could not connect to the broker", std::strerror(error));
    return false;
}

bool MqttConnection::check_handshake() noexcept {
    if (!options_.uses_tls || accepted_) return true;
    char byte;
    const ssize_t peeked = recv(socket(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (peeked > 0 || (peeked < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))) return true;
    // SSL_connect may have taken the socket's own error: what is left of a refused connection is that there is none.
    const bool none = peeked == 0 || errno == ENOTCONN;
    const char *why = none ? "refused, or closed during the TLS handshake" : std::strerror(errno);
    if (problem_[0] == '\0') set_problem("could not connect to the broker", why);
    return false;
}

bool MqttConnection::receive_packet() noexcept {
    if (!check_connected()) return false;
    if (!connected_) return true;
    const int result = mosquitto_loop_read(handle_, 1);
    if (failed_) return lost(MOSQ_ERR_NOMEM, "could not receive a message");
    // A broker that knows no MQTT 5 refuses it in a packet of MQTT 3, which is too short. libmosquitto 2.0.11 calls that a
    // refusal, 2.0.21 a malformed packet.
    if (result == MOSQ_ERR_MALFORMED_PACKET && !accepted_ && !refused_ && options_.mqtt5)
        Callbacks::connected(handle_, this, MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION, 0, nullptr);
    if (refused_) return false;
    if (result != MOSQ_ERR_SUCCESS) return lost(result, "connection to the broker was lost");
    // The library calls a connection that ends during the TLS handshake a success, and keeps the socket.
    return check_handshake();
}

void MqttConnection::give_up(const char *why) noexcept { fail("gave up the connection to the broker", why); }

void MqttConnection::fail(const char *doing, const char *why) noexcept {
    if (problem_[0] == '\0') set_problem(doing, why);
}

bool MqttConnection::write_pending() noexcept {
    if (held_count_ > 0) return true;  // rule 2
    if (!check_connected()) return false;
    // The TLS handshake is driven by loop_read, also when it is a write that it waits for.
    if (options_.uses_tls && !accepted_ && !receive_packet()) return false;
    if (held_count_ > 0) return true;  // it came with the end of the handshake
    set_cork(socket(), 1);
    const int result = mosquitto_loop_write(handle_, 1);
    if (result != MOSQ_ERR_SUCCESS) return lost(result, "connection to the broker was lost");
    set_cork(socket(), 0);
    return true;
}

bool MqttConnection::keep_alive() noexcept {
    const int result = mosquitto_loop_misc(handle_);
    return result == MOSQ_ERR_SUCCESS || lost(result, "connection to the broker was lost");
}

bool MqttConnection::subscribe() noexcept {
    if (held_count_ > 0) return true;  // rule 2: the caller tries again
    const int flags = options_.mqtt5 ? MQTT_SUB_OPT_SEND_RETAIN_NEW : 0;
    // The library takes the texts as they are and changes none of them, whatever its type says.
    auto *filters = const_cast<char *const *>(options_.topics.filters);
    const int result =
        mosquitto_subscribe_multiple(handle_, nullptr, options_.topics.count, filters, options_.qos, flags, nullptr);
    return result == MOSQ_ERR_SUCCESS || lost(result, "could not subscribe");
}

bool MqttConnection::unsubscribe(TopicFilters topics) noexcept {
    if (held_count_ > 0) return true;  // rule 2
    unsubscribed_ = false;
    auto *filters = const_cast<char *const *>(topics.filters);
    const int result = mosquitto_unsubscribe_multiple(handle_, nullptr, topics.count, filters, nullptr);
    return result == MOSQ_ERR_SUCCESS || lost(result, "could not unsubscribe");
}

void MqttConnection::say_goodbye() noexcept {
    if (handle_ == nullptr || !accepted_ || held_count_ > 0) return;
    if (mosquitto_disconnect_v5(handle_, 0, nullptr) == MOSQ_ERR_SUCCESS) mosquitto_loop_write(handle_, 1);
}

void MqttConnection::close() noexcept {
    if (handle_ != nullptr) mosquitto_destroy(handle_);
    handle_ = nullptr;
    tls_.close();
    release_messages();
}

void MqttConnection::release_messages() noexcept {
    while (first_ != nullptr) {
        ReceivedMessage *message = first_;
        first_ = message->next;
        std::free(message);
    }
    last_ = nullptr;
    held_count_ = 0;
    held_bytes_ = 0;
}

int MqttConnection::socket() const noexcept { return handle_ == nullptr ? -1 : mosquitto_socket(handle_); }

bool MqttConnection::wants_write() const noexcept { return handle_ != nullptr && mosquitto_want_write(handle_); }

bool MqttConnection::is_readable() const noexcept {
    if (has_bytes(socket())) return true;
    // A broker that collects small packets (Nagle's algorithm) waits until TCP has acknowledged the one before, and TCP waits for
    // an answer that could carry that. Told to do it now, the broker's side may send all it has.
    const int on = 1;
    setsockopt(socket(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    return has_bytes(socket());
}

}  // namespace historian::bgworker
