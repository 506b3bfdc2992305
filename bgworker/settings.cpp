#include "bgworker/server.h"
//
#include "bgworker/settings.h"

namespace historian::bgworker {

int mqtt_payload_max_bytes = 16 * 1024 * 1024;
int mqtt_decompressed_max_bytes = 64 * 1024 * 1024;
int mqtt_batch_messages = 10000;
int mqtt_batch_ms = 200;
int maintenance_interval_ms = 1000;
int maintenance_nice = 10;
int debug_mqtt_delay_ms = 0;
int debug_mqtt_ack_delay_ms = 0;
int debug_mqtt_name_delay_ms = 0;

void define_worker_settings() {
    DefineCustomIntVariable("historian.mqtt_payload_max", "Largest MQTT payload that is stored.",
                            "A larger message goes to mqtt_dead_letter with its size and its first 1 kB.",
                            &mqtt_payload_max_bytes, 16 * 1024 * 1024, 1024, 256 * 1024 * 1024, PGC_SIGHUP, GUC_UNIT_BYTE,
                            nullptr, nullptr, nullptr);
    DefineCustomIntVariable("historian.mqtt_decompressed_max", "Largest MQTT payload that is stored, after decompression.",
                            "A compressed message that becomes larger goes to mqtt_dead_letter as it is.",
                            &mqtt_decompressed_max_bytes, 64 * 1024 * 1024, 1024, 512 * 1024 * 1024, PGC_SIGHUP, GUC_UNIT_BYTE,
                            nullptr, nullptr, nullptr);
    DefineCustomIntVariable("historian.mqtt_batch_messages", "Most MQTT messages stored in one transaction.",
                            "Also the number of messages that the broker may send ahead of their acknowledgements (MQTT 5); "
                            "that part changes at the next connection.",
                            &mqtt_batch_messages, 10000, 1, 65535, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("historian.mqtt_batch_ms",
                            "Longest time that an MQTT message waits for others to share its transaction.", nullptr,
                            &mqtt_batch_ms, 200, 0, kBatchMsMax, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("historian.maintenance_interval", "Time between two rounds of background maintenance in a database.",
                            nullptr, &maintenance_interval_ms, 1000, 10, 3600 * 1000, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr,
                            nullptr);
    DefineCustomIntVariable("historian.maintenance_nice",
                            "How far background maintenance gives way to sessions, as nice(1) does.",
                            "0: not at all. A worker that falls behind gives way to nobody for half an hour.", &maintenance_nice,
                            10, 0, 19, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("historian.debug_mqtt_delay_ms", "Sleep between the receipt of MQTT messages and their transaction.",
                            "For tests that kill the worker at this point.", &debug_mqtt_delay_ms, 0, 0, kBatchMsMax, PGC_SIGHUP,
                            GUC_UNIT_MS | GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("historian.debug_mqtt_ack_delay_ms",
                            "Sleep between the transaction of MQTT messages and their acknowledgement.",
                            "For tests that kill the worker at this point.", &debug_mqtt_ack_delay_ms, 0, 0, kBatchMsMax,
                            PGC_SIGHUP, GUC_UNIT_MS | GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("historian.debug_mqtt_name_delay_ms",
                            "How long the name of an MQTT broker takes to resolve, at least.",
                            "For tests of a name server that does not answer.", &debug_mqtt_name_delay_ms, 0, 0, 600'000,
                            PGC_SIGHUP, GUC_UNIT_MS | GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
}

}  // namespace historian::bgworker
