// The hooks that historian sets: what must be refused, or seen, before PostgreSQL comes to the access method.
#pragma once

namespace historian {

/// Sets the hooks, each calling the one that was there before; once, when the library loads.
void install_hooks();

}  // namespace historian
