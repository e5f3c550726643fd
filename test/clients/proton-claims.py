"""Logs in by a token, puts others to $cbs and prints the answers as JSON.

usage: python3 proton-claims.py PORT FIRST TOKEN ...
"""

import json
import sys

from proton import Message
from proton.utils import BlockingConnection

PORT, FIRST, OTHERS = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
PATIENCE = 10

connection = BlockingConnection(
    f"amqp://127.0.0.1:{PORT}", timeout=PATIENCE, user="ann", password=FIRST, allowed_mechs="PLAIN"
)
receiver = connection.create_receiver("$cbs", credit=5)
sender = connection.create_sender("$cbs")
answers = []
for number, token in enumerate(OTHERS, 1):
    said = {"operation": "put-token", "type": "jwt", "name": "broker"}
    sender.send(Message(id=str(number), body=token, properties=said))
    answer = receiver.receive(timeout=PATIENCE)
    answers.append({"status": answer.properties["status-code"], "id": answer.correlation_id})
connection.close()
print(json.dumps(answers))
