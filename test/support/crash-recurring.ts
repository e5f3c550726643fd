import type { Scene } from "./crash-consumer.ts";
import { Link, type LinkFrame } from "./crash-link.ts";

const DESTINATION = "/queue/recurring";
const PIPELINE = 5;
/** What is sent at most in one life. */
const MESSAGES = 8;

/** A message that comes due several times; nothing tells one time from another. */
interface Series {
  readonly name: string;
  confirmed: boolean;
  readonly firstDue: number;
  readonly periodMs: number;
  readonly times: number;
  /** ACKs that were confirmed. */
  acked: number;
  /** ACKs of earlier lives that were not confirmed: some of them took effect. */
  doubtful: number;
  /** At the consumer, with no ACK confirmed, and those of them with an ACK sent. */
  held: number;
  ackSent: number;
}

/** Messages that come due several times, each time once. Lives longer than the broker. */
export class Recurring {
  private readonly all = new Map<string, Series>();
  private producer: Link | undefined = undefined;
  private consumer: Link | undefined = undefined;
  private left = 0;

  /** Sends and consumes them, until the broker is gone; the last time it sends none and leaves none lying. */
  async begin(scene: Scene, last = false): Promise<void> {
    for (const series of this.all.values()) {
      series.doubtful += series.ackSent;
      series.held = 0;
      series.ackSent = 0;
    }
    this.left = last ? 0 : MESSAGES;
    const refused = ({ command, body }: LinkFrame): void => {
      scene.model.problems.push(`a producer of messages that recur was told ${command}: ${body}`);
    };
    this.producer = await Link.open(scene.port, { frame: refused, handled: () => this.send(scene) });
    this.consumer = await Link.open(scene.port, { frame: (frame) => this.onFrame(scene, frame, last) });
    this.consumer?.send("SUBSCRIBE", { id: "1", destination: DESTINATION, ack: "client-individual" });
    this.send(scene);
  }

  async closed(): Promise<void> {
    await Promise.all([this.producer?.closed, this.consumer?.closed]);
  }

  /** What must still come. */
  outstanding(): string[] {
    const open = [...this.all.values()].filter(({ confirmed, acked, doubtful, times }) => {
      return confirmed && acked + doubtful < times;
    });
    return open.map(({ name, acked, doubtful, times }) => {
      return `${name}, due ${times} times, of which ${acked} were settled and ${doubtful} may have been,`;
    });
  }

  private send({ random, model }: Scene): void {
    const { producer } = this;
    if (producer === undefined) return;
    while (this.left > 0 && producer.unconfirmed < PIPELINE) {
      this.left--;
      const [delay, periodMs, repeats] = [random.below(600), 50 + random.below(500), 1 + random.below(3)];
      const series: Series = {
        name: `recurring ${this.all.size}`,
        confirmed: false,
        firstDue: Date.now() + delay,
        periodMs,
        times: repeats + 1,
        acked: 0,
        doubtful: 0,
        held: 0,
        ackSent: 0,
      };
      this.all.set(series.name, series);
      const timing = {
        AMQ_SCHEDULED_DELAY: String(delay),
        AMQ_SCHEDULED_PERIOD: String(periodMs),
        AMQ_SCHEDULED_REPEAT: String(repeats),
      };
      producer.ask("SEND", { destination: DESTINATION, persistent: "true", ...timing }, series.name, () => {
        series.confirmed = true;
        model.confirmed++;
      });
    }
  }

  private onFrame({ model, random }: Scene, { command, headers, body }: LinkFrame, last: boolean): void {
    const series = this.all.get(body);
    if (command !== "MESSAGE" || series === undefined) {
      model.problems.push(`a consumer of messages that recur was given a ${command}: ${body}`);
      return;
    }
    series.held++;
    const { acked, held, firstDue, periodMs, times } = series;
    const due = Math.min(times, Math.floor((Date.now() - firstDue) / periodMs) + 1);
    if (acked + held > due)
      model.problems.push(`${series.name} came ${acked + held} times by now, was due ${due} times`);
    if (!last && random.chance(0.2)) return;
    series.ackSent++;
    this.consumer?.ask("ACK", { id: headers.get("ack") ?? "" }, "", () => {
      model.settled++;
      series.acked++;
      series.held--;
      series.ackSent--;
    });
  }
}
