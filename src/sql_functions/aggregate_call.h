// What the functions of an aggregate ask about the call that they are part of.
#pragma once

#include "engine/server.h"

namespace historian {

/// The context that the aggregate's states live in; elog(ERROR) when the function is called by hand.
inline MemoryContext aggregate_context(FunctionCallInfo fcinfo) {
    MemoryContext context;
    if (AggCheckCallContext(fcinfo, &context) == 0) elog(ERROR, "aggregate function called in non-aggregate context");
    return context;
}

}  // namespace historian
