// How a background worker shares processors with sessions.
#pragma once

namespace historian::bgworker {

/// Lowers this process's priority to `nice`, 0 to 19, as nice(1) does; only a privileged user can raise it again. What the system
/// refuses is logged, and the priority stays as it was.
///
/// returns  false: the system wants to be asked again a little later
bool give_way_to_sessions(int nice);

}  // namespace historian::bgworker
