/**
 * Trace: system calls of a process tree as strace writes them, one entry per finished call.
 *
 * Threads interleave: a call may begin on one line (`<unfinished ...>`) and end on a later one
 * (`<... fsync resumed>`). Both places are kept, for "the reply left after the fsync had returned"
 * is about the end of one call and the beginning of another.
 */
export interface TracedCall {
  readonly name: string;
  /** Arguments and result, both halves joined. */
  readonly text: string;
  /** Line numbers in the trace. */
  readonly begins: number;
  readonly ends: number;
}

export function parseTrace(text: string): TracedCall[] {
  const calls: TracedCall[] = [];
  const open = new Map<string, { name: string; text: string; begins: number }>();
  for (const [line, entry] of text.split("\n").entries()) {
    const match = entry.match(/^(\d+)\s+(.*)$/);
    if (match === null) continue;
    const thread = match[1] as string;
    const rest = match[2] as string;
    const resumed = rest.match(/^<\.\.\. (\w+) resumed>(.*)$/);
    if (resumed !== null) {
      const begun = open.get(`${thread} ${resumed[1]}`);
      if (begun === undefined) continue;
      open.delete(`${thread} ${resumed[1]}`);
      calls.push({ ...begun, text: begun.text + (resumed[2] ?? ""), ends: line });
      continue;
    }
    const called = rest.match(/^(\w+)\((.*)$/);
    if (called === null) continue;
    const name = called[1] as string;
    const args = called[2] as string;
    if (args.includes("<unfinished ...>")) open.set(`${thread} ${name}`, { name, text: args, begins: line });
    else calls.push({ name, text: args, begins: line, ends: line });
  }
  return calls;
}
