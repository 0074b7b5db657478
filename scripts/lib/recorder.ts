/**
 * Recorder: `node:test` as both runtimes have it, with a note of every test in a file of its own.
 *
 * Neither runtime's report can be counted as it is: Deno takes `t.skip()` for a pass, Bun leaves out
 * the tests of a skipped group, Deno counts groups as tests, and no report tells why a test was skipped.
 * So `scripts/test` puts these functions in the place of `node:test`'s own, and counts what they note.
 * A test file knows nothing of it and also runs under plain `bun test` and `deno test`.
 *
 * Always true: a test is noted as planned before it can run, and as ended once its outcome is known.
 * A crash, a hang and an early exit therefore leave tests that are planned and never ended.
 */
import { appendFileSync } from "node:fs";
import type { TestContext, TestOptions } from "node:test";

export type Status = "passed" | "failed" | "skipped";

export type Note =
  | { readonly kind: "planned"; readonly id: number; readonly name: string }
  | { readonly kind: "ended"; readonly id: number; readonly status: Status; readonly reason: string };

type Done = (error?: unknown) => void;
type Body = (context: TestContext, done: Done) => unknown;
type Define = (name: string, options: TestOptions, body: Body) => unknown;
type DefineGroup = (name: string, options: TestOptions, body: () => unknown) => unknown;

/** What is taken of the real module. */
export interface NodeTest {
  readonly test: unknown;
  readonly describe: unknown;
}

interface Group {
  /** Names from the outermost inwards, each with its separator behind it. */
  readonly path: string;
  readonly skip: string | null;
}

const reportFile = process.env["ZOOLET_TEST_REPORT"];
let lastId = 0;
let group: Group = { path: "", skip: null };

function note(note: Note): void {
  // One write each: what was noted stays noted when the process is killed.
  if (reportFile !== undefined) appendFileSync(reportFile, `${JSON.stringify(note)}\n`);
}

export function recorded(real: NodeTest) {
  const test = withVariants(definer(real.test as Define, () => group));
  const describe = withVariants(groupDefiner(real.describe as DefineGroup));
  return { test, it: test, describe, suite: describe };
}

/** `test`, `it` and a context's own `test`: all have the same shapes of arguments. */
function definer(define: Define, groupNow: () => Group) {
  return (...args: readonly unknown[]): unknown => {
    const { name, options, body } = argumentsOf<Body>(args);
    const { path, skip } = groupNow();
    const id = ++lastId;
    const fullName = `${path}${name}`;
    note({ kind: "planned", id, name: fullName });
    const reason = skip ?? skipReason(options);
    if (reason !== null) {
      note({ kind: "ended", id, status: "skipped", reason });
      return define(name, { ...options, todo: false, skip: reason === "" ? true : reason }, () => {});
    }
    return define(name, options, watched(id, fullName, body));
  };
}

function groupDefiner(define: DefineGroup) {
  return (...args: readonly unknown[]): unknown => {
    const { name, options, body } = argumentsOf<() => unknown>(args);
    const inner: Group = {
      path: `${group.path}${name} > `,
      skip: group.skip ?? skipReason(options),
    };
    // The group itself is not skipped, so that each of its tests is, by name.
    return define(name, { ...options, skip: false, todo: false }, () => {
      // A runtime may call the body at once or after the module's end, so the path is set anew here.
      const outer = group;
      group = inner;
      const leave = () => {
        group = outer;
      };
      try {
        const result = body();
        if (result instanceof Promise) return result.finally(leave);
        leave();
        return result;
      } catch (error) {
        leave();
        throw error;
      }
    });
  };
}

/** The body with its outcome noted. Bodies that take a callback keep taking one. */
function watched(id: number, fullName: string, body: Body): Body {
  const end = (status: Status, reason = "") => note({ kind: "ended", id, status, reason });
  const endedWell = (skip: string | null) => skip === null ? end("passed") : end("skipped", skip);
  if (body.length >= 2) {
    return (context, done) => {
      const skip = listenForSkip(context, fullName);
      return body(context, (error) => {
        if (error === undefined || error === null) endedWell(skip());
        else end("failed");
        done(error);
      });
    };
  }
  return async (context: TestContext) => {
    const skip = listenForSkip(context, fullName);
    try {
      await body(context, () => {});
    } catch (error) {
      end("failed");
      throw error;
    }
    endedWell(skip());
  };
}

/** Puts our own `skip`, `todo` and `test` on the context; the answer tells whether the test skipped itself. */
function listenForSkip(context: TestContext, fullName: string): () => string | null {
  let reason: string | null = null;
  const skip = context.skip.bind(context);
  const todo = context.todo.bind(context);
  const inner: Group = { path: `${fullName} > `, skip: null };
  Object.assign(context, {
    skip(message?: string) {
      reason = message ?? "";
      skip(message);
    },
    todo(message?: string) {
      reason = toDo(message);
      todo(message);
    },
    test: definer(context.test.bind(context) as unknown as Define, () => inner),
  });
  return () => reason;
}

/** `.skip`, `.todo` and `.only`, said as options. `only` is of use to a person, not here. */
function withVariants(define: (...args: readonly unknown[]) => unknown) {
  const variant = (extra: TestOptions) => (...args: readonly unknown[]) => {
    const { name, options, body } = argumentsOf<Body>(args);
    return define(name, { ...options, ...extra }, body);
  };
  return Object.assign(define, {
    skip: variant({ skip: true }),
    todo: variant({ todo: true }),
    only: variant({}),
  });
}

function skipReason(options: TestOptions): string | null {
  const { skip, todo } = options;
  if (typeof skip === "string" && skip !== "") return skip;
  if (skip === true) return "";
  return todo === true || (typeof todo === "string" && todo !== "") ? toDo(todo) : null;
}

function toDo(message: string | boolean | undefined): string {
  return typeof message === "string" ? `to do: ${message}` : "to do";
}

/** Each of name, options and body may be left out. */
function argumentsOf<F extends (...args: never[]) => unknown>(args: readonly unknown[]) {
  const body = args.find((value) => typeof value === "function") as F | undefined;
  const named = args.find((value) => typeof value === "string");
  const given = args.find((value) => typeof value === "object" && value !== null);
  const name = named ?? (body?.name || "<anonymous>");
  return { name, options: (given ?? {}) as TestOptions, body: body ?? ((() => {}) as unknown as F) };
}
