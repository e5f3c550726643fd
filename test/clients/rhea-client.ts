import rhea, {
  type Connection,
  type ConnectionOptions,
  type EventContext,
  type Message,
  type Receiver,
  type ReceiverOptions,
  type Sender,
  type SenderOptions,
} from "rhea";
import { onTestFinished } from "vitest";

/** What a connection is to have besides its port. */
export type RheaOptions =
  | (Omit<Partial<ConnectionOptions>, "transport"> & { readonly transport?: never })
  | {
      readonly transport: "tls";
      readonly ca: string[];
      readonly cert: string;
      readonly key: string;
      readonly enable_sasl_external: boolean;
    };

/** A connection of rhea, logged in as guest unless told otherwise; closed when the test is over. */
export function connectRhea(port: number, options: RheaOptions = {}): Connection {
  const container = rhea.create_container();
  const at = { host: "127.0.0.1", port, reconnect: false } as const;
  const connection =
    options.transport === "tls"
      ? container.connect({ ...at, ...options })
      : container.connect({ ...at, ...options, transport: "tcp" });
  // An error without a listener would be thrown.
  for (const event of ["connection_error", "disconnected", "session_error"]) connection.on(event, () => {});
  onTestFinished(() => connection.close());
  return connection;
}

/** The next event of an emitter. */
export function once(emitter: Connection | Sender | Receiver, event: string): Promise<EventContext> {
  return new Promise((resolve) => emitter.once(event, resolve));
}

/** A sender that has credit. */
export async function openSender(connection: Connection, options: string | SenderOptions): Promise<Sender> {
  const sender = connection.open_sender(options);
  sender.on("sender_error", () => {});
  await once(sender, "sendable");
  return sender;
}

/** A receiver, and what it has received. */
export interface Inbox {
  readonly receiver: Receiver;
  readonly contexts: EventContext[];
  /** The next message that nobody asked for yet. */
  next(): Promise<EventContext>;
}

/** A receiver that is attached. */
export async function openReceiver(connection: Connection, options: string | ReceiverOptions): Promise<Inbox> {
  const receiver = connection.open_receiver(options);
  const contexts: EventContext[] = [];
  const waiting: ((context: EventContext) => void)[] = [];
  let taken = 0;
  receiver.on("receiver_error", () => {});
  receiver.on("message", (context: EventContext) => {
    contexts.push(context);
    waiting.shift()?.(context);
  });
  const next = (): Promise<EventContext> => {
    const there = contexts[taken++];
    return there === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(there);
  };
  await once(receiver, "receiver_open");
  return { receiver, contexts, next };
}

/** Sends a message and says what becomes of it. */
export function send(sender: Sender, message: Message): Promise<string> {
  return new Promise((resolve) => {
    const { id } = sender.send(message);
    const outcomes = ["accepted", "rejected", "released", "modified"];
    const listeners = outcomes.map((outcome) => {
      const listener = ({ delivery }: EventContext): void => {
        if (delivery?.id !== id) return;
        for (const [event, other] of listeners) sender.removeListener(event, other);
        resolve(outcome);
      };
      sender.on(outcome, listener);
      return [outcome, listener] as const;
    });
  });
}
