"""mqtt_consumer: the program between broker and database that a plant writes today; what historian is compared with.

    mqtt_consumer.py PORT TOPIC POINTS influxdb HTTP_PORT     line protocol into the database "bench", measurement "points"
    mqtt_consumer.py PORT TOPIC POINTS postgres TABLE         COPY; the connection comes from PGHOST and the like

Receives messages at QoS 1 in a session that the broker keeps, and stores them when there are 1,000 of them, or 10,000
points, or when the first one has waited for 100 ms. paho acknowledges a message when it arrives, not when it is stored:
what is held is lost when this program dies.

Standard output: "ready" once subscribed; after POINTS points, or on SIGTERM: the points, seconds since 1970 when the last
batch was stored, and processor seconds of this process since it was ready.
"""
import http.client
import io
import json
import os
import signal
import sys
import time

import paho.mqtt.client

MESSAGES_MAX = 1000
POINTS_MAX = 10000
WAIT_SECONDS = 0.1


class InfluxStore:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", int(port))

    def store(self, rows):
        # Names of the plant hold nothing that line protocol wants escaped.
        lines = "\n".join(f"points,name={name} value={float(value)!r} {nanoseconds}" for name, nanoseconds, value in rows)
        self.connection.request("POST", "/write?db=bench&precision=ns", lines.encode())
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 204:
            raise RuntimeError(f"InfluxDB: {answer.status} {text}")


class PostgresStore:
    def __init__(self, table):
        import psycopg2

        self.connection = psycopg2.connect("")
        self.statement = f"COPY {table} (name, time, value) FROM STDIN"

    def store(self, rows):
        lines = "".join(f"{name}\t{text_of(nanoseconds)}\t{value!r}\n" for name, nanoseconds, value in rows)
        with self.connection.cursor() as cursor:
            cursor.copy_expert(self.statement, io.StringIO(lines))
        self.connection.commit()


second_texts = {}


def text_of(nanoseconds):
    """A time as COPY takes it; the text of a second is kept, as many points have the same."""
    second, rest = divmod(nanoseconds, 1_000_000_000)
    text = second_texts.get(second)
    if text is None:
        if len(second_texts) > 10000:
            second_texts.clear()
        text = second_texts[second] = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
    return f"{text}.{rest // 1000:06d}+00"


class Consumer:
    def __init__(self, store):
        self.store = store
        self.rows = []
        self.message_count = 0
        self.stored_count = 0
        self.waits_since = 0.0
        self.subscribed = False

    def on_message(self, client, userdata, message):
        payload = json.loads(message.payload)
        if not self.rows:
            self.waits_since = time.monotonic()
        if isinstance(payload[0], list):
            self.rows += payload
        else:
            self.rows.append(payload)
        self.message_count += 1
        if self.message_count >= MESSAGES_MAX or len(self.rows) >= POINTS_MAX:
            self.flush()

    def on_subscribe(self, client, userdata, mid, granted):
        self.subscribed = True

    def flush_when_due(self):
        if self.rows and time.monotonic() - self.waits_since >= WAIT_SECONDS:
            self.flush()

    def flush(self):
        self.store.store(self.rows)
        self.stored_count += len(self.rows)
        self.rows = []
        self.message_count = 0


def main():
    port, topic, points, kind, where = sys.argv[1:]
    consumer = Consumer(InfluxStore(where) if kind == "influxdb" else PostgresStore(where))
    client = paho.mqtt.client.Client("bench-consumer", clean_session=False)
    client.on_message = consumer.on_message
    client.on_subscribe = consumer.on_subscribe
    stopped = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    client.connect("127.0.0.1", int(port))
    client.subscribe(topic, qos=1)
    while not consumer.subscribed:
        client.loop(0.01)
    print("ready", flush=True)
    begin = os.times()
    while consumer.stored_count < int(points) and not stopped:
        result = client.loop(0.01)
        if result != paho.mqtt.client.MQTT_ERR_SUCCESS:
            print("mqtt_consumer:", paho.mqtt.client.error_string(result), file=sys.stderr)
            client.reconnect()
        consumer.flush_when_due()
    if consumer.rows:
        consumer.flush()
    end = os.times()
    seconds = end.user + end.system - begin.user - begin.system
    print(consumer.stored_count, f"{time.time():.6f}", f"{seconds:.3f}", flush=True)
    client.disconnect()


main()
