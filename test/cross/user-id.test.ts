import { describe, expect, it } from "vitest";
import { connectRhea, once, openReceiver, openSender, send } from "../clients/rhea-client.ts";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { startBroker } from "../support/broker.ts";
import { StompWire } from "../support/stomp-wire.ts";

describe("the user-id of a message", () => {
  it("that names somebody else is refused, by AMQP 1.0 and by 0-9-1", async () => {
    const { port } = await startBroker();
    const connection = connectRhea(port);
    for (const target of ["q", { address: "queue://q,queue://r" }]) {
      const sender = await openSender(connection, typeof target === "string" ? target : { target });
      const refused = once(sender, "rejected");
      sender.send({ user_id: "somebody", body: "x" });
      const { delivery } = await refused;
      expect(delivery?.remote_state).toMatchObject({ error: { condition: "amqp:unauthorized-access" } });
    }
    using client = await AmqpWire.channel(port);
    await client.publish("", "q", "x", { userId: "somebody" });
    expect(await client.expect("channel.close")).toMatchObject({ replyCode: 406 });
    using stomp = await StompWire.connect(port);
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/queue/q" });
    await stomp.request("SEND", { destination: "/queue/q" }, "mine");
    expect(await stomp.bodies(1)).toEqual(["mine"]);
  });

  it("that names the sender goes to all protocols that have a place for it", async () => {
    const { port } = await startBroker();
    const connection = connectRhea(port);
    const sender = await openSender(connection, "topic://t");
    const inbox = await openReceiver(connection, "topic://t");
    using stomp = await StompWire.connect(port);
    await stomp.request("SUBSCRIBE", { id: "1", destination: "/topic/t" });
    using client = await AmqpWire.channel(port);
    const queue = await client.declare("");
    await client.ask(1, "queue.bind", { queue, exchange: "amq.topic", routingKey: "t" }, "queue.bind-ok");
    await client.consume(queue, { noAck: true });
    await send(sender, { user_id: "guest", body: "1" });
    expect(String((await inbox.next()).message?.user_id)).toBe("guest");
    expect((await stomp.message()).headers.get("JMSXUserID")).toBe("guest");
    expect((await client.delivery()).properties.userId).toBe("guest");
    await client.publish("amq.topic", "t", "2", { userId: "guest" });
    expect(String((await inbox.next()).message?.user_id)).toBe("guest");
    expect((await stomp.message()).headers.get("JMSXUserID")).toBe("guest");
  });
});
