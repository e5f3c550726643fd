"""Plays one scenario with Qpid Proton and prints what came of it as JSON.

usage: python3 proton-client.py SCENARIO PORT
"""

import json
import sys

from proton import ConnectionException, Message, Timeout, symbol
from proton.reactor import Container, Copy, DurableSubscription, Selector
from proton.handlers import MessagingHandler, TransactionHandler
from proton.utils import BlockingConnection, LinkDetached

SCENARIO, PORT = sys.argv[1], int(sys.argv[2])
URL = f"amqp://127.0.0.1:{PORT}"
PATIENCE = 10


def connect(**options):
    return BlockingConnection(URL, timeout=PATIENCE, **options)


def bodies():
    connection = connect()
    receiver = connection.create_receiver("q", credit=10)
    sender = connection.create_sender("q")
    sent = ["grüße \U0001f30a", 42, True, None, [1, "two"], {"a": 1}, b"\0\xff"]
    for body in sent:
        sender.send(Message(body=body))
    got = []
    for _ in sent:
        got.append(receiver.receive(timeout=PATIENCE).body)
        receiver.accept()
    received = [bytes(body) if isinstance(body, memoryview) else body for body in got]
    connection.close()
    return {"same": received == sent}


def properties():
    connection = connect()
    receiver = connection.create_receiver("q", credit=1)
    sender = connection.create_sender("q")
    sender.send(
        Message(
            body="x",
            id="m",
            correlation_id=7,
            subject="s",
            reply_to="queue://r",
            durable=True,
            priority=6,
            ttl=60,
            group_id="g",
            properties={"colour": "red", "size": 5},
            annotations={symbol("x-opt-mine"): "note"},
        )
    )
    message = receiver.receive(timeout=PATIENCE)
    connection.close()
    return {
        "id": message.id,
        "correlation": int(message.correlation_id),
        "subject": message.subject,
        "reply": message.reply_to,
        "durable": message.durable,
        "priority": message.priority,
        "expires": 0 < message.ttl <= 60,
        "group": message.group_id,
        "properties": dict(message.properties),
        "annotation": message.annotations["x-opt-mine"],
    }


def outcomes():
    connection = connect()
    sender = connection.create_sender("q")
    sender.send(Message(body="x"))
    receiver = connection.create_receiver("q", credit=1)
    first = receiver.receive(timeout=PATIENCE)
    receiver.release(delivered=False)
    receiver.flow(1)
    second = receiver.receive(timeout=PATIENCE)
    receiver.release(delivered=True)
    receiver.flow(1)
    third = receiver.receive(timeout=PATIENCE)
    receiver.reject()
    receiver.flow(1)
    try:
        receiver.receive(timeout=0.3)
        left = 1
    except Timeout:
        left = 0
    connection.close()
    return {"counts": [message.delivery_count for message in (first, second, third)], "left": left}


def selector():
    connection = connect()
    receiver = connection.create_receiver("topic://t", credit=10, options=Selector("colour = 'red'"))
    sender = connection.create_sender("topic://t")
    for colour in ("blue", "red"):
        sender.send(Message(body=colour, properties={"colour": colour}))
    body = receiver.receive(timeout=PATIENCE).body
    connection.close()
    return {"body": body}


def browse():
    connection = connect()
    sender = connection.create_sender("q")
    sender.send(Message(body="stays"))
    seen = connection.create_receiver("q", credit=1, options=Copy()).receive(timeout=PATIENCE).body
    taken = connection.create_receiver("q", credit=1, name="taker").receive(timeout=PATIENCE).body
    connection.close()
    return {"seen": seen, "taken": taken}


class Durable(MessagingHandler):
    """Receives one message of a durable subscription, or only makes it, and then detaches it."""

    def __init__(self, waits):
        super().__init__()
        self.waits = waits
        self.body = None

    def on_start(self, event):
        connection = event.container.connect(URL)
        self.receiver = event.container.create_receiver(
            connection, "topic://t", name="sub", options=DurableSubscription()
        )

    def on_link_opened(self, event):
        if not self.waits:
            self.end(event)

    def on_message(self, event):
        self.body = event.message.body
        self.accept(event.delivery)
        self.end(event)

    def end(self, event):
        self.receiver.detach()
        event.connection.close()


def durable():
    def run(waits):
        handler = Durable(waits)
        container = Container(handler)
        container.container_id = "proton"
        container.run()
        return handler.body

    run(False)
    connection = connect()
    connection.create_sender("topic://t").send(Message(body="meanwhile"))
    connection.close()
    return {"body": run(True)}


class Transactional(MessagingHandler, TransactionHandler):
    """Sends a message in a transaction that is aborted and one in another that is committed."""

    def __init__(self):
        super().__init__()
        self.ends = []

    def on_start(self, event):
        self.container = event.container
        self.connection = event.container.connect(URL)
        self.sender = event.container.create_sender(self.connection, "q")
        self.container.declare_transaction(self.connection, handler=self)

    def on_transaction_declared(self, event):
        body = "aborted" if not self.ends else "committed"
        event.transaction.send(self.sender, Message(body=body))
        if self.ends:
            event.transaction.commit()
        else:
            event.transaction.abort()

    def on_transaction_aborted(self, event):
        self.ends.append("aborted")
        self.container.declare_transaction(self.connection, handler=self)

    def on_transaction_committed(self, event):
        self.ends.append("committed")
        self.connection.close()


def transactions():
    handler = Transactional()
    Container(handler).run()
    connection = connect()
    body = connection.create_receiver("q", credit=1).receive(timeout=PATIENCE).body
    connection.close()
    return {"ends": handler.ends, "body": body}


def request():
    connection = connect()
    server = connection.create_receiver("requests", credit=1)
    replies = connection.create_receiver(None, credit=1, dynamic=True)
    sender = connection.create_sender("requests")
    sender.send(Message(body="ping", reply_to=replies.link.remote_source.address))
    question = server.receive(timeout=PATIENCE)
    server.accept()
    connection.create_sender(None).send(Message(body=f"{question.body}!", address=question.reply_to))
    body = replies.receive(timeout=PATIENCE).body
    connection.close()
    return {"body": body}


def large():
    connection = connect()
    receiver = connection.create_receiver("q", credit=1)
    body = b"0123456789" * 300_000
    connection.create_sender("q").send(Message(body=body))
    got = bytes(receiver.receive(timeout=PATIENCE).body)
    connection.close()
    return {"same": got == body}


def refused():
    connection = connect()
    try:
        connection.create_sender("queue://a/../{")
        said = None
    except LinkDetached as error:
        said = error.condition
    connection.close()
    return {"condition": said}


def login():
    def attempt(user, password, mechanism):
        try:
            connect(user=user, password=password, allowed_mechs=mechanism).close()
            return "in"
        except ConnectionException as error:
            return type(error).__name__

    return {
        "plain": attempt("alice", "secret", "PLAIN"),
        "scram": attempt("alice", "secret", "SCRAM-SHA-256"),
        "wrong": attempt("alice", "wrong", "PLAIN"),
    }


print(json.dumps(globals()[SCENARIO]()))
