/**
 * Sentences: errors as the stock shell words them, because scripts look for them. operations 5.2.
 */
import { PathError, ZkError } from "../client/zk_error.ts";
import { ErrorCode } from "../core/wire/errors.ts";

const withPath: ReadonlyMap<number, string> = new Map<number, string>([
  [ErrorCode.NoNode, "Node does not exist: "],
  [ErrorCode.NodeExists, "Node already exists: "],
  [ErrorCode.NotEmpty, "Node not empty: "],
  [ErrorCode.NoChildrenForEphemerals, "Ephemerals cannot have children: "],
  [ErrorCode.NoAuth, "Insufficient permission : "],
  [ErrorCode.InvalidAcl, "Acl is not valid : "],
  [ErrorCode.BadVersion, "version No is not valid : "],
  [ErrorCode.BadArguments, "Arguments are not valid : "],
  [ErrorCode.NotReadOnly, "Not a read-only call: "],
  [ErrorCode.QuotaExceeded, "Quota has exceeded : "],
]);

const alone: ReadonlyMap<number, string> = new Map<number, string>([
  [
    ErrorCode.ReconfigInProgress,
    "Another reconfiguration is in progress -- concurrent reconfigs not supported (yet)",
  ],
  [
    ErrorCode.NewConfigNoQuorum,
    "No quorum of new config is connected and up-to-date with the leader of last commmitted config - " +
    "try invoking reconfiguration after new servers are connected and synced",
  ],
]);

/** Codes whose name in these sentences is not the one of the protocol. */
const nameByCode: ReadonlyMap<number, string> = new Map<number, string>([
  [ErrorCode.SessionExpired, "Session expired"],
  [ErrorCode.SessionMoved, "Session moved"],
  [ErrorCode.EphemeralOnLocalSession, "Ephemeral node on local session"],
  [ErrorCode.NoWatcher, "No such watcher"],
  [ErrorCode.RequestTimeout, "Request timeout"],
  [ErrorCode.ReconfigDisabled, "Reconfig is disabled"],
  [ErrorCode.SessionClosedRequireSaslAuth, "Session closed because client failed to authenticate"],
  [ErrorCode.ThrottledOp, "Op throttled due to high load"],
]);

export function sentenceOf(error: ZkError): string {
  if (error instanceof PathError) return error.sentence;
  const { code, path } = error;
  const prefix = withPath.get(code);
  if (prefix !== undefined) return `${prefix}${path ?? ""}`;
  return alone.get(code) ??
    `KeeperErrorCode = ${nameByCode.get(code) ?? error.codeName}${path === null ? "" : ` for ${path}`}`;
}
