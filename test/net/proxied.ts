import { connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** What begins a header of version 2. */
export const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

/** A header of version 2. */
export function binaryHeader(command: number, family: number, rest: Buffer): Buffer {
  const fixed = Buffer.from([0x20 | command, family, rest.length >> 8, rest.length & 255]);
  return Buffer.concat([SIGNATURE, fixed, rest]);
}

/** A header of either version for a connection from 203.0.113.7:50312. */
export function headerFor(version: 1 | 2): Buffer {
  if (version === 1) return Buffer.from("PROXY TCP4 203.0.113.7 192.0.2.1 50312 1883\r\n");
  return binaryHeader(
    1,
    0x11,
    Buffer.from([203, 0, 113, 7, 192, 0, 2, 1, 50_312 >> 8, 50_312 & 255, 1883 >> 8, 1883 & 255]),
  );
}

/** A proxy in front of a port that sends this header first; resolves to its own port. */
export function startProxy(port: number, header: Buffer): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const behind = connect(port, "127.0.0.1");
    behind.write(header);
    client.pipe(behind).pipe(client);
    for (const socket of [client, behind]) {
      sockets.add(socket);
      socket.on("error", () => {
        client.destroy();
        behind.destroy();
      });
    }
  });
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return new Promise((resolve, reject) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (typeof address === "object" && address !== null) resolve(address.port);
      else reject(new Error("The proxy has no port"));
    });
  });
}
