#include "bgworker/resolver.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

namespace historian::bgworker {

namespace {

// A name server that never answers must not gather a thread with each attempt.
constexpr int kThreadCountMax = 4;

// What the C library's name services need, measured in the tens of kB, and room to spare.
constexpr std::size_t kThreadStackBytes = 1024 * 1024;

std::atomic<int> thread_count{0};

}  // namespace

/// One question, owned by the asking Resolver and by the thread; who lets go last frees it.
struct Lookup {
    int holder_count;
    int finished;
    int finish_descriptor;  ///< the thread's end of the pipe: closed when the answer is there
    int delay_ms;
    int error;         ///< getaddrinfo's
    int error_number;  ///< errno, when that is EAI_SYSTEM
    unsigned address_count;
    char host[256];
    char addresses[kAddressCountMax][kAddressBytesMax];
};

namespace {

void let_go(Lookup *lookup) noexcept {
    if (std::atomic_ref<int>(lookup->holder_count).fetch_sub(1) == 1) std::free(lookup);
}

void take_addresses(Lookup *lookup, const addrinfo *found) noexcept {
    for (const addrinfo *each = found; each != nullptr && lookup->address_count < kAddressCountMax; each = each->ai_next) {
        char *address = lookup->addresses[lookup->address_count];
        const int result =
            getnameinfo(each->ai_addr, each->ai_addrlen, address, kAddressBytesMax, nullptr, 0, NI_NUMERICHOST);
        if (result == 0) ++lookup->address_count;
    }
}

/// The thread.
void *run_lookup(void *argument) {
    auto *lookup = static_cast<Lookup *>(argument);
    if (lookup->delay_ms > 0) {
        const timespec delay{lookup->delay_ms / 1000, lookup->delay_ms % 1000 * 1'000'000L};
        nanosleep(&delay, nullptr);
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo *found = nullptr;
    lookup->error = getaddrinfo(lookup->host, nullptr, &hints, &found);
    lookup->error_number = errno;
    if (lookup->error == 0) {
        take_addresses(lookup, found);
        freeaddrinfo(found);
    }
    thread_count.fetch_sub(1);
    std::atomic_ref<int>(lookup->finished).store(1, std::memory_order_release);
    close(lookup->finish_descriptor);
    let_go(lookup);
    return nullptr;
}

/// Starts the thread with all signals blocked: they are for the worker.
int start_thread(Lookup *lookup) noexcept {
    pthread_attr_t attributes;
    int result = pthread_attr_init(&attributes);
    if (result != 0) return result;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, kThreadStackBytes);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    result = pthread_create(&thread, &attributes, run_lookup, lookup);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    return result;
}

bool is_numeric(const char *host) noexcept {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST;
    addrinfo *found = nullptr;
    if (getaddrinfo(host, nullptr, &hints, &found) != 0) return false;
    freeaddrinfo(found);
    return true;
}

}  // namespace

bool Resolver::begin(const char *host, int delay_ms) noexcept {
    abandon();
    problem_[0] = '\0';
    address_count_ = 0;
    if (std::strlen(host) < kAddressBytesMax && is_numeric(host)) {
        std::snprintf(addresses_[0], kAddressBytesMax, "%s", host);
        address_count_ = 1;
        return true;
    }
    if (thread_count.load() >= kThreadCountMax) {
        std::snprintf(problem_, sizeof problem_, "earlier questions to the name server are still unanswered");
        return false;
    }
    auto *lookup = static_cast<Lookup *>(std::calloc(1, sizeof(Lookup)));
    int ends[2];
    if (lookup == nullptr || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        std::snprintf(problem_, sizeof problem_, "%s", std::strerror(errno));
        std::free(lookup);
        return false;
    }
    lookup->holder_count = 2;
    lookup->finish_descriptor = ends[1];
    lookup->delay_ms = delay_ms;
    std::snprintf(lookup->host, sizeof lookup->host, "%s", host);
    thread_count.fetch_add(1);
    if (const int error = start_thread(lookup)) {
        std::snprintf(problem_, sizeof problem_, "%s", std::strerror(error));
        thread_count.fetch_sub(1);
        close(ends[0]);
        close(ends[1]);
        std::free(lookup);
        return false;
    }
    lookup_ = lookup;
    wake_descriptor_ = ends[0];
    return true;
}

bool Resolver::is_finished() const noexcept {
    return lookup_ == nullptr || std::atomic_ref<int>(lookup_->finished).load(std::memory_order_acquire) != 0;
}

bool Resolver::finish() noexcept {
    if (lookup_ == nullptr) return address_count_ > 0;
    if (lookup_->error != 0) {
        const bool system = lookup_->error == EAI_SYSTEM;
        std::snprintf(problem_, sizeof problem_, "%s",
                      system ? std::strerror(lookup_->error_number) : gai_strerror(lookup_->error));
    } else if (lookup_->address_count == 0) {
        std::snprintf(problem_, sizeof problem_, "it has no address");
    }
    address_count_ = lookup_->address_count;
    std::memcpy(addresses_, lookup_->addresses, sizeof addresses_);
    abandon();
    return address_count_ > 0;
}

void Resolver::abandon() noexcept {
    if (lookup_ == nullptr) return;
    close(wake_descriptor_);
    wake_descriptor_ = -1;
    let_go(lookup_);
    lookup_ = nullptr;
}

}  // namespace historian::bgworker
