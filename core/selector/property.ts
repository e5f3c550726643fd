import type { Message, PropertyValue } from "../message.ts";

/** Reads one name's value from a message; what the message lacks is undefined or null. */
export type Reader = (message: Message) => PropertyValue | undefined;

/**
 * What an identifier stands for: the JMS header of that name, else the broker's annotation, else the application
 * property, else what the sender's protocol calls a field of its own. The five headers that the envelope has are answered without taking the message
 * apart.
 */
export function readerOf(name: string): Reader {
  switch (name) {
    case "JMSDeliveryMode":
      return (message) => (message.durable ? "PERSISTENT" : "NON_PERSISTENT");
    case "JMSPriority":
      return (message) => message.priority;
    case "JMSTimestamp":
      return (message) => message.receivedAt;
    case "JMSExpiration":
      return (message) => message.expiresAt;
    case "JMSDestination":
      return (message) => message.address.name;
    case "JMSMessageID":
      return (message) => message.content.messageId;
    case "JMSCorrelationID":
      return (message) => message.content.correlationId;
    case "JMSType":
      return (message) => message.content.subject;
    case "JMSReplyTo":
      return (message) => message.content.replyTo?.name;
    case "JMSXGroupID":
      return (message) => message.content.groupId;
    case "JMSXGroupSeq":
      return (message) => message.content.groupSequence;
    case "JMSXUserID":
      return (message) => message.content.userId;
    default:
      return (message) => {
        // What the broker says about a message cannot be forged by its sender.
        if (message.annotationBytes !== undefined) {
          const annotation = message.annotations.get(name);
          if (annotation !== undefined) return annotation;
        }
        const { content } = message;
        if (content.lookup !== undefined) return content.lookup(name);
        return content.properties.get(name) ?? content.aliases?.get(name);
      };
  }
}
