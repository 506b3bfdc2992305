// One connection to an MQTT broker: libmosquitto, held back so that acknowledgements leave only when we say so.
//
// This is the only file that knows mosquitto.h, and it knows no PostgreSQL: nothing here can ereport, and no callback calls
// anything but malloc, memcpy and snprintf. The reasons for each rule are in README.md ("The nine rules").
//
// Life: open() -> start_connecting() -> [receive_packet() | write_pending() | keep_alive()]* -> close(). An object that was
// closed can be opened again; each connection is a fresh mosquitto handle, so nothing unsent survives from one to the next.
// Nothing here waits: names are resolved elsewhere (resolver.h), sockets are not blocking.
//
// Invariants:
//   1. While held_count() > 0 nothing is written to the broker: write_pending(), subscribe(), unsubscribe() and say_goodbye() do
//      nothing then.
//   2. Messages are held in the order of arrival until release_messages() or close().
//   3. close() writes nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bgworker/tls_context.h"

struct mosquitto;

namespace historian::bgworker {

// Of a payload above the limit this much is kept, for the dead letter.
inline constexpr std::size_t kOversizeKeptBytes = 1024;
// They are looked through one by one, for each other and for columns.
inline constexpr std::size_t kUserPropertiesMax = 1000;

/// A user property of MQTT 5. Names may repeat.
struct UserProperty {
    const char *name;
    const char *value;
};

struct ReceivedMessage {
    ReceivedMessage *next;
    const char *topic;               ///< NUL-terminated
    const char *payload;             ///< NUL-terminated; kept_bytes of it
    std::size_t payload_bytes;       ///< as published
    std::size_t kept_bytes;          ///< less than payload_bytes only when the payload was above the limit
    const UserProperty *properties;  ///< in the order of the message; texts NUL-terminated
    std::uint32_t property_count;
    const char *content_type;  ///< nullptr: none
    std::int64_t arrived_at;   ///< microseconds since 1970-01-01 UTC
    std::uint8_t qos;
    bool retained;
    bool is_crowded;   ///< it had more user properties than kUserPropertiesMax; none is kept
    bool redelivered;  ///< the broker says that it has sent the message before (DUP); it may be the first that arrives
};

/// Topic filters, NUL-terminated UTF-8.
struct TopicFilters {
    const char *const *filters = nullptr;
    int count = 0;
};

/// What to connect to, and how. All texts must outlive the connection.
struct ConnectionOptions {
    const char *client_id = nullptr;
    const char *username = nullptr;  ///< nullptr: none
    const char *password = nullptr;
    TlsOptions tls;  ///< its host is the broker's, TLS or not
    TopicFilters topics;
    std::size_t payload_max_bytes = 0;
    int port = 0;
    int keepalive_seconds = 0;
    int qos = 1;
    std::uint16_t receive_maximum = 0;  ///< messages in flight before the first acknowledgement; MQTT 5 only
    bool uses_tls = false;
    bool mqtt5 = true;
    bool is_shared = false;    ///< the topics are shared subscriptions, which a broker may not have
    bool clean_start = false;  ///< true: the session ends with this connection, and an older one is deleted
};

class MqttConnection {
public:
    /// Prepares a handle; false with a reason in problem(). An open connection is closed first.
    bool open(const ConnectionOptions &options) noexcept;

    /// Begins to connect without waiting; false with a reason in problem().
    ///
    /// address  numeric
    bool start_connecting(const char *address) noexcept;

    /// Reads at most one packet (TLS: what one record holds). False: the connection is lost.
    bool receive_packet() noexcept;

    /// Writes what is queued, acknowledgements among it, until the socket takes no more. False: the connection is lost.
    bool write_pending() noexcept;

    /// Queues a ping when one is due, gives up when the last one was not answered. False: the connection is lost. Writes nothing.
    bool keep_alive() noexcept;

    /// Queues the SUBSCRIBE. Retained messages come only with a new subscription (MQTT 5).
    bool subscribe() noexcept;

    /// Queues an UNSUBSCRIBE: what the broker holds for the session already still comes.
    bool unsubscribe(TopicFilters topics) noexcept;

    /// Queues and writes a DISCONNECT; the session stays at the broker unless clean_start was set.
    void say_goodbye() noexcept;

    /// Forgets held messages and unsent acknowledgements and closes the socket: the broker will deliver them again.
    void close() noexcept;

    /// Notes why the caller is about to close(), unless a reason is known already.
    void give_up(const char *why) noexcept;

    /// Notes what the caller could not do and why, likewise.
    void fail(const char *doing, const char *why) noexcept;

    /// Frees the held messages: they are stored. Their acknowledgements may now be written.
    void release_messages() noexcept;

    int socket() const noexcept;  ///< -1 when closed
    bool wants_write() const noexcept;
    bool is_tls_handshake() const noexcept { return options_.uses_tls && !accepted_; }
    bool is_connected() const noexcept { return connected_; }  ///< TCP
    bool is_readable() const noexcept;                         ///< bytes wait at the socket
    const ReceivedMessage *first_message() const noexcept { return first_; }
    std::size_t held_count() const noexcept { return held_count_; }
    std::size_t held_bytes() const noexcept { return held_bytes_; }
    std::size_t received_count() const noexcept { return received_count_; }
    bool is_accepted() const noexcept { return accepted_; }  ///< the broker accepted our CONNECT
    bool session_present() const noexcept { return session_present_; }
    bool is_subscribed() const noexcept { return subscribed_; }      ///< the broker accepted our SUBSCRIBE
    bool is_unsubscribed() const noexcept { return unsubscribed_; }  ///< it answered the last UNSUBSCRIBE
    bool is_refused() const noexcept { return refused_; }            ///< the broker refused CONNECT or SUBSCRIBE
    bool wants_older_protocol() const noexcept { return older_protocol_; }
    bool is_taken_over() const noexcept { return taken_over_; }            ///< by another client with our id (MQTT 5)
    int granted_qos() const noexcept { return granted_qos_; }              ///< the lowest; of the last SUBSCRIBE
    int keepalive_seconds() const noexcept { return keepalive_seconds_; }  ///< the broker's, when it has its own mind (MQTT 5)
    bool session_expires() const noexcept { return accepted_ && session_expiry_seconds_ != 0xFFFFFFFF; }
    std::uint32_t session_expiry_seconds() const noexcept { return session_expiry_seconds_; }  ///< as the broker grants it
    const char *problem() const noexcept { return problem_; }

private:
    friend struct Callbacks;

    bool lost(int result, const char *doing) noexcept;
    void set_problem(const char *doing, const char *why) noexcept;
    bool configure(const ConnectionOptions &options) noexcept;
    bool check_connected() noexcept;
    bool check_handshake() noexcept;

    mosquitto *handle_ = nullptr;
    TlsContext tls_;
    ConnectionOptions options_;
    ReceivedMessage *first_ = nullptr;
    ReceivedMessage *last_ = nullptr;
    std::size_t held_count_ = 0;
    std::size_t held_bytes_ = 0;
    std::size_t received_count_ = 0;  ///< since open()
    bool connected_ = false;          ///< TCP
    bool accepted_ = false;
    bool session_present_ = false;
    bool subscribed_ = false;
    bool unsubscribed_ = false;
    bool refused_ = false;
    bool older_protocol_ = false;
    bool taken_over_ = false;
    bool duplicate_ = false;  ///< the message that is being received has DUP set
    bool failed_ = false;     ///< a callback ran out of memory: the connection must go before its ack is written
    int granted_qos_ = 0;
    int keepalive_seconds_ = 0;
    std::uint32_t session_expiry_seconds_ = 0;
    char problem_[256] = "";
};

}  // namespace historian::bgworker
