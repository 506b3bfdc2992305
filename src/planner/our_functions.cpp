#include "planner/our_functions.h"

extern "C" {
#include "catalog/dependency.h"
#include "catalog/pg_proc.h"
}

namespace historian::planner {

bool is_our_function(Oid function, const char *name) {
    if (function < FirstNormalObjectId) return false;
    const char *its_name = get_func_name(function);
    if (its_name == nullptr || strcmp(its_name, name) != 0) return false;
    const Oid extension = get_extension_oid("historian", true);
    return OidIsValid(extension) && getExtensionOfObject(ProcedureRelationId, function) == extension;
}

}  // namespace historian::planner
