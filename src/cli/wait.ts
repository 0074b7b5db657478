/**
 * Waiting for a server, and not longer than makes sense.
 *
 * A server that is starting refuses connections for a moment, so a refusal is asked about again. One
 * that refuses for two seconds is not there, and the person who mistyped a port should not sit out
 * the session timeout to learn it. All else (silence, a server that closes because it has no quorum
 * yet) may still turn out well and has the whole time.
 */
import type { Client } from "../client/client.ts";
import { parseConnectString } from "../client/servers.ts";
import { ZkError } from "../client/zk_error.ts";
import { ErrorCode } from "../core/wire/errors.ts";
import type { ClockPort } from "../runtime/ports.ts";
import { CommandError } from "./command.ts";

const refusedMsMax = 2000;
const lookAgainMs = 100;

/** What the system says when nobody is there, as opposed to nobody answering. */
const refusedCodes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EADDRNOTAVAIL",
]);

export interface WaitOptions {
  readonly servers: string;
  readonly limitMs: number;
  /** `-waitforconnection`: the whole time, whatever is found. */
  readonly isPatient: boolean;
}

export async function waitForServer(client: Client, clock: ClockPort, options: WaitOptions): Promise<void> {
  const { servers, limitMs, isPatient } = options;
  const count = parseConnectString(servers).servers.length;
  const startMs = clock.monotonicMs();
  while (true) {
    const elapsedMs = clock.monotonicMs() - startMs;
    if (elapsedMs >= limitMs) throw noServer(client, servers, elapsedMs);
    if (!isPatient && elapsedMs >= refusedMsMax && isRefusedByAll(client, count)) {
      throw noServer(client, servers, elapsedMs);
    }
    try {
      return await client.ready(Math.min(lookAgainMs, limitMs - elapsedMs));
    } catch (error) {
      if (!(error instanceof ZkError) || error.code !== ErrorCode.ConnectionLoss) throw error;
    }
  }
}

function isRefusedByAll(client: Client, count: number): boolean {
  const failures = client.failures();
  return failures.length >= count && failures.every(({ code }) => refusedCodes.has(code));
}

function noServer(client: Client, servers: string, elapsedMs: number): CommandError {
  const lines = client.failures().map(({ server, cause }) => `  ${server}: ${cause}`);
  return new CommandError([
    `KeeperErrorCode = ConnectionLoss: cannot connect to ${servers} within ${
      (elapsedMs / 1000).toFixed(1)
    } s`,
    ...(lines.length > 0 ? lines : ["  no attempt has ended yet"]),
    "Start a server there, for instance with `zoolet dev`, or name another one: zoolet cli -server host:port",
  ].join("\n"));
}
