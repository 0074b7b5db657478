/**
 * The other side of `worker_test.ts`.
 */
import { workerScope } from "../../src/runtime/shared/worker.ts";

interface Message {
  readonly kind: "echo" | "add" | "throw";
  readonly bytes?: Uint8Array<ArrayBuffer>;
}

const scope = workerScope();
scope.onMessage((raw) => {
  const message = raw as Message;
  if (message.kind === "throw") throw new Error("thrown on purpose");
  if (message.kind === "echo" || message.bytes === undefined) return scope.post(message);
  const bytes = message.bytes.map((byte) => byte + 1);
  const answer = { kind: "added", bytes, left: 0 };
  scope.post(answer, [bytes.buffer]);
});
