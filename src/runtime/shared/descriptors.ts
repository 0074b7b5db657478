/**
 * Descriptors: how many sockets may be open at once, so that the process never runs out of descriptors.
 *
 * A listener that runs out does harm: Deno's stops accepting for good, without an error, and Bun's tries again in
 * a loop. So a connection for which there is no room is accepted and closed at once. Clients leave the last places to members and operators: a
 * crowd of clients must not keep a follower or the admin endpoint out.
 */
import fs from "node:fs";
import nodeProcess from "node:process";

/** For the runtime itself, the databases, and what is accepted to be closed. Deno has 24 open when it starts. */
const filesReserved = 40;
/** For members and operators. */
const membersReserved = 24;

let open = 0;
/** The most that were open since `eased` was last told. */
let peak = 0;
let known: number | null = null;

/** Both runtimes raise the soft limit to the hard one. Deno may not read `/proc`, so the launcher says it. */
function limit(): number {
  if (known !== null) return known;
  known = Number(nodeProcess.env["ZOOLET_DESCRIPTORS_MAX"] ?? hardLimit());
  return known = Number.isInteger(known) && known > 0 ? known : Infinity;
}

function hardLimit(): number {
  try {
    const found = /^Max open files\s+\d+\s+(\d+)/m.exec(fs.readFileSync("/proc/self/limits", "utf8"));
    return Number(found?.[1]);
  } catch {
    // No such file, or not permitted: then nothing is known of a limit.
    return Infinity;
  }
}

export const descriptors = {
  /** May one more socket stay open? With few descriptors at all, clients have half of them. */
  hasRoom(isReserved: boolean): boolean {
    const max = limit();
    const others = Math.max(max - filesReserved, max / 2);
    return open < (isReserved ? others : Math.max(others - membersReserved, max / 2));
  },

  /** Called when a socket is closed after so many were open that descriptors may have run out. */
  eased: (): void => {},

  /** Counts a socket until it is closed. */
  hold(socket: { once(event: "close", call: () => void): unknown }): void {
    open++;
    peak = Math.max(peak, open);
    socket.once("close", () => {
      open--;
      // What else is open is not known: a process may be born with many descriptors.
      if (peak < limit() / 4) return;
      peak = open;
      descriptors.eased();
    });
  },

  /** So many connections may wait to be accepted that taking all of them at once cannot use up what is left. */
  backlog(asked: number): number {
    return Math.min(asked > 0 ? asked : 511, Math.max(8, Math.floor(limit() / 8)));
  },

  /** For a log line: what is open, and the limit. */
  get text(): string {
    return `${open} connections are open, and the process may have ${limit()} descriptors; ` +
      "raise the limit (ulimit -n) or allow fewer connections (maxClientCnxns, maxCnxns)";
  },
};
