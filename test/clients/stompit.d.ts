/** What is used here of a library that has no declarations of its own. */
declare module "stompit" {
  import type { EventEmitter } from "node:events";
  import type { Readable, Writable } from "node:stream";

  export type Headers = Record<string, string | number | boolean | undefined>;

  export interface SendOptions {
    onReceipt?: () => void;
    onError?: (error: Error) => void;
  }

  export interface IncomingFrame extends Readable {
    readonly headers: Readonly<Record<string, string>>;
  }

  export interface Transaction {
    readonly id: number | string;
    send(headers: Headers, options?: SendOptions): Writable;
    commit(options?: SendOptions): void;
    abort(options?: SendOptions): void;
  }

  export interface Subscription {
    unsubscribe(headers?: Headers): void;
  }

  export interface Client extends EventEmitter {
    readonly headers: Readonly<Record<string, string>>;
    sendFrame(command: string, headers: Headers, options?: SendOptions): Writable;
    send(headers: Headers, options?: SendOptions): Writable;
    subscribe(headers: Headers, listener: (error: Error | null, message: IncomingFrame) => void): Subscription;
    begin(headers?: Headers): Transaction;
    ack(message: IncomingFrame, headers?: Headers, options?: SendOptions): void;
    nack(message: IncomingFrame, headers?: Headers, options?: SendOptions): void;
    disconnect(callback?: (error: Error | null) => void): void;
    destroy(error?: Error): void;
  }

  export interface ConnectOptions {
    host: string;
    port: number;
    connectHeaders?: Headers;
    noDelay?: boolean;
    /** TLS, with the options of `tls.connect`. */
    ssl?: boolean;
    ca?: string;
  }

  const stompit: {
    connect(options: ConnectOptions, listener: (error: Error | null, client: Client) => void): Client;
  };
  export default stompit;
}
