// The settings of the background workers. The values are read-only outside settings.cpp.
#pragma once

namespace historian::bgworker {

// Seconds after which an idle connection is proved alive, unless a subscription has its own. The longest hold of a batch,
// kBatchMsMax, stays at a quarter of it.
inline constexpr int kKeepaliveSeconds = 60;
inline constexpr int kBatchMsMax = kKeepaliveSeconds * 1000 / 4;

/// How long messages may be held, with another keepalive than that.
constexpr int hold_ms_max(int keepalive_seconds) { return keepalive_seconds * (1000 / 4); }

extern int mqtt_payload_max_bytes;   ///< historian.mqtt_payload_max
extern int mqtt_decompressed_max_bytes;  ///< historian.mqtt_decompressed_max
extern int mqtt_batch_messages;      ///< historian.mqtt_batch_messages
extern int mqtt_batch_ms;            ///< historian.mqtt_batch_ms
extern int maintenance_interval_ms;  ///< historian.maintenance_interval
extern int maintenance_nice;         ///< historian.maintenance_nice
extern int debug_mqtt_delay_ms;      ///< historian.debug_mqtt_delay_ms
extern int debug_mqtt_ack_delay_ms;  ///< historian.debug_mqtt_ack_delay_ms
extern int debug_mqtt_name_delay_ms;  ///< historian.debug_mqtt_name_delay_ms

/// Defines the settings above; called once from _PG_init.
void define_worker_settings();

}  // namespace historian::bgworker
