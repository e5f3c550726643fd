import { Link } from "./crash-link.ts";

/** Takes everything out of a queue, in order: the bodies. The queue is empty after that. */
export async function takeAll(port: number, queue: string): Promise<string[]> {
  const destination = `/queue/${queue}`;
  const end = "the end";
  const bodies: string[] = [];
  let complete: (() => void) | undefined;
  const ended = new Promise<void>((resolve) => {
    complete = resolve;
  });
  const link = await Link.open(port, {
    frame: ({ body }) => {
      if (body === end) complete?.();
      else bodies.push(body);
    },
  });
  if (link === undefined) throw new Error("the broker is gone");
  await link.request("SUBSCRIBE", { id: "1", destination });
  link.send("SEND", { destination }, end);
  await Promise.race([ended, link.closed]);
  await link.request("UNSUBSCRIBE", { id: "1" });
  link.die();
  return bodies;
}
