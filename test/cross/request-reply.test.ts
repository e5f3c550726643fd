import { describe, expect, it } from "vitest";
import { AmqpWire } from "../support/amqp091-wire.ts";
import { startBroker } from "../support/broker.ts";
import { ANSWERERS, ASKERS } from "./request-reply.ts";

const QUESTIONS = ["one", "two", "three"];

describe.each(ASKERS)("who asks by $name", (asker) => {
  it.each(ANSWERERS)("is answered by $name", async (answerer) => {
    const { port } = await startBroker();
    await answerer.start(port);
    const answers = await asker.ask(port, QUESTIONS);
    expect(answers).toEqual(
      QUESTIONS.map((question, index) => ({ body: question.toUpperCase(), correlation: asker.correlation(index) })),
    );
  });
});

describe("an answer to the default exchange", () => {
  it("goes to the queue of that name where there is one, whatever else the name could mean", async () => {
    const { port } = await startBroker();
    using wire = await AmqpWire.channel(port);
    for (const name of ["/topic/a", "/exchange/amq.fanout/a", "/queue/a"]) {
      await wire.declare(name);
      await wire.publish("", name, "x");
      expect(await wire.get(name)).toMatchObject({ body: "x", method: { exchange: "", routingKey: name } });
    }
  });

  it("that names an exchange which is not there closes the channel", async () => {
    const { port } = await startBroker();
    using wire = await AmqpWire.channel(port);
    await wire.publish("", "/exchange/none/key", "x");
    expect(await wire.expect("channel.close")).toMatchObject({ replyCode: 404 });
  });
});
