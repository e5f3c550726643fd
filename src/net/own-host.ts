import { isIP } from "node:net";
import { isLoopback } from "../security/addresses.ts";

/**
 * Whether a request over HTTP may be meant for this broker, by its Host header. What comes over the loopback under another
 * name than localhost or an address is from a web page whose name was made to lead here (DNS rebinding): to the browser it
 * is the broker's own page.
 */
export function meansThisHost(host: string | undefined, localAddress: string | undefined): boolean {
  if (host === undefined || localAddress === undefined || !isLoopback(localAddress)) return true;
  const name = (URL.parse(`http://${host}`)?.hostname ?? "").replace(/\.$/, "");
  return name === "localhost" || name.endsWith(".localhost") || isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0;
}
