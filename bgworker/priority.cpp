#include "bgworker/server.h"
//
#include "bgworker/priority.h"

extern "C" {
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
}

namespace historian::bgworker {

namespace {

// Linux shares processors among autogroups before it looks at their processes (man 7 sched), and each process of PostgreSQL is a
// group of its own because it calls setsid(). Systems without them have no such file. False: unprivileged users may write it ten
// times a second, all together.
bool lower_autogroup(int nice) {
    static const char *const kFile = "/proc/self/autogroup";
    const int file = OpenTransientFile(kFile, O_WRONLY);
    if (file < 0) return true;
    char digits[12];
    const int size = pg_snprintf(digits, sizeof(digits), "%d", nice);
    errno = 0;
    const bool is_written = write(file, digits, static_cast<size_t>(size)) == size;
    const bool is_too_soon = errno == EAGAIN;
    if (!is_written && !is_too_soon) ereport(LOG, errcode_for_file_access(), errmsg("could not write file \"%s\": %m", kFile));
    CloseTransientFile(file);
    return is_written || !is_too_soon;
}

}  // namespace

bool give_way_to_sessions(int nice) {
    if (nice == 0) return true;
    if (setpriority(PRIO_PROCESS, 0, nice) != 0)
        ereport(LOG, errcode_for_file_access(), errmsg("could not lower the priority of a background worker: %m"));
    return lower_autogroup(nice);
}

}  // namespace historian::bgworker
