// Where a worker waits: for its socket, its latch, the time, a name. It looks at interrupts at least once a second.
#include "bgworker/mqtt_worker.h"
#include "bgworker/session.h"

namespace historian::bgworker {

namespace {

constexpr int kNameStepMs = 1'000;

}  // namespace

bool leaving() { return is_leaving(&worker.slot->process) && (ProcDiePending || !worker.lingers); }

bool has_passed(TimestampTz since, int milliseconds) {
    return TimestampDifferenceExceeds(since, GetCurrentTimestamp(), milliseconds);
}

void open_events() {
#if PG_VERSION_NUM >= 170000
    worker.events = CreateWaitEventSet(nullptr, 3);
#else
    worker.events = CreateWaitEventSet(TopMemoryContext, 3);
#endif
    AddWaitEventToSet(worker.events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
    AddWaitEventToSet(worker.events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
    worker.socket_flags = WL_SOCKET_READABLE;
    worker.socket_event = AddWaitEventToSet(worker.events, worker.socket_flags, worker.link.socket(), nullptr, nullptr);
}

void close_events() {
    if (worker.events != nullptr) FreeWaitEventSet(worker.events);
    worker.events = nullptr;
}

void wait_for_socket(uint32 flags, long milliseconds) {
    if (flags != worker.socket_flags) ModifyWaitEvent(worker.events, worker.socket_event, flags, nullptr);
    worker.socket_flags = flags;
    WaitEvent event;
    WaitEventSetWait(worker.events, milliseconds, &event, 1, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    if (ProcDiePending && worker.link.held_count() == 0) return;  // the caller leaves quietly
    CHECK_FOR_INTERRUPTS();
    reload_settings_if_asked();
}

uint32 wanted_socket_events() {
    // The library wants to write from the first to the last byte of a TLS handshake, and a connected socket is writeable.
    if (worker.link.is_tls_handshake()) return worker.link.is_connected() ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE;
    const bool nothing_held = worker.link.held_count() == 0;
    uint32 flags = 0;
    if (nothing_held && worker.link.wants_write()) flags |= WL_SOCKET_WRITEABLE;
    if (flags == 0 || !worker.link.is_accepted()) flags |= WL_SOCKET_READABLE;
    return flags;
}

void pause_for(int milliseconds) {
    const TimestampTz begin = GetCurrentTimestamp();
    while (!leaving() && !has_passed(begin, milliseconds)) {
        const long left = milliseconds - TimestampDifferenceMilliseconds(begin, GetCurrentTimestamp());
        WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Max(left, 1L), PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        if (!ProcDiePending) CHECK_FOR_INTERRUPTS();
        reload_settings_if_asked();
    }
}

bool wait_for_address(int milliseconds) {
    const TimestampTz begin = GetCurrentTimestamp();
    while (!worker.resolver.is_finished() && !leaving() && !has_passed(begin, milliseconds)) {
        WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
                          worker.resolver.wake_descriptor(), kNameStepMs, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        if (!ProcDiePending) CHECK_FOR_INTERRUPTS();
        reload_settings_if_asked();
    }
    return worker.resolver.is_finished();
}

}  // namespace historian::bgworker
