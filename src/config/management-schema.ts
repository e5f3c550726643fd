import { Type } from "typebox";
import { CLOSED, count, duration, flag, names, size, text } from "./field.ts";
import { trustedProxies } from "./proxy-schema.ts";
import { listenerTls } from "./tls-schema.ts";

const apiKey = Type.Object(
  {
    hash: Type.String({
      default: "",
      writeOnly: true,
      pattern: "^(sha256\\$[0-9a-f]{64})?$",
      description: 'The hash of the key, as "delos api-key" prints it. Empty: nobody gets in by it.',
    }),
    groups: names("The groups that whoever shows the key is in, for access rules."),
  },
  { ...CLOSED, description: "A key that programs show instead of a user's password." },
);

/** Where operators reach the broker over HTTP. */
export const management = Type.Object(
  {
    enabled: flag(true, "Whether there is management over HTTP at all."),
    host: text("127.0.0.1", 'The address to listen on; "0.0.0.0" or "::" is every address of this machine.'),
    port: Type.Integer({
      default: 61_680,
      minimum: 0,
      maximum: 65_535,
      description: "The port to listen on; 0 takes a free one.",
    }),
    tls: listenerTls,
    cors_origins: names(
      'Origins whose pages may use the API from a browser, such as "https://ops.example"; "*" is any, without its ' +
        "cookies. None: only the pages that the broker itself serves.",
    ),
    trusted_proxies: trustedProxies,
    max_connections: count(1000, "Connections at a time."),
    max_body: size("16m", "Bytes in the body of one request.", 1024),
    request_timeout: duration("30s", "How long a client may take to send one request.", 1),
    max_wait: duration("60s", "How long a request may wait for a message at most."),
    sessions: Type.Object(
      {
        idle: duration("30m", "How long a session in a browser lasts without a request.", 1000),
        lifetime: duration("12h", "How long it lasts in all.", 1000),
        max: count(1000, "Sessions at a time; one more ends the one that was not used for the longest time."),
      },
      { ...CLOSED, description: "Who signed in to the console." },
    ),
    api_keys: Type.Record(Type.String(), apiKey, {
      default: {},
      description: "Keys for programs, by name. Access rules know a key as the user of that name.",
    }),
  },
  { ...CLOSED, description: "Management over HTTP: the console, the REST API, metrics." },
);
