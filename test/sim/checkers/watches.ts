/**
 * Watches: a client hears of a change before it sees it.
 *
 * Each watch of one client is kept with the zxid as of which it was set. When a reply says "as of
 * zxid z" and the committed history has a change in between, the event must have come before. And an
 * event must be of a watch that was set. Who may not read a znode does not hear of it, and its watch is
 * used up all the same.
 *
 * Persistent watches, on one path or on all below it, hear of every change: what came between two
 * replies is exactly what the history has there, in its order.
 */
import { EventType } from "../../../src/core/wire/opcodes.ts";
import type { WatchPaths } from "../../../src/core/wire/requests.ts";
import { mayDo, Perm } from "../acls.ts";
import type { Id } from "../../../src/core/wire/records.ts";
import { hex, hold } from "../violation.ts";
import type { Model, Told } from "./model.ts";

export type WatchKind = "data" | "child";

interface Armed {
  readonly path: string;
  readonly kind: WatchKind;
  /** Set on a znode that was not there: only its creation is heard of after a reconnect. */
  readonly onAbsent: boolean;
  after: number;
}

/** A persistent watch. */
interface Stream {
  readonly path: string;
  readonly recursive: boolean;
  after: number;
}

export class Watches {
  readonly #model: Model;
  readonly #who: number;
  readonly #identities: readonly Id[];
  readonly #armed = new Map<string, Armed>();

  readonly #streams = new Map<string, Stream>();
  /** What persistent watches were told of since the last reply, and how far the history was compared. */
  #heard: Told[] = [];
  #toldAt = 0;

  constructor(model: Model, who: number, identities: readonly Id[]) {
    this.#model = model;
    this.#who = who;
    this.#identities = identities;
  }

  get size(): number {
    return this.#armed.size + this.#streams.size;
  }

  clear(): void {
    this.#armed.clear();
    this.#streams.clear();
    this.lost();
  }

  /** The line is over: what it would still have told is not told. */
  lost(): void {
    this.#heard = [];
  }

  follow(path: string, recursive: boolean, zxid: number): void {
    const key = `${recursive} ${path}`;
    if (!this.#streams.has(key)) this.#streams.set(key, { path, recursive, after: zxid });
  }

  arm(path: string, kind: WatchKind, zxid: number, onAbsent: boolean): void {
    const key = `${kind} ${path}`;
    if (!this.#armed.has(key)) this.#armed.set(key, { path, kind, onAbsent, after: zxid });
  }

  paths(): WatchPaths {
    const all = [...this.#armed.values()];
    const data = all.filter(({ kind, onAbsent }) => kind === "data" && !onAbsent);
    const exists = all.filter(({ kind, onAbsent }) => kind === "data" && onAbsent);
    const children = all.filter(({ kind }) => kind === "child");
    const streams = [...this.#streams.values()];
    const pathsOf = (list: readonly { readonly path: string }[]) => list.map(({ path }) => path);
    return {
      data: pathsOf(data),
      exists: pathsOf(exists),
      children: pathsOf(children),
      persistent: pathsOf(streams.filter(({ recursive }) => !recursive)),
      persistentRecursive: pathsOf(streams.filter(({ recursive }) => recursive)),
    };
  }

  /** While watches are renewed each of them is told of by itself; else a znode that goes tells both its watches at once. */
  event(zxid: number, type: number, path: string, renewing: boolean): void {
    const data = type !== EventType.NodeChildrenChanged && this.#armed.delete(`data ${path}`);
    const child = (type === EventType.NodeChildrenChanged || type === EventType.NodeDeleted) &&
      !(renewing && data) && this.#armed.delete(`child ${path}`);
    const told = renewing ? null : this.#committed(zxid, type, path);
    const followed = told !== null && this.#isFollowed(told);
    if (followed) this.#heard.push(told);
    hold(
      data || child || followed,
      "events are of watches",
      () => `${this.#who} hears of ${path}, event ${type}`,
    );
  }

  #committed(zxid: number, type: number, path: string): Told {
    const { told } = this.#model;
    const found = told.findLast((one) => one.zxid === zxid && one.type === type && one.path === path);
    hold(
      found !== undefined && mayDo(found.acls, Perm.read, this.#identities),
      "events are of committed changes",
      () => `${this.#who} hears of ${path}, event ${type} at ${hex(zxid)}`,
    );
    return found as Told;
  }

  #isFollowed({ zxid, type, path }: Told): boolean {
    for (const { path: top, recursive, after } of this.#streams.values()) {
      if (zxid <= after) continue;
      if (path === top && (!recursive || type !== EventType.NodeChildrenChanged)) return true;
      const isBelow = recursive && (top === "/" || path.startsWith(`${top}/`));
      if (isBelow && type !== EventType.NodeChildrenChanged) return true;
    }
    return false;
  }

  /** Persistent watches were told of all up to here, and of nothing else. */
  #compare(zxid: number): void {
    const { told } = this.#model;
    const wanted: Told[] = [];
    for (; this.#toldAt < told.length; this.#toldAt++) {
      const one = told[this.#toldAt] as Told;
      if (one.zxid > zxid) break;
      if (this.#isFollowed(one) && mayDo(one.acls, Perm.read, this.#identities)) wanted.push(one);
    }
    if (wanted.length === 0 && this.#heard.length === 0) return;
    const [heard, history] = [textOf(this.#heard), textOf(wanted)];
    this.#heard = [];
    hold(
      heard === history,
      "persistent watches hear of everything",
      () => `${this.#who} sees ${hex(zxid)} and was told of [${heard}], not of [${history}]`,
    );
  }

  /** Before a change, or after it. */
  #isHidden(path: string, zxid: number): boolean {
    const mayRead = (at: number) => mayDo(this.#model.as(path, at).acls, Perm.read, this.#identities);
    return !mayRead(zxid) || !mayRead(zxid - 1);
  }

  /** A reply as of this zxid came. */
  seen(zxid: number): void {
    this.#compare(zxid);
    for (const [key, { path, kind, after }] of this.#armed) {
      const at = this.#model.changed(path, kind, after, zxid);
      if (at !== 0 && this.#isHidden(path, at)) {
        this.#armed.delete(key);
        continue;
      }
      hold(
        at === 0,
        "watch before data",
        () =>
          `${this.#who} sees ${hex(zxid)} and was not told of ${path} (${kind}) at ${
            hex(at)
          }, watched since ${hex(after)}`,
      );
    }
  }

  /** The reply to setWatches came, as of this zxid: what changed while we were away was told before it. */
  renewed(zxid: number): void {
    for (const stream of this.#streams.values()) stream.after = zxid;
    for (const [key, armed] of this.#armed) {
      const { path, kind, onAbsent, after } = armed;
      const missed = onAbsent
        ? this.#model.as(path, zxid).exists
        : this.#model.changed(path, kind, after, zxid) !== 0;
      const at = onAbsent ? zxid : this.#model.changed(path, kind, after, zxid);
      if (missed && this.#isHidden(path, at)) {
        this.#armed.delete(key);
        continue;
      }
      hold(
        !missed,
        "watch before data",
        () => `${this.#who} renewed ${path} (${kind}) at ${hex(zxid)} and was not told`,
      );
      armed.after = zxid;
    }
  }
}

/** Events in their order; those of one closeSession in any. */
function textOf(list: readonly Told[]): string {
  const lines = list.map(({ zxid, type, path }, i) => ({ zxid, i, line: `${hex(zxid)} ${type} ${path}` }));
  const isClose = new Set(list.filter((one) => one.isClose).map(({ zxid }) => zxid));
  lines.sort((a, b) =>
    a.zxid === b.zxid && isClose.has(a.zxid) ? (a.line < b.line ? -1 : a.line > b.line ? 1 : 0) : a.i - b.i
  );
  return lines.map(({ line }) => line).join(", ");
}
