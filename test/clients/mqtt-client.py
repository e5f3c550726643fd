"""Plays one scenario with paho-mqtt and prints what came of it as JSON.

usage: python3 mqtt-client.py SCENARIO PORT VERSION TRANSPORT [CA CERTIFICATE KEY]

With files of certificates it speaks TLS.
"""

import json
import queue
import sys

from paho.mqtt import client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

SCENARIO, PORT, VERSION, TRANSPORT = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
PROTOCOL = {"3.1": mqtt.MQTTv31, "3.1.1": mqtt.MQTTv311, "5.0": mqtt.MQTTv5}[VERSION]
FIVE = PROTOCOL == mqtt.MQTTv5
FILES = sys.argv[5:]
PATIENCE = 10


class Client:
    """A connection with a thread of its own."""

    def __init__(self, name="", keep=False, will=None, password="secret"):
        self.messages = queue.Queue()
        self.acks = queue.Queue()
        self.connects = queue.Queue()
        self.disconnects = queue.Queue()
        options = {} if FIVE else {"clean_session": not keep}
        name = name or f"paho-{id(self)}"
        self.paho = mqtt.Client(client_id=name, protocol=PROTOCOL, transport=TRANSPORT, **options)
        self.paho.username_pw_set("alice", password)
        self.paho.on_message = lambda _client, _data, message: self.messages.put(message)
        self.paho.on_connect = lambda _client, _data, flags, code, *_: self.connects.put((flags, code))
        self.paho.on_disconnect = lambda _client, _data, code, *_: self.disconnects.put(code)
        self.paho.on_subscribe = lambda _client, _data, _mid, codes, *_: self.acks.put(codes)
        self.paho.on_unsubscribe = lambda *_: self.acks.put(None)
        if will is not None:
            self.paho.will_set(*will)
        if FILES:
            self.paho.tls_set(*FILES)
        more = {}
        if FIVE:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 1000 if keep else 0
            more = {"clean_start": not keep, "properties": properties}
        self.paho.connect("127.0.0.1", PORT, **more)
        self.paho.loop_start()
        flags, code = self.connects.get(timeout=PATIENCE)
        self.present = bool(flags["session present"])
        self.code = int(getattr(code, "value", code))

    def subscribe(self, topic, qos=1):
        self.paho.subscribe(topic, options=SubscribeOptions(qos=qos)) if FIVE else self.paho.subscribe(topic, qos)
        return [int(getattr(code, "value", code)) for code in self.acks.get(timeout=PATIENCE)]

    def unsubscribe(self, topic):
        self.paho.unsubscribe(topic)
        self.acks.get(timeout=PATIENCE)

    def publish(self, topic, body, qos=1, retain=False, properties=None):
        more = {"properties": properties} if FIVE else {}
        info = self.paho.publish(topic, body, qos, retain, **more)
        info.wait_for_publish(PATIENCE)

    def take(self, count=1):
        return [self.messages.get(timeout=PATIENCE) for _ in range(count)]

    def bodies(self, count):
        return [message.payload.decode() for message in self.take(count)]

    def stop(self):
        self.paho.disconnect()
        self.disconnects.get(timeout=PATIENCE)
        self.paho.loop_stop()

    def crash(self):
        """Closes the connection without a word."""
        self.paho.loop_stop()
        self.paho._sock_close()


def qualities():
    client = Client()
    outcome = {}
    for qos in (0, 1, 2):
        granted = client.subscribe(f"q/{qos}", qos)
        got = []
        for body in ("grüße \U0001f30a".encode(), b"a\0b\xff\n", b"", b"0123456789abcde\0" * (1 << 16)):
            client.publish(f"q/{qos}", body, qos)
            message = client.take()[0]
            got.append(message.payload == body and message.qos == qos and message.topic == f"q/{qos}")
        outcome[str(qos)] = {"granted": granted, "same": got}
    client.stop()
    return outcome


def retained():
    client = Client()
    client.publish("state/a", "on", retain=True)
    client.publish("state/b", "off", retain=True)
    client.publish("state/b", b"", retain=True)
    client.subscribe("state/+")
    first = client.take()[0]
    client.publish("state/a", "now", retain=True)
    second = client.take()[0]
    client.stop()
    return [[message.payload.decode(), bool(message.retain)] for message in (first, second)]


def will():
    watcher = Client()
    watcher.subscribe("will", 2)
    dying = Client(will=("will", "died", 2, True))
    leaving = Client(will=("will", "left", 2, True))
    leaving.stop()
    dying.crash()
    message = watcher.take()[0]
    watcher.unsubscribe("will")
    watcher.subscribe("will", 1)
    kept = watcher.take()[0]
    watcher.stop()
    return [[got.payload.decode(), got.qos, bool(got.retain)] for got in (message, kept)]


def session():
    first = Client("sensor", keep=True)
    first.subscribe("a/#", 2)
    first.stop()
    sender = Client()
    for number in range(20):
        sender.publish("a/b", str(number), 1 + number % 2)
    again = Client("sensor", keep=True)
    bodies = again.bodies(20)
    again.stop()
    clean = Client("sensor")
    clean.stop()
    sender.stop()
    # It hands over a message of QoS 2 when that is released, so those of QoS 1 overtake them.
    in_order = all([b for b in bodies if int(b) % 2 == odd] == [str(n) for n in range(odd, 20, 2)] for odd in (0, 1))
    return {"present": [first.present, again.present, clean.present], "inOrder": in_order}


def shared():
    members = [Client(), Client()]
    for member in members:
        member.subscribe("$share/crew/jobs")
    sender = Client()
    for number in range(40):
        sender.publish("jobs", str(number))
    got = []
    while len(got) < 40:
        for member in members:
            while not member.messages.empty():
                got.append(int(member.messages.get().payload))
    for client in (*members, sender):
        client.stop()
    return {"once": sorted(got) == list(range(40))}


def taken_over():
    first = Client("twin")
    second = Client("twin")
    code = first.disconnects.get(timeout=PATIENCE)
    first.paho.loop_stop()
    second.subscribe("a")
    second.publish("a", "mine")
    body = second.bodies(1)
    second.stop()
    return {"code": int(getattr(code, "value", code)) if FIVE else None, "second": body}


def wrong_password():
    client = Client(password="guess")
    client.paho.loop_stop()
    return {"code": client.code}


def properties():
    client = Client()
    client.subscribe("a")
    sent = Properties(PacketTypes.PUBLISH)
    sent.PayloadFormatIndicator = 1
    sent.ContentType = "text/plain"
    sent.ResponseTopic = "answers/me"
    sent.CorrelationData = b"\0\xff\x01"
    sent.MessageExpiryInterval = 1000
    sent.UserProperty = [("colour", "red"), ("colour", "blue"), ("\U0001f30a", "a: b\n")]
    client.publish("a", "x", properties=sent)
    got = client.take()[0].properties
    client.stop()
    return {
        "format": got.PayloadFormatIndicator,
        "type": got.ContentType,
        "response": got.ResponseTopic,
        "correlation": list(got.CorrelationData),
        "left": got.MessageExpiryInterval,
        "user": got.UserProperty,
    }


print(json.dumps(globals()[SCENARIO]()))
