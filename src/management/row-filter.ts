import { Address } from "../../core/addresses/address.ts";
import { BrokerError } from "../../core/errors.ts";
import { type Content, Message, type PropertyValue, type WireFormat } from "../../core/message.ts";
import { compileSelector, type Selector } from "../../core/selector/selector.ts";

const NOTHING: Buffer = Buffer.alloc(0);
const ENVELOPE = { address: new Address("queue", ["row"]), durable: false, priority: 4, expiresAt: 0, receivedAt: 0 };

/**
 * A selector over the rows of a table. Selectors are about messages, so every row is looked at as the properties of one
 * and the same message: nothing is built for a row.
 */
export class RowFilter<T> {
  private readonly selector: Selector;
  private readonly message: Message;
  private row: T | undefined = undefined;

  /** `read` gives a row's value for a name; undefined if no row has that name. Throws BrokerError("bad-selector"). */
  constructor(text: string, read: (row: T, name: string) => PropertyValue | undefined) {
    this.selector = compileSelector(text);
    const content: Content = {
      ...EMPTY,
      lookup: (name) => (this.row === undefined ? undefined : read(this.row, name)),
    };
    const format: WireFormat = { name: "row", open: () => content };
    this.message = new Message(format, ENVELOPE, NOTHING, 0, 0, 0, 0);
  }

  matches(row: T): boolean {
    this.row = row;
    return this.selector.matches(this.message);
  }
}

const EMPTY: Content = {
  messageId: undefined,
  correlationId: undefined,
  replyTo: undefined,
  subject: undefined,
  contentType: undefined,
  contentEncoding: undefined,
  userId: undefined,
  groupId: undefined,
  groupSequence: undefined,
  bodyKind: "bytes",
  properties: new Map(),
};

/** What a selector says that asks for a field no row has. */
export function unknownField(name: string, known: readonly string[]): BrokerError {
  return new BrokerError("bad-request", `There is no field ${name}; expected one of ${known.join(", ")}`);
}
