/**
 * Fuzz run: a server of its own, a fuzz, and the question whether it is still the server it was.
 *
 * After the frames the server has to end in order, start again on what they left on disk, and hold
 * what the canary wrote last: a poisoned log would show here.
 */
import { bytesOf, textOf } from "../../src/core/base/bytes.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { pathWatchBody } from "../support/bodies.ts";
import { makeTempDirectory } from "../support/places.ts";
import { WireSession } from "../support/wire_session.ts";
import { type RuntimeName, startZoolet } from "../support/zoolet.ts";
import { canaryPath, fuzz, type FuzzOptions, type FuzzResult } from "./fuzz.ts";

export async function fuzzRun(
  runtime: RuntimeName,
  options: Omit<FuzzOptions, "port" | "pid">,
): Promise<FuzzResult> {
  const place = makeTempDirectory("fuzz");
  const start = { directory: place.path, runtime, settings: { extendedTypesEnabled: true } };
  let server = await startZoolet(start);
  try {
    const result = await fuzz({ ...options, port: server.port, pid: server.pid });
    const failures = [...result.failures];
    if (server.child.exit !== null) failures.push(`the server ended (${server.child.describe()})`);
    else if (!await server.stop()) failures.push("the server did not end within 10 s of SIGTERM");
    server = await startZoolet(start);
    const session = await WireSession.connect(server.port);
    const read = await session.ask(OpCode.GetData, pathWatchBody(canaryPath, false));
    const found = textOf(new Reader(read.body).buffer() ?? bytesOf("null"));
    if (found !== result.canaryValue) {
      failures.push(`after a restart the canary's znode holds ${found}, not ${result.canaryValue}`);
    }
    await session.close();
    return { ...result, failures };
  } finally {
    await server.stop();
    place.remove();
  }
}

export function fuzzText(result: FuzzResult): string {
  return [
    `${result.frames} hostile frames in ${result.seconds.toFixed(1)} s over ${result.sessions} sessions, ` +
    `${result.stories} hostile connections; ${result.replies} replies, ${result.closedByServer} connections closed by the server`,
    `canary: ${result.canaryRounds} rounds, p99 ${result.canaryMsP99.toFixed(1)} ms, max ${
      result.canaryMsMax.toFixed(1)
    } ms`,
    `resident memory: ${result.residentMbStart.toFixed(0)} MB at the start, ${
      result.residentMbMax.toFixed(0)
    } at most, ` +
    `${result.residentMbEnd.toFixed(0)} at the end`,
    ...result.failures.map((failure) => `FAILURE ${failure}`),
  ].join("\n");
}
