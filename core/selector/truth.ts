import type { Message } from "../message.ts";

/** SQL's three truth values; AND is the least of two, OR the greatest, NOT the sign turned round. */
export type Truth = typeof FALSE | typeof UNKNOWN | typeof TRUE;
/** No. */
export const FALSE = -1;
/** Nobody can tell: something was null, or of another type than what it met. */
export const UNKNOWN = 0;
/** Yes: the only value that selects. */
export const TRUE = 1;

/** A condition: known when it was compiled, or asked of each message. */
export type Test = Truth | Question;

/** The part of a condition that depends on the message. */
export type Question = (message: Message) => Truth;

/** What an answer that is yes or no is worth. */
export function truth(answer: boolean): Truth {
  return answer ? TRUE : FALSE;
}

/** SQL's NOT. */
export function negation(test: Test): Test {
  if (typeof test !== "function") return negated(test);
  return (message) => negated(test(message));
}

/** SQL's AND of any number of conditions, asked from left to right until one is false. */
export function conjunction(tests: readonly Test[]): Test {
  return junction(tests, FALSE, both);
}

/** SQL's OR of any number of conditions, asked from left to right until one is true. */
export function disjunction(tests: readonly Test[]): Test {
  return junction(tests, TRUE, either);
}

/** `decider` is the truth value that settles the whole whatever the rest is: FALSE for AND, TRUE for OR. */
function junction(tests: readonly Test[], decider: Truth, join: (left: Question, right: Question) => Question): Test {
  if (tests.includes(decider)) return decider;
  const questions = tests.filter((test) => typeof test === "function");
  const unknown = tests.includes(UNKNOWN);
  if (questions.length === 0) return unknown ? UNKNOWN : negated(decider);
  const whole = joinAll(questions, join);
  return unknown ? (message) => (whole(message) === decider ? decider : UNKNOWN) : whole;
}

/** A balanced tree, so that a chain of thousands does not go deep into the stack. */
function joinAll(questions: readonly Question[], join: (left: Question, right: Question) => Question): Question {
  const [first] = questions;
  if (first !== undefined && questions.length === 1) return first;
  const middle = questions.length >> 1;
  return join(joinAll(questions.slice(0, middle), join), joinAll(questions.slice(middle), join));
}

function both(left: Question, right: Question): Question {
  return (message) => {
    const first = left(message);
    if (first === FALSE) return FALSE;
    const second = right(message);
    return second < first ? second : first;
  };
}

function either(left: Question, right: Question): Question {
  return (message) => {
    const first = left(message);
    if (first === TRUE) return TRUE;
    const second = right(message);
    return second > first ? second : first;
  };
}

function negated(value: Truth): Truth {
  if (value === UNKNOWN) return UNKNOWN;
  return value === TRUE ? FALSE : TRUE;
}
