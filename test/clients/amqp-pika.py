"""Plays one scenario with pika and prints what came of it as JSON.

usage: python3 amqp-pika.py SCENARIO PORT
"""

import json
import sys
import time

import pika

SCENARIO, PORT = sys.argv[1], int(sys.argv[2])
PATIENCE = 10


def connect(password="secret", **options):
    credentials = pika.PlainCredentials("alice", password)
    return pika.BlockingConnection(
        pika.ConnectionParameters("127.0.0.1", PORT, credentials=credentials, **options)
    )


def get(channel, queue, **options):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        method, properties, body = channel.basic_get(queue, **options)
        if method is not None:
            return method, properties, body
        time.sleep(0.02)
    raise TimeoutError(queue)


def text():
    channel = connect().channel()
    channel.queue_declare("py", durable=True)
    channel.confirm_delivery()
    properties = pika.BasicProperties(
        content_type="text/plain", delivery_mode=2, headers={"wave": "\U0001f30a", "list": [1, True]}, message_id="m"
    )
    channel.basic_publish("", "py", "gr\u00fc\u00dfe".encode(), properties, mandatory=True)
    method, got, body = get(channel, "py", auto_ack=True)
    return {
        "body": body.decode(),
        "headers": got.headers,
        "id": got.message_id,
        "mode": got.delivery_mode,
        "key": method.routing_key,
        "left": method.message_count,
    }


def large():
    channel = connect().channel()
    channel.queue_declare("py")
    body = bytes(range(256)) * 4096
    channel.basic_publish("", "py", body)
    return {"same": get(channel, "py", auto_ack=True)[2] == body}


def consume():
    channel = connect().channel()
    channel.queue_declare("py")
    channel.basic_qos(prefetch_count=10)
    for number in range(100):
        channel.basic_publish("", "py", str(number))
    bodies = []
    for method, _, body in channel.consume("py", inactivity_timeout=PATIENCE):
        bodies.append(int(body))
        channel.basic_ack(method.delivery_tag)
        if len(bodies) == 100:
            break
    given_back = channel.cancel()
    return {"bodies": bodies == list(range(100)), "back": given_back}


def unroutable():
    channel = connect().channel()
    channel.confirm_delivery()
    try:
        channel.basic_publish("amq.topic", "nowhere", b"a", mandatory=True)
    except pika.exceptions.UnroutableError as error:
        return {"returned": [message.body.decode() for message in error.messages]}
    return {}


def refused():
    channel = connect().channel()
    channel.queue_declare("py", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    channel.confirm_delivery()
    channel.basic_publish("", "py", b"a")
    try:
        channel.basic_publish("", "py", b"b")
    except pika.exceptions.NackError:
        return {"refused": True}
    return {}


def bindings():
    channel = connect().channel()
    channel.exchange_declare("ex", "topic")
    channel.exchange_declare("all", "fanout")
    channel.exchange_bind("ex", "all")
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "ex", "a.*")
    channel.basic_publish("all", "a.b", b"by way of another")
    channel.basic_publish("ex", "b.b", b"no")
    method, _, body = get(channel, queue, auto_ack=True)
    channel.queue_unbind(queue, "ex", "a.*")
    channel.exchange_unbind("ex", "all")
    channel.exchange_delete("ex")
    return {"body": body.decode(), "exchange": method.exchange, "key": method.routing_key}


def transactions():
    channel = connect().channel()
    channel.queue_declare("py")
    channel.tx_select()
    channel.basic_publish("", "py", b"lost")
    channel.tx_rollback()
    channel.basic_publish("", "py", b"kept")
    channel.tx_commit()
    return {"bodies": [get(channel, "py", auto_ack=True)[2].decode()], "empty": channel.basic_get("py")[0] is None}


def headers():
    channel = connect().channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "amq.headers", arguments={"x-match": "any", "color": "red", "size": 5})
    for given in ({"color": "blue", "size": 4}, {"color": "blue", "size": 5}):
        channel.basic_publish("amq.headers", "", json.dumps(given), pika.BasicProperties(headers=given))
    return json.loads(get(channel, queue, auto_ack=True)[2])


def mistake():
    connection = connect()
    channel = connection.channel()
    try:
        channel.queue_declare("missing", passive=True)
    except pika.exceptions.ChannelClosedByBroker as error:
        return {"code": error.reply_code, "text": error.reply_text, "open": connection.channel().is_open}
    return {}


def wrong_password():
    try:
        connect("wrong")
    except pika.exceptions.ProbableAuthenticationError as error:
        return {"error": str(error)}
    return {}


def heartbeats():
    connection = connect(heartbeat=1)
    channel = connection.channel()
    connection.sleep(4)
    return {"open": channel.is_open}


print(json.dumps(globals()[SCENARIO]()))
