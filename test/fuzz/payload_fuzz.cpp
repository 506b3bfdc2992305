// Any bytes as a payload, a topic, a topic filter, a broker's address: no crash, and what is promised of the result holds.
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "bgworker/nanoseconds.h"
#include "bgworker/payload.h"
#include "bgworker/topic.h"

using namespace historian;
using namespace historian::bgworker;

namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

struct Blocks {
    std::vector<void *> blocks;
    ~Blocks() {
        for (void *block : blocks) std::free(block);
    }
    static void *grow(void *self, std::size_t bytes) noexcept {
        static_cast<Blocks *>(self)->blocks.push_back(std::malloc(bytes));
        return static_cast<Blocks *>(self)->blocks.back();
    }
};

// Invariant 2 of payload.h, and rows that cover the cells exactly.
void check_payload(const Payload &payload) {
    std::uint32_t cell = 0;
    for (std::uint32_t row = 0; row < payload.row_count; ++row) {
        check(payload.row_ends[row] >= cell);
        for (; cell < payload.row_ends[row]; ++cell) {
            const Cell &each = payload.cells[cell];
            check(std::strlen(each.text) == each.bytes);
            check(find_invalid_utf8({each.text, each.bytes}) == std::string_view::npos);
            std::int64_t microseconds;
            if (each.kind == CellKind::number) (void)parse_nanoseconds({each.text, each.bytes}, &microseconds);
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char *>(data), size);
    Blocks blocks;
    Arena arena(Blocks::grow, &blocks);
    Payload payload;
    const PayloadError error = parse_payload(bytes, arena, &payload);
    if (error.fault == PayloadFault::none) {
        check_payload(payload);
    } else {
        check(error.offset <= size);
        char text[160];
        describe_payload_error(error, text, sizeof text);
        check(std::strlen(payload_error_sqlstate(error.fault)) == 5);
    }
    TopicTable table;
    (void)parse_append_topic(bytes, &table);
    const std::string topic = "db/append/" + std::string(bytes);
    if (parse_append_topic(topic, &table) == nullptr) check(table.table[0] != '\0');
    (void)validate_topic_filter(bytes);
    BrokerAddress address;
    if (parse_broker_url(bytes, &address) == nullptr) check(address.host[0] != '\0' && address.port > 0);
    std::int64_t microseconds;
    (void)parse_nanoseconds(bytes, &microseconds);
    return 0;
}
