// Any bytes as a payload whose format is found, a topic, a topic filter, a broker's address, an option: no crash, and what is
// promised of the result holds.
#include "payload_checks.h"

#include "bgworker/topic.h"

using namespace historian::bgworker;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char *>(data), size);
    check_payload(bytes, ParseContext{});
    check_payload(bytes, in_format(PayloadFormat::json));
    TopicTable table;
    (void)parse_table_topic(bytes, &table);
    for (const char *prefix : {"db/append/", "db/metrics/"}) {
        const std::string topic = prefix + std::string(bytes);
        if (parse_table_topic(topic, &table) == nullptr) check(table.table[0] != '\0');
    }
    (void)validate_topic_filter(bytes);
    BrokerAddress address;
    if (parse_broker_url(bytes, &address) == nullptr) check(address.host[0] != '\0' && address.port > 0);
    std::int64_t microseconds;
    for (const TimeUnit unit : {TimeUnit::seconds, TimeUnit::milliseconds, TimeUnit::microseconds, TimeUnit::nanoseconds}) {
        (void)parse_time(bytes, unit, &microseconds);
    }
    PayloadOptions options;
    for (const char *name : {"format", "timeformat", "tz", "compress", "delimiter", "header"}) {
        (void)set_payload_option(name, bytes, &options);
    }
    set_content_type(bytes, &options);
    return 0;
}
