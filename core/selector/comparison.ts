import type { PropertyValue } from "../message.ts";
import { canonicalNumber, equalNumbers, type Numeric } from "./numeric.ts";
import { asNumber, asTruth, type NumberReader, type Operand, propertyNumber, propertyTruth } from "./operand.ts";
import type { ComparisonOperator } from "./parser.ts";
import type { Reader } from "./property.ts";
import { FALSE, negation, type Question, type Test, TRUE, type Truth, truth, UNKNOWN } from "./truth.ts";

type Value = PropertyValue | undefined;

const MIRRORED = { "=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<=" } as const;

/** One of the six comparisons. Null, and values of unlike types, compare as unknown, also with "<>". */
export function comparison(operator: ComparisonOperator, left: Operand, right: Operand): Test {
  if (right.kind === "constant") return withConstant(operator, left, right.value);
  if (left.kind === "constant") return withConstant(MIRRORED[operator], right, left.value);
  if (left.kind === "number" || right.kind === "number") return ofNumbers(operator, asNumber(left), asNumber(right));
  if (left.kind === "truth" || right.kind === "truth") return ofTruths(operator, asTruth(left), asTruth(right));
  return ofProperties(operator, left.read, right.read);
}

/** Whether an operand is one of the literals: an OR of comparisons with "=", in one look-up. */
export function membership(operand: Operand, values: readonly (string | Numeric)[]): Test {
  const texts = new Set(values.filter((value) => typeof value === "string"));
  const numbers = new Set(values.filter((value) => typeof value !== "string").map(canonicalNumber));
  const ofNumber = (value: Numeric): Truth => {
    if (numbers.has(canonicalNumber(value))) return TRUE;
    return texts.size === 0 ? FALSE : UNKNOWN;
  };
  const ofConverted = (value: Numeric | null): Truth => {
    if (value === null) return UNKNOWN;
    return truth(numbers.has(canonicalNumber(value)));
  };
  const of = (value: Value): Truth => {
    if (typeof value === "number" || typeof value === "bigint") return ofNumber(value);
    if (typeof value !== "string") return UNKNOWN;
    if (texts.has(value)) return TRUE;
    return numbers.size === 0 ? FALSE : ofConverted(propertyNumber(value));
  };
  switch (operand.kind) {
    case "truth":
      return UNKNOWN;
    case "number": {
      const read = operand.read;
      return (message) => {
        const value = read(message);
        return value === null ? UNKNOWN : ofNumber(value);
      };
    }
    case "property": {
      const read = operand.read;
      return (message) => of(read(message));
    }
    case "constant":
      if (typeof operand.value !== "string") return of(operand.value);
      if (texts.has(operand.value)) return TRUE;
      return numbers.size === 0 ? FALSE : UNKNOWN;
  }
}

function withConstant(operator: ComparisonOperator, left: Operand, right: string | Numeric | boolean | null): Test {
  if (right === null) return UNKNOWN;
  if (typeof right === "string") return withText(operator, left, right);
  if (typeof right === "boolean") return ofTruths(operator, asTruth(left), truth(right));
  const number = asNumber(left);
  return typeof number === "function" ? withNumber(operator, number, right) : ofNumbers(operator, number, right);
}

function withText(operator: ComparisonOperator, left: Operand, right: string): Test {
  if (operator !== "=" && operator !== "<>") return UNKNOWN;
  if (left.kind === "constant") {
    return typeof left.value === "string" ? truth((left.value === right) === (operator === "=")) : UNKNOWN;
  }
  if (left.kind !== "property") return UNKNOWN;
  const read = left.read;
  if (operator === "=") {
    return (message) => {
      const value = read(message);
      if (value === right) return TRUE;
      return typeof value === "string" ? FALSE : UNKNOWN;
    };
  }
  return (message) => {
    const value = read(message);
    if (value === right) return FALSE;
    return typeof value === "string" ? TRUE : UNKNOWN;
  };
}

/** The usual case has a closure for each operator, so that no operator is looked at while messages pass. */
function withNumber(operator: ComparisonOperator, read: NumberReader, right: Numeric): Question {
  switch (operator) {
    case "=":
      return (message) => {
        const left = read(message);
        return left === null ? UNKNOWN : truth(equalNumbers(left, right));
      };
    case "<>":
      return (message) => {
        const left = read(message);
        return left === null ? UNKNOWN : truth(!equalNumbers(left, right));
      };
    case "<":
      return (message) => {
        const left = read(message);
        return left === null ? UNKNOWN : truth(left < right);
      };
    case "<=":
      return (message) => {
        const left = read(message);
        return left === null ? UNKNOWN : truth(left <= right);
      };
    case ">":
      return (message) => {
        const left = read(message);
        return left === null ? UNKNOWN : truth(left > right);
      };
    case ">=":
      return (message) => {
        const left = read(message);
        return left === null ? UNKNOWN : truth(left >= right);
      };
  }
}

function ofNumbers(
  operator: ComparisonOperator,
  left: Numeric | NumberReader | null,
  right: Numeric | NumberReader | null,
): Test {
  if (left === null || right === null) return UNKNOWN;
  if (typeof right !== "function") {
    return typeof left === "function" ? withNumber(operator, left, right) : compareNumbers(operator, left, right);
  }
  if (typeof left !== "function") return withNumber(MIRRORED[operator], right, left);
  return (message) => compareNumbers(operator, left(message), right(message));
}

function ofTruths(operator: ComparisonOperator, left: Test, right: Test): Test {
  if (operator !== "=" && operator !== "<>") return UNKNOWN;
  const equal = operator === "=";
  if (typeof left !== "function" && typeof right !== "function") return compareTruths(equal, left, right);
  if (typeof right !== "function") return withTruth(left, equal ? right : negation(right));
  if (typeof left !== "function") return withTruth(right, equal ? left : negation(left));
  return (message) => compareTruths(equal, left(message), right(message));
}

/** Being equal to a known truth value is the test itself, or its negation. */
function withTruth(test: Test, expected: Test): Test {
  if (expected === UNKNOWN) return UNKNOWN;
  return expected === TRUE ? test : negation(test);
}

function ofProperties(operator: ComparisonOperator, left: Reader, right: Reader): Question {
  return (message) => compareProperties(operator, left(message), right(message));
}

function compareProperties(operator: ComparisonOperator, left: Value, right: Value): Truth {
  const equality = operator === "=" || operator === "<>";
  if (equality && typeof left === "string" && typeof right === "string") {
    return truth((left === right) === (operator === "="));
  }
  if (typeof left === "boolean" || typeof right === "boolean") {
    return equality ? compareTruths(operator === "=", propertyTruth(left), propertyTruth(right)) : UNKNOWN;
  }
  return compareNumbers(operator, propertyNumber(left), propertyNumber(right));
}

function compareTruths(equal: boolean, left: Truth, right: Truth): Truth {
  return left === UNKNOWN || right === UNKNOWN ? UNKNOWN : truth((left === right) === equal);
}

function compareNumbers(operator: ComparisonOperator, left: Numeric | null, right: Numeric | null): Truth {
  if (left === null || right === null) return UNKNOWN;
  switch (operator) {
    case "=":
      return truth(equalNumbers(left, right));
    case "<>":
      return truth(!equalNumbers(left, right));
    case "<":
      return truth(left < right);
    case "<=":
      return truth(left <= right);
    case ">":
      return truth(left > right);
    case ">=":
      return truth(left >= right);
  }
}
