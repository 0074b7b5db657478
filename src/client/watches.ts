/**
 * Watches: what this client asked to hear, kept because no server keeps it over a reconnect.
 *
 * Mirrors the tables of the server (client-protocol 7.3): one-shot watches leave with their event,
 * persistent ones stay. Paths are the server's, chroot included. Whatever stands here when a
 * connection is made anew is armed again with setWatches, and the server tells what was missed.
 */
import { EventType, WatcherType } from "../core/wire/opcodes.ts";
import type { WatchPaths } from "../core/wire/requests.ts";
import { setWatchesBytesMax } from "./limits.ts";
import { LocalEventType, type WatchCall } from "./types.ts";

export type WatchList = keyof WatchPaths;

const listNames: readonly WatchList[] = ["data", "exists", "children", "persistent", "persistentRecursive"];
const oneShotByType: ReadonlyMap<number, readonly WatchList[]> = new Map([
  [EventType.NodeCreated, ["data", "exists"] as const],
  [EventType.NodeDataChanged, ["data", "exists"] as const],
  [EventType.NodeDeleted, ["data", "exists", "children"] as const],
  [EventType.NodeChildrenChanged, ["children"] as const],
]);

export class Watches {
  readonly #lists: Record<WatchList, Map<string, Set<WatchCall>>> = {
    data: new Map(),
    exists: new Map(),
    children: new Map(),
    persistent: new Map(),
    persistentRecursive: new Map(),
  };

  add(list: WatchList, path: string, call: WatchCall): void {
    const calls = this.#lists[list].get(path);
    if (calls === undefined) this.#lists[list].set(path, new Set([call]));
    else calls.add(call);
  }

  has(list: WatchList, path: string): boolean {
    return this.#lists[list].has(path);
  }

  get count(): number {
    return listNames.reduce((sum, name) => sum + this.#lists[name].size, 0);
  }

  /** Who hears an event; one-shot watches are gone afterwards. */
  take(type: number, path: string): Set<WatchCall> {
    const heard = new Set<WatchCall>();
    for (const name of oneShotByType.get(type) ?? []) {
      addAll(heard, this.#lists[name].get(path));
      this.#lists[name].delete(path);
    }
    addAll(heard, this.#lists.persistent.get(path));
    if (type !== EventType.NodeChildrenChanged && this.#lists.persistentRecursive.size > 0) {
      for (let at = path; at !== ""; at = at === "/" ? "" : at.slice(0, at.lastIndexOf("/")) || "/") {
        addAll(heard, this.#lists.persistentRecursive.get(at));
      }
    }
    return heard;
  }

  /** Forgets watches of a `WatcherType` and returns who has to hear which local event. */
  remove(path: string, type: number): { readonly event: number; readonly calls: Set<WatchCall> }[] {
    const removed: { event: number; calls: Set<WatchCall> }[] = [];
    const any = type === WatcherType.Any;
    const drop = (event: number, names: readonly WatchList[]): void => {
      const calls = new Set<WatchCall>();
      for (const name of names) {
        addAll(calls, this.#lists[name].get(path));
        this.#lists[name].delete(path);
      }
      if (calls.size > 0) removed.push({ event, calls });
    };
    if (any || type === WatcherType.Children) drop(LocalEventType.ChildWatchRemoved, ["children"]);
    if (any || type === WatcherType.Data) drop(LocalEventType.DataWatchRemoved, ["data", "exists"]);
    const persistent: WatchList[] = [];
    if (any || type === WatcherType.Persistent) persistent.push("persistent");
    if (any || type === WatcherType.PersistentRecursive) persistent.push("persistentRecursive");
    drop(LocalEventType.PersistentWatchRemoved, persistent);
    return removed;
  }

  clear(): void {
    for (const name of listNames) this.#lists[name].clear();
  }

  /** All of them in portions of bounded size, each for one setWatches frame. */
  *portions(): Generator<WatchPaths> {
    let portion = emptyPortion();
    let bytes = 0;
    for (const name of listNames) {
      for (const path of this.#lists[name].keys()) {
        portion[name].push(path);
        // Three bytes is the most that a UTF-16 unit of a path takes.
        bytes += 4 + path.length * 3;
        if (bytes < setWatchesBytesMax) continue;
        yield portion;
        portion = emptyPortion();
        bytes = 0;
      }
    }
    if (bytes > 0) yield portion;
  }
}

function emptyPortion(): Record<WatchList, string[]> {
  return { data: [], exists: [], children: [], persistent: [], persistentRecursive: [] };
}

function addAll(to: Set<WatchCall>, from: Set<WatchCall> | undefined): void {
  if (from === undefined) return;
  for (const call of from) to.add(call);
}
