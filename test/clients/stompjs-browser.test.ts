import type * as stompjs from "@stomp/stompjs";
import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { BROWSER_MISSING, usePages } from "./page.ts";

declare global {
  /** What stomp.umd.min.js makes in a page. */
  var StompJs: typeof stompjs;
}

/** What a scenario in the page tells: what it received, or why it was refused. */
interface Outcome {
  readonly version?: string | undefined;
  readonly bodies: readonly string[];
  /** The header `wave` of the first message. */
  readonly wave?: string | undefined;
  readonly error?: string | undefined;
}

const bytes = (text: string): string => [...Buffer.from(text)].join(" ");

/** In a page: subscribes to /topic/news durably and sends to it; resolves to the first message. */
const subscribe = (url: string): Promise<string> =>
  new Promise((resolve) => {
    const client = new StompJs.Client({ brokerURL: url, reconnectDelay: 0 });
    client.onConnect = () => {
      client.watchForReceipt("subscribed", () => {
        client.publish({ destination: "/topic/news", body: "sent while subscribed" });
      });
      client.subscribe("/topic/news", (message) => resolve(message.body), {
        id: "page",
        persistent: "true",
        receipt: "subscribed",
      });
    };
    client.activate();
  });

describe.skipIf(BROWSER_MISSING !== "")(`stompjs in Chromium${BROWSER_MISSING}`, () => {
  const pages = usePages("@stomp/stompjs/bundles/stomp.umd.min.js");
  const allowed = (): string => `listeners.stomp.websocket.origins=[${pages().origin}]`;

  it.each(["1.0", "1.1", "1.2"])("speaks STOMP %s: text, bytes, acknowledgements, transactions", async (version) => {
    const { port, server } = await startBroker([allowed(), "security.users.alice.password=secret"]);
    const page = await pages().open();
    const outcome = await page.evaluate(
      ([url, chosen]) =>
        new Promise<Outcome>((resolve) => {
          const bodies: string[] = [];
          let wave: string | undefined;
          const client = new StompJs.Client({
            brokerURL: url ?? "",
            connectHeaders: { login: "alice", passcode: "secret" },
            stompVersions: new StompJs.Versions([chosen ?? ""]),
            reconnectDelay: 0,
          });
          client.onStompError = (frame) => resolve({ bodies, wave, error: frame.headers["message"] });
          client.onConnect = () => {
            client.subscribe(
              "/queue/from.page",
              (message) => {
                message.ack();
                bodies.push(message.binaryBody.join(" "));
                wave ??= message.headers["wave"];
                if (bodies.length < 3) return;
                const connectedVersion = client.connectedVersion;
                client.onDisconnect = () => resolve({ version: connectedVersion, bodies, wave });
                void client.deactivate();
              },
              { ack: "client-individual" },
            );
            const aborted = client.begin();
            client.publish({ destination: "/queue/from.page", body: "no", headers: { transaction: aborted.id } });
            aborted.abort();
            client.publish({ destination: "/queue/from.page", body: "ü\u{1f30a}", headers: { wave: "\u{1f30a}" } });
            client.publish({ destination: "/queue/from.page", binaryBody: new Uint8Array([0, 255, 0, 10, 128]) });
            const committed = client.begin();
            client.publish({ destination: "/queue/from.page", body: "tx", headers: { transaction: committed.id } });
            committed.commit();
          };
          client.activate();
        }),
      [`ws://127.0.0.1:${port}`, version],
    );
    expect(outcome.error).toBeUndefined();
    expect(outcome.version).toBe(version);
    expect(outcome.bodies).toEqual([bytes("ü\u{1f30a}"), "0 255 0 10 128", bytes("tx")]);
    expect(outcome.wave).toBe("\u{1f30a}");
    expect(server.broker.host(undefined)?.queues.get("from.page")?.count).toBe(0);
  });

  it("receives a megabyte, a retained message and what a wildcard matches, and lives by heart-beats", async () => {
    const settings = ["stomp.heart_beat.send=200ms", "stomp.heart_beat.receive=200ms", "stomp.heart_beat.grace=10"];
    const { port } = await startBroker([allowed(), ...settings]);
    const page = await pages().open();
    const outcome = await page.evaluate(
      (url) =>
        new Promise<Outcome & { beats: number; lost: boolean }>((resolve) => {
          const bodies: string[] = [];
          let beats = 0;
          let lost = false;
          const client = new StompJs.Client({
            brokerURL: url,
            reconnectDelay: 0,
            heartbeatIncoming: 200,
            heartbeatOutgoing: 200,
          });
          client.onHeartbeatLost = () => {
            lost = true;
          };
          client.onHeartbeatReceived = () => {
            if (++beats === 10) client.publish({ destination: "/topic/a.last", body: "last" });
          };
          client.onConnect = () => {
            client.publish({ destination: "/topic/a.state", body: "kept", headers: { retain: "set" } });
            client.subscribe("/topic/a.*", (message) => {
              bodies.push(message.body.length > 100 ? String(message.body.length) : message.body);
              if (message.body === "last") resolve({ bodies, beats, lost });
            });
            client.publish({ destination: "/topic/a.big", body: "x".repeat(1 << 20) });
            client.publish({ destination: "/topic/b.other", body: "unheard" });
          };
          client.activate();
        }),
      `ws://127.0.0.1:${port}`,
    );
    expect(outcome.bodies).toEqual(["kept", String(1 << 20), "last"]);
    expect(outcome.lost).toBe(false);
  });

  it("comes back to its durable subscription after its page was closed", async () => {
    const { port } = await startBroker([allowed()]);
    const first = await pages().open();
    await first.evaluate(subscribe, `ws://127.0.0.1:${port}`);
    await first.close();
    const sender = await pages().open();
    await sender.evaluate(
      (url) =>
        new Promise<void>((resolve) => {
          const client = new StompJs.Client({ brokerURL: url, reconnectDelay: 0 });
          client.onConnect = () => {
            client.watchForReceipt("sent", () => resolve());
            client.publish({ destination: "/topic/news", body: "sent meanwhile", headers: { receipt: "sent" } });
          };
          client.activate();
        }),
      `ws://127.0.0.1:${port}`,
    );
    const second = await pages().open();
    expect(await second.evaluate(subscribe, `ws://127.0.0.1:${port}`)).toBe("sent meanwhile");
  });

  it("shows the page why it was refused: a wrong password", async () => {
    const { port } = await startBroker([allowed(), "security.users.alice.password=secret"]);
    const page = await pages().open();
    const error = await page.evaluate(
      (url) =>
        new Promise<string | undefined>((resolve) => {
          const connectHeaders = { login: "alice", passcode: "guess" };
          const client = new StompJs.Client({ brokerURL: url, connectHeaders, reconnectDelay: 0 });
          client.onStompError = (frame) => resolve(frame.headers["message"]);
          client.activate();
        }),
      `ws://127.0.0.1:${port}`,
    );
    expect(error).toMatch(/user name or the password/);
  });

  it("is refused in a page of an origin that is not allowed", async () => {
    const { port, log } = await startBroker(["listeners.stomp.websocket.origins=[https://shop.example]"]);
    const page = await pages().open();
    const opened = await page.evaluate(
      (url) =>
        new Promise<boolean>((resolve) => {
          const socket = new WebSocket(url, ["v12.stomp"]);
          socket.addEventListener("open", () => resolve(true));
          socket.addEventListener("error", () => resolve(false));
        }),
      `ws://127.0.0.1:${port}`,
    );
    expect(opened).toBe(false);
    expect(log.join("")).toContain("listeners.stomp.websocket.origins");
  });
});
