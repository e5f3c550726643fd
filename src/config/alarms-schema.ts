import { Type } from "typebox";
import { CLOSED, count, duration, flag, size } from "./field.ts";

/** When publishers have to wait because the broker as a whole runs short of something. */
export const alarms = Type.Object(
  {
    interval: duration(
      "250ms",
      "How often memory and disk are looked at; five times as often where little is left.",
      10,
    ),
    memory: size(
      "0",
      "Bytes of memory that the process may need before publishers wait, until it needs a twentieth less. 0: four fifths " +
        "of what the machine, or the container, has, and at least 96 MB less than that. They also wait when the heap of " +
        "JavaScript is nearly full.",
    ),
    disk_free: size(
      "512m",
      "Bytes free on the disk of store.directory below which publishers wait, until there is a quarter more. 0: never.",
    ),
  },
  {
    ...CLOSED,
    description: "Running short of memory or disk: publishers wait, as their protocols have it, and consumers go on.",
  },
);

/** What is told to Prometheus. */
export const metrics = Type.Object(
  {
    anonymous: flag(
      false,
      "Whether /metrics of management needs no login; otherwise it takes the right to monitor the broker, as " +
        "/metrics/per-object, which has names in it, always does.",
    ),
    max_objects: count(
      1000,
      "Queues, topics and durable subscriptions, of each so many, that /metrics/per-object tells of one by one.",
      0,
    ),
  },
  { ...CLOSED, description: "Metrics for Prometheus, at /metrics and /metrics/per-object of management." },
);
