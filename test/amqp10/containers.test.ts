import { expect, it } from "vitest";
import { Containers, type Received } from "../../protocols/amqp10/containers.ts";
import { ACCEPTED } from "../../protocols/amqp10/performatives.ts";

function received(count: number): Received {
  return new Map(Array.from({ length: count }, (_, tag) => [String(tag), ACCEPTED]));
}

it("remembers what links had received until it is asked for, once", () => {
  const containers = new Containers();
  containers.remember("a", received(3));
  expect(containers.recall("a")?.size).toBe(3);
  expect(containers.recall("a")).toBeUndefined();
});

it("remembers no more than so many deliveries of all links together, the latest", () => {
  const containers = new Containers();
  for (let link = 0; link < 300; link++) containers.remember(`link ${link}`, received(1000));
  // The same link again counts once.
  for (let times = 0; times < 300; times++) containers.remember("link 299", received(1000));
  const there = Array.from({ length: 300 }, (_, link) => containers.recall(`link ${link}`)?.size ?? 0);
  expect(there.filter((size) => size > 0)).toHaveLength(100);
  expect(there.slice(200).every((size) => size === 1000)).toBe(true);
  containers.remember("after", received(99_999));
  containers.remember("small", received(1));
  expect(containers.recall("after")?.size).toBe(99_999);
});
