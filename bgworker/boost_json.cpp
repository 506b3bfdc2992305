// Boost.JSON's own code, compiled here once: the library is used header-only, so that nothing but Boost's headers is needed.
// Built with exceptions: the library throws on a failed allocation.
#include <boost/json/src.hpp>
