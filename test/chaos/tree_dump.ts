/**
 * Tree dump: every znode that one peer holds, after a sync, with its data, its whole Stat and its ACL.
 */
import { hexOf } from "../../src/core/base/bytes.ts";
import { ErrorCode } from "../../src/core/wire/errors.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { readAcls } from "../../src/core/wire/records.ts";
import { readDataReply, readNamesReply } from "../../src/core/wire/replies.ts";
import { pathBody, pathWatchBody } from "../support/bodies.ts";
import type { ChaosSession } from "./session.ts";

/** Path to a line about it; null when the connection was lost on the way. */
export async function dumpTree(session: ChaosSession): Promise<Map<string, string> | null> {
  const synced = await session.request(OpCode.Sync, pathBody("/"));
  if (synced.kind === "lost" || synced.err !== ErrorCode.Ok) return null;
  const dump = new Map<string, string>();
  let level = ["/"];
  while (level.length > 0) {
    const next: string[] = [];
    const answers = await Promise.all(level.map((path) =>
      Promise.all([
        session.request(OpCode.GetData, pathWatchBody(path, false)),
        session.request(OpCode.GetChildren, pathWatchBody(path, false)),
        session.request(OpCode.GetAcl, pathBody(path)),
      ])
    ));
    for (const [index, [data, names, acls]] of answers.entries()) {
      const path = level[index] as string;
      if (data.kind === "lost" || names.kind === "lost" || acls.kind === "lost") return null;
      // A znode of each server's own.
      if (path === "/zookeeper/config") continue;
      if (data.err !== ErrorCode.Ok || names.err !== ErrorCode.Ok || acls.err !== ErrorCode.Ok) {
        dump.set(path, `error ${data.err}`);
        continue;
      }
      const { data: bytes, stat } = readDataReply(new Reader(data.body));
      const told = Object.entries(stat).map(([key, value]) => `${key}=${value}`).join(" ");
      const list = (readAcls(new Reader(acls.body)) ?? []).map((acl) =>
        `${acl.perms}:${acl.scheme}:${acl.id}`
      );
      dump.set(path, `${bytes === null ? "null" : hexOf(bytes)} ${told} acl=${list.join(",")}`);
      for (const name of readNamesReply(new Reader(names.body))) {
        next.push(path === "/" ? `/${name}` : `${path}/${name}`);
      }
    }
    level = next;
  }
  return dump;
}

export function differences(
  leftName: string,
  left: ReadonlyMap<string, string>,
  rightName: string,
  right: ReadonlyMap<string, string>,
): string[] {
  const told: string[] = [];
  for (const path of new Set([...left.keys(), ...right.keys()])) {
    const [here, there] = [left.get(path), right.get(path)];
    if (here === there) continue;
    told.push(
      `${path}\n    ${leftName}: ${here ?? "(not there)"}\n    ${rightName}: ${there ?? "(not there)"}`,
    );
    if (told.length >= 3) break;
  }
  return told;
}
