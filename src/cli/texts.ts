/**
 * Texts of values: stat blocks, ACLs, dates, watch events. Scripts parse these to the letter.
 */
import type { WatchEvent } from "../client/types.ts";
import type { ClientState } from "../client/types.ts";
import { Perm } from "../core/wire/opcodes.ts";
import type { Acl, Stat } from "../core/wire/records.ts";
import { CommandError } from "./command.ts";

/** Eleven lines, exactly these labels in this order. */
export function statLines(stat: Stat): string[] {
  return [
    `cZxid = ${hex(stat.czxid)}`,
    `ctime = ${dateText(stat.ctime)}`,
    `mZxid = ${hex(stat.mzxid)}`,
    `mtime = ${dateText(stat.mtime)}`,
    `pZxid = ${hex(stat.pzxid)}`,
    `cversion = ${stat.cversion}`,
    `dataVersion = ${stat.version}`,
    `aclVersion = ${stat.aversion}`,
    `ephemeralOwner = ${hex(stat.ephemeralOwner)}`,
    `dataLength = ${stat.dataLength}`,
    `numChildren = ${stat.numChildren}`,
  ];
}

export function hex(value: number | bigint): string {
  return `0x${BigInt.asUintN(64, BigInt(value)).toString(16)}`;
}

const dateFormat = new Intl.DateTimeFormat("en-US", {
  weekday: "short",
  month: "short",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
  timeZoneName: "short",
  year: "numeric",
});

/** As `Fri Nov 20 09:20:54 UTC 2026`. */
export function dateText(ms: number): string {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return String(ms);
  const part = new Map(dateFormat.formatToParts(at).map(({ type, value }) => [type, value]));
  const time = `${part.get("hour")}:${part.get("minute")}:${part.get("second")}`;
  return `${part.get("weekday")} ${part.get("month")} ${part.get("day")} ${time} ${
    part.get("timeZoneName")
  } ${part.get("year")}`;
}

// ----------------------------------------------------------------------------------------- ACLs

const permLetters: readonly (readonly [string, number])[] = [
  ["c", Perm.Create],
  ["d", Perm.Delete],
  ["r", Perm.Read],
  ["w", Perm.Write],
  ["a", Perm.Admin],
];

/** Two lines an entry; the quotes in front of scheme and id are the stock shell's. */
export function aclLines(acls: readonly Acl[]): string[] {
  return acls.flatMap(({ perms, id }) => [
    `'${id.scheme},'${id.id}`,
    `: ${permLetters.filter(([, bit]) => (perms & bit) !== 0).map(([letter]) => letter).join("")}`,
  ]);
}

/** `scheme:id:perms,…`; the id may hold colons, so the first and the last one separate. */
export function parseAcls(text: string): Acl[] {
  return text.split(",").map((entry) => {
    const first = entry.indexOf(":");
    const last = entry.lastIndexOf(":");
    if (first < 0 || first === last) {
      throw new CommandError(`${entry} does not have the form scheme:id:perm\nAcl is not valid : null`);
    }
    let perms = 0;
    for (const letter of entry.slice(last + 1)) {
      const bit = permLetters.find(([known]) => known === letter)?.[1];
      // Left out, the entry would grant something else than was meant.
      if (bit === undefined) throw new CommandError(`Unknown perm type: ${letter}\nAcl is not valid : null`);
      perms |= bit;
    }
    return { perms, id: { scheme: entry.slice(0, first), id: entry.slice(first + 1, last) } };
  });
}

// --------------------------------------------------------------------------------------- events

const eventNames: ReadonlyMap<number, string> = new Map([
  [-1, "None"],
  [1, "NodeCreated"],
  [2, "NodeDeleted"],
  [3, "NodeDataChanged"],
  [4, "NodeChildrenChanged"],
  [5, "DataWatchRemoved"],
  [6, "ChildWatchRemoved"],
  [7, "PersistentWatchRemoved"],
]);

export function eventText({ type, path }: Pick<WatchEvent, "type" | "path">): string {
  return `WatchedEvent state:SyncConnected type:${eventNames.get(type) ?? type} path:${path}`;
}

const stateNames: Record<ClientState, { readonly event: string; readonly prompt: string }> = {
  "connecting": { event: "Disconnected", prompt: "CONNECTING" },
  "connected": { event: "SyncConnected", prompt: "CONNECTED" },
  "connected-read-only": { event: "ConnectedReadOnly", prompt: "CONNECTEDREADONLY" },
  "expired": { event: "Expired", prompt: "CLOSED" },
  "auth-failed": { event: "AuthFailed", prompt: "AUTH_FAILED" },
  "closed": { event: "Closed", prompt: "CLOSED" },
};

export function stateEventText(state: ClientState): string {
  return `WatchedEvent state:${stateNames[state].event} type:None path:null`;
}

export function promptState(state: ClientState): string {
  return stateNames[state].prompt;
}
