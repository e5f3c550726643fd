import type { Message } from "../message.ts";
import { comparison, membership } from "./comparison.ts";
import { type LikePattern, likeMatcher } from "./like.ts";
import { type ArithmeticOperator, calculate, type Numeric, negative } from "./numeric.ts";
import { asNumber, asTruth, type NumberReader, type Operand } from "./operand.ts";
import type { ArithmeticStep, Expression } from "./parser.ts";
import { readerOf } from "./property.ts";
import { conjunction, disjunction, FALSE, negation, type Test, TRUE, truth, UNKNOWN } from "./truth.ts";

/** Turns a condition into closures; what does not depend on the message is worked out here. */
export function compileCondition(expression: Expression): Test {
  switch (expression.kind) {
    case "and":
      return conjunction(expression.operands.map(compileCondition));
    case "or":
      return disjunction(expression.operands.map(compileCondition));
    case "not":
      return negation(compileCondition(expression.operand));
    case "comparison":
      return comparison(expression.operator, compileOperand(expression.left), compileOperand(expression.right));
    case "between": {
      const operand = compileOperand(expression.operand);
      const low = comparison(">=", operand, compileOperand(expression.low));
      return conjunction([low, comparison("<=", operand, compileOperand(expression.high))]);
    }
    case "in":
      return membership(compileOperand(expression.operand), expression.values);
    case "like":
      return compileLike(compileOperand(expression.operand), expression.pattern);
    case "null":
      return compileNull(compileOperand(expression.operand));
    default:
      return asTruth(compileOperand(expression));
  }
}

function compileOperand(expression: Expression): Operand {
  switch (expression.kind) {
    case "literal":
      return { kind: "constant", value: expression.value };
    case "identifier":
      return { kind: "property", read: readerOf(expression.name) };
    case "sign":
      return compileSign(expression.negative, asNumber(compileOperand(expression.operand)));
    case "arithmetic":
      return compileArithmetic(expression.first, expression.rest);
    default: {
      const test = compileCondition(expression);
      if (typeof test === "function") return { kind: "truth", ask: test };
      return { kind: "constant", value: test === UNKNOWN ? null : test === TRUE };
    }
  }
}

function compileLike(operand: Operand, pattern: LikePattern): Test {
  const matches = likeMatcher(pattern);
  if (operand.kind === "constant") return typeof operand.value === "string" ? truth(matches(operand.value)) : UNKNOWN;
  if (operand.kind !== "property") return UNKNOWN;
  const read = operand.read;
  return (message) => {
    const value = read(message);
    return typeof value === "string" ? truth(matches(value)) : UNKNOWN;
  };
}

function compileNull(operand: Operand): Test {
  switch (operand.kind) {
    case "constant":
      return truth(operand.value === null);
    case "truth": {
      const ask = operand.ask;
      return (message) => truth(ask(message) === UNKNOWN);
    }
    default: {
      const read: (message: Message) => unknown = operand.read;
      return (message) => {
        const value = read(message);
        return value === null || value === undefined ? TRUE : FALSE;
      };
    }
  }
}

function compileSign(negated: boolean, operand: Numeric | NumberReader | null): Operand {
  if (typeof operand !== "function") {
    return { kind: "constant", value: operand !== null && negated ? negative(operand) : operand };
  }
  if (!negated) return { kind: "number", read: operand };
  return {
    kind: "number",
    read: (message) => {
      const value = operand(message);
      return value === null ? null : negative(value);
    },
  };
}

/** What was calculated so far: a constant as long as only constants came. */
type Result = Numeric | NumberReader | null;

function compileArithmetic(first: Expression, rest: readonly ArithmeticStep[]): Operand {
  let start: Result = asNumber(compileOperand(first));
  const steps: { operator: ArithmeticOperator; operand: Numeric | NumberReader }[] = [];
  for (const step of rest) {
    const operand = asNumber(compileOperand(step.operand));
    if (start === null || operand === null) return { kind: "constant", value: null };
    if (steps.length === 0 && typeof start !== "function" && typeof operand !== "function") {
      start = calculate(step.operator, start, operand);
    } else {
      steps.push({ operator: step.operator, operand });
    }
  }
  if (steps.length === 0)
    return typeof start === "function" ? { kind: "number", read: start } : { kind: "constant", value: start };
  const begin = readerOfResult(start);
  const [only] = steps;
  if (only !== undefined && steps.length === 1) {
    return { kind: "number", read: binary(only.operator, begin, readerOfResult(only.operand)) };
  }
  const operators = steps.map((step) => step.operator);
  const readers = steps.map((step) => readerOfResult(step.operand));
  // A loop, not a closure around a closure: a chain of thousands must not go deep into the stack.
  const read: NumberReader = (message) => {
    let result = begin(message);
    for (let at = 0; at < operators.length && result !== null; at++) {
      result = calculate(operators[at] ?? "+", result, readers[at]?.(message) ?? null);
    }
    return result;
  };
  return { kind: "number", read };
}

function readerOfResult(result: Result): NumberReader {
  return typeof result === "function" ? result : () => result;
}

function binary(operator: ArithmeticOperator, left: NumberReader, right: NumberReader): NumberReader {
  switch (operator) {
    case "+":
      return (message) => {
        const first = left(message);
        const second = right(message);
        return typeof first === "number" && typeof second === "number" ? first + second : calculate("+", first, second);
      };
    case "-":
      return (message) => {
        const first = left(message);
        const second = right(message);
        return typeof first === "number" && typeof second === "number" ? first - second : calculate("-", first, second);
      };
    case "*":
      return (message) => {
        const first = left(message);
        const second = right(message);
        return typeof first === "number" && typeof second === "number" ? first * second : calculate("*", first, second);
      };
    case "/":
      return (message) => calculate("/", left(message), right(message));
  }
}
