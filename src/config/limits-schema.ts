import { Type } from "typebox";
import { CLOSED, choice, count, names, size } from "./field.ts";

const limit = Type.Object(
  {
    per: choice(
      ["user", "address", "listener", "virtual_host", "connection"],
      "user",
      "Whose connections count together: those of one user, of one address (of one /64 of IPv6), of one listener, of one " +
        "virtual host; or each connection by itself.",
    ),
    match: names(
      "Of whom this holds: names, in which * stands for any characters; of addresses also networks, such as 10.0.0.0/8. " +
        'With "per: connection", names of users. None: of everybody.',
    ),
    connections: count(
      0,
      "Connections at a time; one more is refused when it logs in. 0 is any number, here and below.",
      0,
    ),
    connect_rate: count(0, "Connections a second; more of them are refused when they log in.", 0),
    messages_in: count(0, "Messages a second that are sent to the broker.", 0),
    bytes_in: size("0", "Bytes a second that are sent to the broker."),
    messages_out: count(0, "Messages a second that are delivered.", 0),
    bytes_out: size("0", "Bytes a second that the broker sends."),
    exceeding: choice(
      ["wait", "disconnect"],
      "wait",
      "What becomes of who sends more: the broker reads from it no faster than it may send, or ends its connection. Who is " +
        "to be sent more waits in any case.",
    ),
  },
  { ...CLOSED, description: "How much somebody may do." },
);

/** How much each user, address, listener, virtual host or connection may do. */
export const limits = Type.Array(limit, {
  default: [],
  description:
    'How much connections, and those who make them, may do. For each kind of "per" the first entry holds whose "match" fits; ' +
    "entries of different kinds hold together.",
});
