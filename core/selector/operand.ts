import type { Message, PropertyValue } from "../message.ts";
import { type Numeric, numberIn } from "./numeric.ts";
import type { Reader } from "./property.ts";
import { FALSE, type Question, TRUE, type Truth, truth, UNKNOWN } from "./truth.ts";

/** Calculates a number from a message; null where it cannot. */
export type NumberReader = (message: Message) => Numeric | null;

/**
 * What is compared or calculated with. Only a property's text turns into a number or a truth value where one is
 * wanted (STOMP has nothing but text); a literal stays what it is.
 */
export type Operand =
  | { readonly kind: "constant"; readonly value: string | Numeric | boolean | null }
  | { readonly kind: "property"; readonly read: Reader }
  | { readonly kind: "number"; readonly read: NumberReader }
  | { readonly kind: "truth"; readonly ask: Question };

/** An operand where a number is wanted: a constant, or read from each message; null if it never is one. */
export function asNumber(operand: Operand): Numeric | NumberReader | null {
  switch (operand.kind) {
    case "constant":
      return typeof operand.value === "number" || typeof operand.value === "bigint" ? operand.value : null;
    case "number":
      return operand.read;
    case "truth":
      return null;
    case "property": {
      const read = operand.read;
      return (message) => {
        const value = read(message);
        return typeof value === "number" ? value : propertyNumber(value);
      };
    }
  }
}

/** An operand where a truth value is wanted; anything that is none is unknown. */
export function asTruth(operand: Operand): Truth | Question {
  switch (operand.kind) {
    case "constant":
      return typeof operand.value === "boolean" ? truth(operand.value) : UNKNOWN;
    case "number":
      return UNKNOWN;
    case "truth":
      return operand.ask;
    case "property": {
      const read = operand.read;
      return (message) => propertyTruth(read(message));
    }
  }
}

/** A property's value as a number, its text converted; null if it is none. */
export function propertyNumber(value: PropertyValue | undefined): Numeric | null {
  if (typeof value === "number" || typeof value === "bigint") return value;
  return typeof value === "string" ? numberIn(value) : null;
}

/** A property's value as a truth value, the texts "true" and "false" converted. */
export function propertyTruth(value: PropertyValue | undefined): Truth {
  if (value === true || value === "true") return TRUE;
  return value === false || value === "false" ? FALSE : UNKNOWN;
}
