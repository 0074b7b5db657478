/**
 * Watches: a client hears of a change before it sees it.
 *
 * Each watch of one client is kept with the zxid as of which it was set. When a reply says "as of
 * zxid z" and the committed history has a change in between, the event must have come before. And an
 * event must be of a watch that was set. Who may not read a znode does not hear of it, and its watch is
 * used up all the same.
 */
import { EventType } from "../../../src/core/wire/opcodes.ts";
import { hex, hold } from "../violation.ts";
import type { Model } from "./model.ts";

export type WatchKind = "data" | "child";

interface Armed {
  readonly path: string;
  readonly kind: WatchKind;
  /** Set on a znode that was not there: only its creation is heard of after a reconnect. */
  readonly onAbsent: boolean;
  after: number;
}

export class Watches {
  readonly #model: Model;
  readonly #who: number;
  readonly #mayRead: (path: string, zxid: number) => boolean;
  readonly #armed = new Map<string, Armed>();

  constructor(model: Model, who: number, mayRead: (path: string, zxid: number) => boolean) {
    this.#model = model;
    this.#who = who;
    this.#mayRead = mayRead;
  }

  get size(): number {
    return this.#armed.size;
  }

  clear(): void {
    this.#armed.clear();
  }

  arm(path: string, kind: WatchKind, zxid: number, onAbsent: boolean): void {
    const key = `${kind} ${path}`;
    if (!this.#armed.has(key)) this.#armed.set(key, { path, kind, onAbsent, after: zxid });
  }

  paths(): { data: string[]; exists: string[]; children: string[] } {
    const all = [...this.#armed.values()];
    const data = all.filter(({ kind, onAbsent }) => kind === "data" && !onAbsent);
    const exists = all.filter(({ kind, onAbsent }) => kind === "data" && onAbsent);
    const children = all.filter(({ kind }) => kind === "child");
    const pathsOf = (list: Armed[]) => list.map(({ path }) => path);
    return { data: pathsOf(data), exists: pathsOf(exists), children: pathsOf(children) };
  }

  /** While watches are renewed each of them is told of by itself; else a znode that goes tells both its watches at once. */
  event(type: number, path: string, renewing: boolean): void {
    const data = type !== EventType.NodeChildrenChanged && this.#armed.delete(`data ${path}`);
    const child = (type === EventType.NodeChildrenChanged || type === EventType.NodeDeleted) &&
      !(renewing && data) && this.#armed.delete(`child ${path}`);
    hold(data || child, "events are of watches", () => `${this.#who} hears of ${path}, event ${type}`);
  }

  /** Before a change, or after it. */
  #isHidden(path: string, zxid: number): boolean {
    return !this.#mayRead(path, zxid) || !this.#mayRead(path, zxid - 1);
  }

  /** A reply as of this zxid came. */
  seen(zxid: number): void {
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
