// Finds the addresses of a broker's host without holding up the worker: a thread of its own asks the C library, which may wait
// for a name server for minutes. No PostgreSQL here, and none in the thread: it takes no signal, and touches its own block of
// memory only.
//
// Life: begin() -> wait for wake_descriptor() to become readable -> finish() -> address(), or abandon() at any time. The thread
// of an abandoned lookup ends by itself when the C library returns.
#pragma once

namespace historian::bgworker {

// Of more addresses than this the rest is not tried.
inline constexpr unsigned kAddressCountMax = 8;
// A numeric IPv6 address with the name of an interface.
inline constexpr unsigned kAddressBytesMax = 72;

class Resolver {
public:
    /// Begins to look a host up; false with a reason in problem(). An earlier lookup is abandoned. A numeric address is its own
    /// answer, at once and without a thread.
    ///
    /// delay_ms  the thread sleeps as long before it asks: for tests
    bool begin(const char *host, int delay_ms) noexcept;

    /// True when finish() will not wait.
    bool is_finished() const noexcept;

    /// Takes the answer of a finished lookup; false with a reason in problem().
    bool finish() noexcept;

    /// Forgets a lookup that is under way.
    void abandon() noexcept;

    int wake_descriptor() const noexcept { return wake_descriptor_; }  ///< readable when finished; -1 when that is so already
    unsigned address_count() const noexcept { return address_count_; }
    const char *address(unsigned index) const noexcept { return addresses_[index]; }  ///< numeric
    const char *problem() const noexcept { return problem_; }

private:
    struct Lookup *lookup_ = nullptr;
    int wake_descriptor_ = -1;
    unsigned address_count_ = 0;
    char addresses_[kAddressCountMax][kAddressBytesMax] = {};
    char problem_[160] = "";
};

}  // namespace historian::bgworker
