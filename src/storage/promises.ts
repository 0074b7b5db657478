/**
 * Promises: what a start may believe of the two epochs, and whose directory this is.
 *
 * `current` may lie below the epoch of the last txn: a learner stores what its leader sends before
 * it stores the leader's epoch (quorum-protocol 4.8), so a cut between the two leaves just that. Its
 * log is then the beginning of that leader's history up to some txn, as that of a follower which
 * stored the epoch and stopped there; so the epoch of the last txn is taken. `accepted` is stored
 * before the first txn of its epoch can come; a txn above it means that the promise was lost.
 * Without an ensemble nobody promises anything, and the log raises both by itself.
 */
import { epochOf } from "../core/base/zxid.ts";
import type { Zxid } from "../core/base/zxid.ts";
import { storageError } from "./errors.ts";
import type { Epochs, LogFile } from "./log_file.ts";

const adviceLost =
  "Restore log.db and tree.db together, or move the directory away and let this peer copy the state of the others";

export function epochsAtStart(log: LogFile): Epochs {
  const tried = `read the epochs in ${log.path}`;
  const epoch = epochOf(log.last as Zxid);
  if (log.epochs === null) return { accepted: epoch, current: epoch };
  const { accepted, current } = log.epochs;
  if (accepted < current) {
    throw storageError(
      "damaged",
      tried,
      `the accepted epoch ${accepted} is below the current one, ${current}`,
      adviceLost,
    );
  }
  if (epoch > accepted && !log.standsAlone) {
    throw storageError(
      "damaged",
      tried,
      `the last txn is 0x${
        log.last.toString(16)
      }, of epoch ${epoch}, and no epoch above ${accepted} was accepted`,
      adviceLost,
    );
  }
  return { accepted: Math.max(accepted, epoch), current: Math.max(current, epoch) };
}

/** Refuses the directory of another member. */
export function checkServer(log: LogFile, serverId: number | null): void {
  const noted = log.meta("server_id");
  if (serverId === null || noted === undefined || noted === serverId) return;
  throw storageError(
    "foreign",
    `use ${log.path} for server ${serverId}`,
    `it belongs to server ${String(noted)}`,
    `Look at myid, dataDir and dataLogDir: each server has its own. If server ${
      String(noted)
    } is gone and this ` +
      `one takes its place: sqlite3 ${log.path} "delete from meta where name = 'server_id'"`,
  );
}

export function noteServer(log: LogFile, serverId: number | null): void {
  if (serverId !== null && log.meta("server_id") === undefined) log.putMeta("server_id", serverId);
}
