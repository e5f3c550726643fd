import type { Login } from "../../core/access/access.ts";
import type { Exchange, Step } from "../../core/broker.ts";
import { BrokerError } from "../../core/errors.ts";

/** The mechanism's registered name. */
export const OAUTHBEARER = "OAUTHBEARER";

const MOST_BYTES = 20 * 1024;
const EXPECTED = "expected n,,^Aauth=Bearer TOKEN^A^A, where ^A is the byte 1";

/**
 * OAUTHBEARER, the server's side (RFC 7628): one message with a token. A failure is told by the protocol at once, not first
 * in a challenge that the client has to answer with nothing.
 */
export class BearerExchange implements Exchange {
  private readonly login: (user: string, token: string) => Promise<Login>;
  private asked = false;

  /** `login` checks a token for a user, empty for whoever the token is of. */
  constructor(login: (user: string, token: string) => Promise<Login>) {
    this.login = login;
  }

  async step(data: Buffer): Promise<Step> {
    if (data.length === 0 && !this.asked) {
      this.asked = true;
      return { done: false, data: Buffer.alloc(0) };
    }
    this.asked = true;
    const { user, token } = parse(data);
    const login = await this.login(user, token);
    if (user !== "" && login.user !== user) throw malformed(`The token is not one of user ${user}`);
    return { done: true, data: undefined, login };
  }
}

function parse(data: Buffer): { user: string; token: string } {
  if (data.length > MOST_BYTES) throw malformed(`A message of ${data.length} bytes; at most ${MOST_BYTES} are allowed`);
  const [header = "", ...pairs] = data.toString().split("\x01");
  const user = /^[ny],(?:a=([^,]*))?,$/.exec(header);
  if (user === null) throw malformed(`The message is malformed; ${EXPECTED}`);
  const token = pairs.map((pair) => /^auth=bearer +(\S+)$/i.exec(pair)?.[1]).find((found) => found !== undefined);
  if (token === undefined) throw malformed(`The message has no token; ${EXPECTED}`);
  return { user: (user[1] ?? "").replaceAll("=2C", ",").replaceAll("=3D", "="), token };
}

function malformed(text: string): BrokerError {
  return new BrokerError("not-authenticated", text);
}
