import { Type } from "typebox";
import { CLOSED, flag, names } from "./field.ts";

/** Whose header of the PROXY protocol is believed on a listener. */
export const proxyProtocol = Type.Object(
  {
    trusted: names(
      'Addresses of proxies, such as "10.0.0.5" or "10.0.0.0/8", whose header says where a connection comes from. Who has ' +
        "another address and sends one is refused.",
    ),
    required: flag(false, "Whether nobody but these proxies may connect, and none without a header."),
  },
  { ...CLOSED, description: "The PROXY protocol, version 1 and 2: where connections through proxies come from." },
);

/** Whose X-Forwarded-For is believed. */
export const trustedProxies = names(
  'Addresses of proxies, such as "10.0.0.5" or "10.0.0.0/8", whose header X-Forwarded-For says where a request comes from.',
);
