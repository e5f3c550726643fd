import { describe, expect, it } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { Message } from "../../core/message.ts";
import { compileSelector } from "../../core/selector/selector.ts";
import { stompFormat } from "../../protocols/stomp/convert.ts";

const FRAME = Buffer.from(
  "message-id:m1\ndestination:/queue/a\ncontent-type:text/plain\ncorrelation-id:c1\ntype:order\nsize:10\n\nbody\0",
);

function message(): Message {
  const envelope = { address: new Address("queue", ["a"]), durable: true, priority: 7, expiresAt: 0, receivedAt: 0 };
  return new Message(stompFormat, envelope, FRAME, 0, FRAME.length, FRAME.length - 5, FRAME.length - 1);
}

describe("a selector on a STOMP message", () => {
  it.each([
    "content-type = 'text/plain'",
    "correlation-id = 'c1' AND JMSCorrelationID = 'c1'",
    "type = 'order' AND JMSType = 'order'",
    "message-id = 'm1'",
    "size BETWEEN 9 AND 11",
    "destination = '/queue/a'",
    "JMSPriority = 7 AND JMSDeliveryMode = 'PERSISTENT'",
  ])("may name any header: %s", (text) => {
    expect(compileSelector(text).matches(message())).toBe(true);
  });

  it("does not make headers with a meaning of their own into properties that travel on", () => {
    expect([...message().content.properties.keys()]).toEqual(["size"]);
  });
});
