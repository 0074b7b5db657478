/**
 * Walking a subtree, depth first and in order of names, with many questions on the way at once: one
 * round trip a znode would take a minute for what takes a second.
 */
import type { Client } from "../client/client.ts";
import { childPath } from "../client/paths.ts";
import { ZkError } from "../client/zk_error.ts";
import { ErrorCode } from "../core/wire/errors.ts";
import { compareNames } from "./names.ts";

/** Questions on the way at once. */
const askedMax = 1000;

export interface WalkOptions {
  /** Leaves a one-shot watch on the children of each. */
  readonly watch?: boolean;
  /** False leaves a znode and all below it out. */
  readonly enter?: (path: string) => boolean;
}

interface Step {
  readonly path: string;
  children: Promise<readonly string[] | null> | null;
}

/** Yields each path before what is below it. What is deleted meanwhile is passed over; a missing start is an error. */
export async function* walk(
  client: Client,
  start: string,
  options: WalkOptions = {},
): AsyncGenerator<string> {
  const { watch = false, enter = () => true } = options;
  let asked = 0;
  const ask = (path: string): Promise<readonly string[] | null> => {
    asked++;
    const answer = client.getChildren(path, { watch }).then(({ children }) => children, (error: unknown) => {
      if (path !== start && error instanceof ZkError && error.code === ErrorCode.NoNode) return null;
      throw error;
    });
    // It may fail before it is this one's turn; then whoever awaits it will know.
    answer.catch(() => {});
    return answer;
  };
  const stack: Step[] = [{ path: start, children: ask(start) }];
  for (let step = stack.pop(); step !== undefined; step = stack.pop()) {
    const children = await (step.children ?? ask(step.path));
    asked--;
    if (children === null) continue;
    yield step.path;
    const paths = [...children].sort(compareNames).map((name) => childPath(step?.path ?? "/", name)).filter(
      enter,
    );
    const asking = Math.min(paths.length, Math.max(0, askedMax - asked));
    for (let i = paths.length - 1; i >= 0; i--) {
      const path = paths[i] as string;
      stack.push({ path, children: i < asking ? ask(path) : null });
    }
  }
}
