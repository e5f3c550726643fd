"""Plays one scenario with stomp.py and prints what came of it as JSON.

usage: python3 stomp-client.py SCENARIO PORT [VERSION]
"""

import json
import queue
import sys
import time

import stomp

SCENARIO, PORT = sys.argv[1], int(sys.argv[2])
VERSION = sys.argv[3] if len(sys.argv) > 3 else "1.2"
KINDS = {"1.0": stomp.Connection10, "1.1": stomp.Connection11, "1.2": stomp.Connection12}
PATIENCE = 10


class Listener(stomp.ConnectionListener):
    def __init__(self):
        self.frames = queue.Queue()
        self.receipts = queue.Queue()
        self.errors = queue.Queue()
        self.beats_lost = 0

    def on_message(self, frame):
        self.frames.put(frame)

    def on_receipt(self, frame):
        self.receipts.put(frame.headers["receipt-id"])

    def on_error(self, frame):
        self.errors.put(frame)

    def on_heartbeat_timeout(self):
        self.beats_lost += 1

    def bodies(self, count):
        return [self.frames.get(timeout=PATIENCE).body for _ in range(count)]


def connect(password="secret", version=VERSION, **options):
    connection = KINDS[version]([("127.0.0.1", PORT)], **options)
    listener = Listener()
    connection.set_listener("", listener)
    connection.connect("alice", password, wait=True)
    return connection, listener


def send(connection, listener, destination, body, **headers):
    connection.send(destination, body, headers={"receipt": "sent", **headers})
    listener.receipts.get(timeout=PATIENCE)


def subscribe(connection, listener, destination, **headers):
    ack = headers.pop("ack", "auto")
    ident = headers.pop("id", "1")
    connection.subscribe(destination, ident, ack=ack, headers={"receipt": "subscribed", **headers})
    listener.receipts.get(timeout=PATIENCE)


def acknowledge(connection, listener, frame, **options):
    if VERSION == "1.0":
        connection.ack(frame.headers["message-id"], receipt="acked", **options)
    elif VERSION == "1.1":
        connection.ack(frame.headers["message-id"], frame.headers["subscription"], receipt="acked", **options)
    else:
        connection.ack(frame.headers["ack"], receipt="acked", **options)
    listener.receipts.get(timeout=PATIENCE)


def text():
    connection, listener = connect()
    subscribe(connection, listener, "/queue/py")
    value = "\U0001f30a: a\nb" if VERSION != "1.0" else "\U0001f30a: a"
    send(connection, listener, "/queue/py", "gr\u00fc\u00dfe \U0001f30a", wave=value)
    frame = listener.frames.get(timeout=PATIENCE)
    return {"body": frame.body, "same": frame.headers["wave"] == value, "destination": frame.headers["destination"]}


def binary():
    connection, listener = connect(auto_decode=False)
    subscribe(connection, listener, "/queue/py")
    small, large = b"a\0b\0\xff\n", b"0123456789abcde\0" * (1 << 16)
    send(connection, listener, "/queue/py", small)
    send(connection, listener, "/queue/py", large)
    bodies = listener.bodies(2)
    return {"small": bodies[0] == small, "large": bodies[1] == large}


def ack():
    connection, listener = connect()
    for body in "123":
        send(connection, listener, "/queue/py", body)
    subscribe(connection, listener, "/queue/py", ack="client-individual")
    frames = [listener.frames.get(timeout=PATIENCE) for _ in range(3)]
    acknowledge(connection, listener, frames[1])
    connection.disconnect(receipt="bye")
    again, heard = connect()
    subscribe(again, heard, "/queue/py", ack="client")
    left = [heard.frames.get(timeout=PATIENCE) for _ in range(2)]
    acknowledge(again, heard, left[1])
    return {"again": [frame.body for frame in left], "redelivered": left[0].headers["redelivered"]}


def nack():
    connection, listener = connect()
    subscribe(connection, listener, "/queue/py", ack="client-individual")
    send(connection, listener, "/queue/py", "x")
    frame = listener.frames.get(timeout=PATIENCE)
    if VERSION == "1.1":
        connection.nack(frame.headers["message-id"], frame.headers["subscription"])
    else:
        connection.nack(frame.headers["ack"])
    again = listener.frames.get(timeout=PATIENCE)
    acknowledge(connection, listener, again)
    return {"redelivered": again.headers["redelivered"]}


def transactions():
    connection, listener = connect()
    subscribe(connection, listener, "/queue/py")
    dropped = connection.begin()
    kept = connection.begin()
    send(connection, listener, "/queue/py", "dropped", transaction=dropped)
    send(connection, listener, "/queue/py", "kept", transaction=kept)
    send(connection, listener, "/queue/py", "outside")
    connection.abort(dropped)
    connection.commit(kept)
    return {"bodies": listener.bodies(2)}


def wildcard():
    connection, listener = connect()
    subscribe(connection, listener, "/topic/a.*")
    for name in ("a.b", "b.b", "a.b.c", "a.c"):
        send(connection, listener, f"/topic/{name}", name)
    return {"bodies": listener.bodies(2)}


def durable():
    first, heard = connect()
    subscribe(first, heard, "/topic/news", id="py", persistent="true")
    first.disconnect(receipt="bye")
    sender, listener = connect()
    send(sender, listener, "/topic/news", "meanwhile")
    second, heard = connect()
    subscribe(second, heard, "/topic/news", id="py", persistent="true")
    return {"bodies": heard.bodies(1)}


def heartbeats():
    connection, listener = connect(heartbeats=(300, 300))
    time.sleep(2.5)
    send(connection, listener, "/queue/py", "still here")
    return {"lost": listener.beats_lost, "connected": connection.is_connected()}


def groups():
    sender, receipts = connect()
    consumers = [connect() for _ in range(2)]
    for connection, listener in consumers:
        subscribe(connection, listener, "/queue/py")
    for number in range(3):
        for name in range(20):
            send(sender, receipts, "/queue/py", str(number), message_group=f"g{name}")
    deadline = time.time() + PATIENCE
    while sum(listener.frames.qsize() for _, listener in consumers) < 60 and time.time() < deadline:
        time.sleep(0.01)
    by_group = {}
    for place, (_, listener) in enumerate(consumers):
        for _ in range(listener.frames.qsize()):
            frame = listener.frames.get()
            first = frame.headers.get("JMSXGroupFirstForConsumer", "false")
            by_group.setdefault(frame.headers["message_group"], []).append([place, frame.body, first])
    return by_group


def scheduled():
    connection, listener = connect()
    subscribe(connection, listener, "/queue/py")
    since = time.time()
    send(connection, listener, "/queue/py", "later", AMQ_SCHEDULED_DELAY="150")
    send(connection, listener, "/queue/py", "at", **{"deliver-at": str(int((since + 0.3) * 1000))})
    send(connection, listener, "/queue/py", "now")
    bodies, times = [], []
    for _ in range(3):
        bodies.append(listener.frames.get(timeout=PATIENCE).body)
        times.append(time.time() - since)
    return {"bodies": bodies, "early": times[1] < 0.15 or times[2] < 0.299}


def browse():
    connection, listener = connect()
    for body in "123":
        send(connection, listener, "/queue/py", body)
    subscribe(connection, listener, "/queue/py", id="look", browser="true")
    seen = []
    while True:
        frame = listener.frames.get(timeout=PATIENCE)
        if frame.headers.get("browser") == "end":
            return {"seen": seen}
        seen.append(frame.body)


def wrong_password():
    connection = KINDS[VERSION]([("127.0.0.1", PORT)], reconnect_attempts_max=1)
    listener = Listener()
    connection.set_listener("", listener)
    try:
        connection.connect("alice", "guess", wait=True)
    except stomp.exception.ConnectFailedException:
        frame = listener.errors.get(timeout=PATIENCE)
        return {"error": frame.headers["message"], "body": frame.body}
    return {"error": None}


def wrong_destination():
    connection, listener = connect()
    connection.send("/nowhere/a", "x")
    return {"error": listener.errors.get(timeout=PATIENCE).headers["message"]}


print(json.dumps(globals()[SCENARIO]()))
