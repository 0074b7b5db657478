/**
 * Violation: a rule was broken. It ends the run; the seed repeats it.
 */
export class Violation extends Error {
  override readonly name = "Violation";
  /** Short and the same for the same rule, so that failures can be counted by it. */
  readonly rule: string;

  constructor(rule: string, what: string) {
    super(`${rule}: ${what}`);
    this.rule = rule;
  }
}

export function hold(condition: boolean, rule: string, what: () => string): void {
  if (!condition) throw new Violation(rule, what());
}

export function hex(zxid: number): string {
  return `0x${zxid.toString(16)}`;
}
