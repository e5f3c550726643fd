import { malformed } from "./errors.ts";

const EMPTY: Buffer = Buffer.alloc(0);

/** Where the sections of a message lie (amqp10 3.2); of no length when one is not there. Used again for the next one. */
export class Sections {
  data: Buffer = EMPTY;
  start = 0;
  end = 0;
  headerEnd = 0;
  deliveryAnnotationsStart = 0;
  deliveryAnnotationsEnd = 0;
  messageAnnotationsStart = 0;
  messageAnnotationsEnd = 0;
  propertiesStart = 0;
  propertiesEnd = 0;
  applicationPropertiesStart = 0;
  applicationPropertiesEnd = 0;
  bodyStart = 0;
  bodyEnd = 0;
  footerStart = 0;
  body: "data" | "sequence" | "value" | "none" = "none";
  /** amqp10 3.2.1 */
  durable = false;
  priority = 4;
  /** Milliseconds; -1 when it is not there. */
  ttl = -1;

  /** Finds the sections of a whole message. Throws AmqpError(amqp:decode-error) when it is none. */
  scan(_data: Buffer, _start: number, _end: number): void {
    throw malformed("not yet");
  }
}
