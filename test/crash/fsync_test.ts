/**
 * Fsync: the promise behind every reply to a write, seen from the kernel.
 *
 * Under strace: the request is read, an fsync of the log begins after that and returns, and only then
 * does the reply leave. Both runtimes, whichever runs the test.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { bytesOf } from "../../src/core/base/bytes.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { findOnPath } from "../support/apache.ts";
import { createBody, multiBody, setDataBody } from "../support/bodies.ts";
import { runToEnd } from "../support/child.ts";
import { makeTempDirectory, sleep } from "../support/places.ts";
import { WireSession } from "../support/wire_session.ts";
import { type RuntimeName, spawnZoolet, zooletMissing, zooletReady } from "../support/zoolet.ts";
import { parseTrace, type TracedCall } from "./trace.ts";

const reads = /^(read|readv|recvfrom|recvmsg)$/;
const writes = /^(write|writev|sendto|sendmsg)$/;
const syncs = /^(fsync|fdatasync)$/;

async function straceMissing(): Promise<string | null> {
  if (findOnPath("strace") === null) return "no strace on the PATH (apt-get install strace)";
  const tried = await runToEnd("strace", ["-f", "-e", "trace=none", "true"], { timeoutMs: 10_000 });
  return tried.code === 0 ? null : `strace may not trace here: ${tried.stderr.trim().slice(0, 200)}`;
}

const missing = zooletMissing() ?? await straceMissing();

/** Xids that read as text in a trace: "ZX0A", "ZX0B", … */
function xidOf(name: string): number {
  const [a, b, c, d] = bytesOf(name);
  return ((a ?? 0) << 24) | ((b ?? 0) << 16) | ((c ?? 0) << 8) | (d ?? 0);
}

function assertSyncedBetween(calls: readonly TracedCall[], marker: string, xid: string): void {
  const asked = calls.find((call) => reads.test(call.name) && call.text.includes(marker));
  assert.ok(asked, `the trace shows no read of the request with ${marker}`);
  const replied = calls.find((call) =>
    writes.test(call.name) && call.text.includes(`"\\0\\0\\0`) && call.text.includes(xid)
  );
  assert.ok(replied, `the trace shows no write of the reply ${xid}`);
  const synced = calls.find((call) =>
    syncs.test(call.name) && /log\.db/.test(call.text) && / = 0$/.test(call.text) &&
    call.begins > asked.begins && call.ends < replied.begins
  );
  assert.ok(
    synced,
    `no fsync of the log between the request (line ${asked.ends}) and its reply (line ${replied.begins})`,
  );
}

for (const runtime of ["bun", "deno"] satisfies RuntimeName[]) {
  const skip = missing ?? (findOnPath(runtime) === null ? `no ${runtime} on the PATH` : null);
  test(`on ${runtime} an fsync of the log stands between a write and its reply`, {
    timeout: 120_000,
    skip: skip ?? false,
  }, async () => {
    const place = makeTempDirectory("fsync");
    const trace = join(place.path, "trace");
    const wrapper = [
      "strace",
      "-f",
      "-y",
      "-s",
      "4096",
      "-o",
      trace,
      "-e",
      "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,fsync,fdatasync",
    ];
    const child = spawnZoolet({ directory: place.path, runtime, wrapper });
    let pid = -1;
    try {
      const server = await zooletReady(child, 60_000);
      pid = server.pid;
      const session = await WireSession.connect(server.port);
      const ask = async (op: number, body: Uint8Array, xid: string) => {
        const reply = await session.request(op, body, xidOf(xid));
        assert.equal(reply.err, 0);
      };
      await ask(OpCode.Create, createBody("/marker-create", bytesOf("x")), "ZX0A");
      await ask(OpCode.SetData, setDataBody("/marker-create", bytesOf("marker-set"), -1), "ZX0B");
      const subs = [{ op: OpCode.Create, body: createBody("/marker-multi", null) }];
      await ask(OpCode.Multi, multiBody(subs), "ZX0C");
      session.drop();
      process.kill(pid, "SIGTERM");
      assert.ok(await child.exited(20_000), "the server does not end under strace");
      await sleep(100);
      const calls = parseTrace(readFileSync(trace, "utf8"));
      assertSyncedBetween(calls, "marker-create", "ZX0A");
      assertSyncedBetween(calls, "marker-set", "ZX0B");
      assertSyncedBetween(calls, "marker-multi", "ZX0C");
    } finally {
      // strace itself may be told to go and leave its child behind, so the child goes first.
      if (child.exit === null && pid > 0) process.kill(pid, "SIGKILL");
      await child.stop();
      place.remove();
    }
  });
}
