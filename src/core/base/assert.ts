/**
 * Assertions: our own mistakes, on in production.
 *
 * A dead peer is safer than a wrong one, so a failed assertion throws and nobody catches it but the
 * process's last handler, which logs and ends. Bytes from outside are checked, never asserted.
 */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionError(`Assertion failed: ${what}`);
}

/**
 * The same where it is hot and the message has numbers in it: `if (!condition) fail(…)` makes the text
 * only when it is wanted.
 */
export function fail(what: string): never {
  throw new AssertionError(`Assertion failed: ${what}`);
}

/** The end of a `switch` over a union: adding a member without a case is a type error. */
export function unreachable(value: never): never {
  throw new AssertionError(`Assertion failed: unreachable ${JSON.stringify(value)}`);
}

/** A value that the code around it has already made sure of. */
export function must<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new AssertionError(`Assertion failed: ${what}`);
  return value;
}
