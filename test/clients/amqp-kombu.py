"""Plays one scenario with kombu (py-amqp) and prints what came of it as JSON.

usage: python3 amqp-kombu.py SCENARIO PORT
"""

import json
import socket
import sys

from kombu import Connection, Consumer, Exchange, Producer, Queue

SCENARIO, PORT = sys.argv[1], int(sys.argv[2])
PATIENCE = 10


def connect(**options):
    return Connection(f"amqp://alice:secret@127.0.0.1:{PORT}//", transport_options=options)


def tasks():
    """As Celery does it: JSON to a direct exchange, acknowledged late, with confirms and a prefetch count."""
    exchange = Exchange("tasks", "direct", durable=True)
    queue = Queue("tasks", exchange, routing_key="tasks", max_priority=10, message_ttl=60.0)
    bodies = []

    def receive(body, message):
        bodies.append(body)
        message.ack()

    with connect(confirm_publish=True) as connection:
        producer = Producer(connection)
        for number in range(20):
            producer.publish(
                {"number": number, "text": "gr\u00fc\u00dfe"},
                exchange=exchange,
                routing_key="tasks",
                declare=[queue],
                delivery_mode=2,
                priority=5,
                compression="zlib",
                retry=True,
            )
        with Consumer(connection, queue, callbacks=[receive], prefetch_count=5):
            while len(bodies) < 20:
                connection.drain_events(timeout=PATIENCE)
    return {"numbers": [body["number"] for body in bodies] == list(range(20)), "text": bodies[0]["text"]}


def simple():
    with connect() as connection:
        queue = connection.SimpleQueue("simple")
        queue.put({"hello": "world"})
        message = queue.get(timeout=PATIENCE)
        message.reject(requeue=True)
        again = queue.get(timeout=PATIENCE)
        again.ack()
        found = {"payload": again.payload, "redelivered": again.delivery_info["redelivered"], "left": queue.qsize()}
        queue.close()
    return found


def broadcast():
    exchange = Exchange("events", "topic")
    queues = [Queue(f"events.{name}", exchange, routing_key=f"{name}.#", exclusive=True) for name in ("a", "b")]
    found = []
    with connect() as connection:
        channel = connection.channel()
        bound = [queue(channel) for queue in queues]
        for queue in bound:
            queue.declare()
        Producer(channel).publish("for a", exchange=exchange, routing_key="a.b.c")
        for queue in bound:
            message = queue.get(no_ack=True)
            found.append(None if message is None else message.payload)
    return found


def heartbeats():
    with Connection(f"amqp://alice:secret@127.0.0.1:{PORT}//", heartbeat=3) as connection:
        connection.connect()
        for _ in range(14):
            try:
                connection.drain_events(timeout=0.5)
            except socket.timeout:
                connection.heartbeat_check()
        return {"connected": connection.connected}


print(json.dumps(globals()[SCENARIO]()))
