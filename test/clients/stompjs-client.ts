import { Client, type IMessage, type StompConfig, Versions } from "@stomp/stompjs";
import { onTestFinished } from "vitest";
import { WebSocket } from "ws";

/** Connects as its documentation says for Node: by the WebSocket that `ws` provides. */
export async function connect(port: number, config: StompConfig = {}): Promise<Client> {
  const client = new Client({
    webSocketFactory: () =>
      new WebSocket(`ws://127.0.0.1:${port}`, new Versions(["1.2", "1.1", "1.0"]).protocolVersions()),
    reconnectDelay: 0,
    appendMissingNULLonIncoming: false,
    heartbeatIncoming: 0,
    heartbeatOutgoing: 0,
  });
  client.configure(config);
  onTestFinished(() => client.deactivate({ force: true }));
  await new Promise<void>((resolve, reject) => {
    client.onConnect = () => resolve();
    client.onStompError = (frame) => reject(new Error(frame.headers["message"]));
    client.onWebSocketError = reject;
    client.activate();
  });
  return client;
}

/** Waits for the receipt of what `act` sends. */
export function confirmed(client: Client, act: (receipt: string) => void): Promise<void> {
  const receipt = `receipt-${Math.random()}`;
  return new Promise((resolve) => {
    client.watchForReceipt(receipt, () => resolve());
    act(receipt);
  });
}

/** Subscribes, and gathers what comes. */
export async function collect(
  client: Client,
  destination: string,
  headers: Record<string, string> = {},
): Promise<IMessage[]> {
  const got: IMessage[] = [];
  await confirmed(client, (receipt) => {
    client.subscribe(destination, (message) => void got.push(message), { ...headers, receipt });
  });
  return got;
}
