/** A number as messages and selectors hold it. The two compare exactly; a bigint keeps integers past 2^53. */
export type Numeric = number | bigint;

/** The four operations. */
export type ArithmeticOperator = "+" | "-" | "*" | "/";

const DECIMAL = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
const INTEGER = /^[+-]?[0-9]{1,20}$/;
const ZERO = 48;
const MAX_QUICK_DIGITS = 15;
// Past this, results go on as doubles: without it a short selector could grow an integer without end.
const MAX_EXACT = 1n << 127n;

/** The number that a text is, blanks around it aside; null if it is none. Decimal only, without suffixes. */
export function numberIn(text: string): Numeric | null {
  const length = text.length;
  if (length === 0) return null;
  if (length <= MAX_QUICK_DIGITS) {
    let value = 0;
    let at = 0;
    for (; at < length; at++) {
      const digit = text.charCodeAt(at) - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (at === length) return value;
  }
  return otherNumberIn(text.trim());
}

function otherNumberIn(text: string): Numeric | null {
  if (!DECIMAL.test(text)) return null;
  const value = Number(text);
  return !Number.isSafeInteger(value) && INTEGER.test(text) ? BigInt(text) : value;
}

/** Whether two numbers are the same, exactly. NaN is like nothing. */
export function equalNumbers(left: Numeric, right: Numeric): boolean {
  if (typeof left === typeof right) return left === right;
  return canonicalNumber(left) === canonicalNumber(right);
}

/** One form for each number, so that a set finds 5n where it holds 5. */
export function canonicalNumber(value: Numeric): Numeric {
  if (typeof value === "bigint") {
    const near = Number(value);
    return Number.isSafeInteger(near) ? near : value;
  }
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? BigInt(value) : value;
}

/** Division is exact, not Java's for integers: 7 / 2 is 3.5. Null in, or division by zero, is null. */
export function calculate(operator: ArithmeticOperator, left: Numeric | null, right: Numeric | null): Numeric | null {
  if (left === null || right === null) return null;
  if (typeof left === "number" && typeof right === "number") return calculateDoubles(operator, left, right);
  const exactLeft = integer(left);
  const exactRight = integer(right);
  if (exactLeft === null || exactRight === null) return calculateDoubles(operator, Number(left), Number(right));
  return calculateIntegers(operator, exactLeft, exactRight);
}

/** The number with its sign turned round. */
export function negative(value: Numeric): Numeric {
  return -value;
}

function integer(value: Numeric): bigint | null {
  if (typeof value === "bigint") return value;
  return Number.isSafeInteger(value) ? BigInt(value) : null;
}

function calculateDoubles(operator: ArithmeticOperator, left: number, right: number): number | null {
  switch (operator) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
      return right === 0 ? null : left / right;
  }
}

function calculateIntegers(operator: ArithmeticOperator, left: bigint, right: bigint): Numeric | null {
  switch (operator) {
    case "+":
      return bounded(left + right);
    case "-":
      return bounded(left - right);
    case "*":
      return bounded(left * right);
    case "/":
      if (right === 0n) return null;
      return left % right === 0n ? left / right : Number(left) / Number(right);
  }
}

function bounded(value: bigint): Numeric {
  return value > MAX_EXACT || value < -MAX_EXACT ? Number(value) : value;
}
