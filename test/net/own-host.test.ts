import { request } from "node:http";
import { WebSocket } from "ws";
import { describe, expect, it } from "vitest";
import { meansThisHost } from "../../src/net/own-host.ts";
import { startBroker } from "../support/broker.ts";

describe("a request by the name of its host", () => {
  it.each([
    ["localhost:61680", "127.0.0.1", true],
    ["127.0.0.1:61680", "127.0.0.1", true],
    ["[::1]:61680", "::1", true],
    ["console.localhost", "::ffff:127.0.0.1", true],
    ["rebound.example:61680", "127.0.0.1", false],
    ["rebound.example", "::ffff:127.0.0.1", false],
    ["127.0.0.1.rebound.example", "127.0.0.1", false],
    ["localhost.:61680", "127.0.0.1", true],
    ["LOCALHOST", "127.0.0.1", true],
    ["[::ffff:7f00:1]:61680", "127.0.0.1", true],
    ["rebound.example.", "127.0.0.1", false],
    ["localhost.rebound.example", "127.0.0.1", false],
    ["not a host", "127.0.0.1", false],
    ["broker.example:61680", "192.0.2.7", true],
    [undefined, "127.0.0.1", true],
  ])("%s at %s: %s", (host, localAddress, means) => {
    expect(meansThisHost(host, localAddress)).toBe(means);
  });

  it("that was made to lead to this machine is refused by management", async () => {
    const { managementPort } = await startBroker(["management.enabled=true"]);
    expect(await statusFor(managementPort, "rebound.example")).toBe(421);
    expect(await statusFor(managementPort, "localhost")).toBe(200);
  });

  it("that was made to lead to this machine is no page of this host to WebSocket", async () => {
    const { port } = await startBroker();
    expect(await opens(port, "rebound.example")).toBe(403);
    expect(await opens(port, "localhost")).toBe(101);
  });
});

function statusFor(port: number, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path: "/livez", headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
}

function opens(port: number, host: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { host, origin: `http://${host}` } });
    socket.once("unexpected-response", (_request, response) => {
      resolve(response.statusCode);
      socket.terminate();
    });
    socket.on("error", () => {});
    socket.once("upgrade", (response) => {
      resolve(response.statusCode);
      socket.terminate();
    });
  });
}
