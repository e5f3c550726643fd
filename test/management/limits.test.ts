import { connect, type Socket } from "node:net";
import { expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startManagement } from "../support/management.ts";
import { StompWire } from "../support/stomp-wire.ts";
import { Wire } from "../support/wire.ts";

const API = "/api/v1";
const LOGIN = { login: "admin", passcode: "secret" };

it("tells who waits for which limit, and how often that was so", async () => {
  const limits = "limits=[{per: user, messages_in: 1}, {per: address, connections: 2}]";
  const api = await startManagement([limits]);
  using client = await StompWire.connect(api.broker.port, { headers: LOGIN });
  expect((await api.get(`${API}/connections?f=limited_by`)).body).toMatchObject({ items: [{ limited_by: null }] });
  await client.wire.send("SEND\ndestination:/queue/a\n\nhello\0".repeat(50));
  await eventually(async () => {
    const { body } = await api.get(`${API}/limits/subjects?q=throttled&o=-owed_in`);
    expect(body).toMatchObject({
      total_rows: 1,
      items: [{ limit: "limits[0]", per: "user", subject: "admin", connections: 1, throttled: true, owed_out: 0 }],
    });
  });
  const held = await api.get(`${API}/connections?q=limited_by LIKE 'limits%25'&f=user,limited_by,waiting_on`);
  expect(held.body).toMatchObject({ items: [{ user: "admin", limited_by: "limits[0] (per user)" }] });
  using second = await StompWire.connect(api.broker.port, { headers: LOGIN });
  using third = await StompWire.open(api.broker.port);
  await third.sendPlain("CONNECT", { "accept-version": "1.2", host: "localhost", ...LOGIN });
  await third.refused();
  const waited: unknown = expect.toSatisfy((waits: number) => waits > 0);
  expect((await api.get(`${API}/limits`)).body).toMatchObject([
    { key: "limits[0]", per: "user", messages_in: 1, refused: 0, waits: waited, waiting: 1 },
    { key: "limits[1]", per: "address", refused: 1, waits: 0, waiting: 0 },
  ]);
  const metrics = (await api.get("/metrics")).body;
  expect(metrics).toEqual(expect.stringContaining('delos_limit_refused_total{per="address"} 1'));
  expect(metrics).toEqual(expect.stringContaining('delos_limit_waiting_connections{per="user"} 1'));
  client.wire.reset();
  await eventually(async () => {
    expect((await api.get(`${API}/limits`)).body).toMatchObject([{ waiting: 0 }, {}]);
  });
  await second.request("DISCONNECT", {});
});

it("counts what listeners refuse, by the reason", async () => {
  const settings = ["proxy_protocol.trusted=[192.0.2.1]", "websocket.origins=[]"];
  const api = await startManagement([
    "detection.timeout=300ms",
    ...settings.map((setting) => `listeners.stomp.${setting}`),
    "listeners.stomp.connect_rate=1",
  ]);
  const { port } = api.broker;
  using first = await StompWire.connect(port, { headers: LOGIN });
  const told: [string, string][] = [
    ["websocket", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["websocket", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://b\r\n\r\n"],
    ["tls", "\x16\x03\x01\x00"],
    ["protocol", "nobody speaks like this"],
    ["proxy", "PROXY TCP4 203.0.113.7 192.0.2.1 1 2\r\n"],
    ["timeout", ""],
  ];
  for (const [, bytes] of told) {
    using wire = await Wire.connect(port);
    await wire.send(Buffer.from(bytes, "latin1"));
    await wire.closed();
  }
  const burst: Socket[] = Array.from({ length: 3 }, () => connect(port, "127.0.0.1"));
  for (const socket of burst) socket.on("error", () => {}).write("CONNECT\naccept-version:1.2\nhost:/\n\n\0");
  await eventually(async () => {
    const { body } = await api.get(`${API}/listeners/stomp`);
    const counted = { full: 0, proxy: 1, tls: 1, websocket: 2, protocol: 1, timeout: 1 };
    expect(body).toMatchObject({ refused: counted });
    expect(body).not.toMatchObject({ refused: { limits: 0 } });
  });
  const line = 'delos_listener_refused_total{listener="stomp",cause="websocket"} 2';
  expect((await api.get("/metrics")).body).toEqual(expect.stringContaining(line));
  for (const socket of burst) socket.destroy();
  await first.request("DISCONNECT", {});
});
