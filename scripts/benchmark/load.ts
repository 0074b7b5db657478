/**
 * Load: the benchmark's own load generator, a process of its own over raw sockets.
 *
 *   load.ts '{"mode":"load","port":2181,…}'
 *
 * `load`: N connections with a pipeline of D requests on each, spread over all the ports, for so many
 * seconds. `fan`: one change to N watchers. `watches`: M more watches, each on a path of its own.
 * `fill`: a tree of so many znodes. `sets`: so many writes to a few znodes. It prints one line of JSON,
 * with `watches` three, and waits in between for a line.
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { addCreate, addRead, addSet, addSync, Frames, Link, op, watchEventXid } from "./wire.ts";
import { Histogram, type SparseHistogram } from "./histogram.ts";

export interface LoadSpec {
  readonly mode: "load";
  /** Several for the peers of an ensemble: the connections take them in turn. */
  readonly ports: readonly number[];
  readonly connections: number;
  readonly depth: number;
  /** Percent. The rest are writes. */
  readonly readShare: number;
  readonly write: "set" | "create";
  readonly bytes: number;
  readonly keys: number;
  readonly warmMs: number;
  /** Reads alone until the warm-up is over: all comes to speed and the server's log does not grow. */
  readonly warmWithReads: boolean;
  readonly measureMs: number;
  /** 0 for none; else the latencies of writes are told for each window apart. */
  readonly windowMs: number;
}

export interface Latency {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

export interface LoadWindow {
  /** Wall time, ms since 1970. */
  readonly startMs: number;
  readonly writes: SparseHistogram;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
  readonly read: Latency;
  readonly write: Latency;
  readonly errors: number;
  readonly windows: readonly LoadWindow[];
}

export interface FanSpec {
  readonly mode: "fan";
  readonly port: number;
  readonly sessions: number;
  readonly rounds: number;
}

export interface FanResult {
  readonly meanMs: number;
  readonly eventsPerSecond: number;
}

export interface WatchesSpec {
  readonly mode: "watches";
  readonly port: number;
  readonly sessions: number;
  readonly watches: number;
}

export interface FillSpec {
  readonly mode: "fill";
  readonly port: number;
  readonly znodes: number;
  readonly perDirectory: number;
  readonly bytes: number;
  readonly connections: number;
  readonly depth: number;
}

/** So many writes, for somebody who is to have missed them. */
export interface SetsSpec {
  readonly mode: "sets";
  readonly port: number;
  readonly writes: number;
  readonly keys: number;
  readonly bytes: number;
  readonly connections: number;
  readonly depth: number;
}

export interface FillResult {
  readonly seconds: number;
}

const drainMsMax = 20_000;
const openAtOnce = 50;
const nodeExists = -110;

type Spec = LoadSpec | FanSpec | WatchesSpec | FillSpec | SetsSpec;

if (import.meta.main) {
  const spec = JSON.parse(process.argv[2] ?? "{}") as Spec;
  const print = (value: unknown): void => console.log(JSON.stringify(value));
  if (spec.mode === "load") print(await load(spec));
  else if (spec.mode === "fan") print(await fan(spec));
  else if (spec.mode === "fill") print(await fill(spec));
  else if (spec.mode === "sets") print(await sets(spec));
  else if (spec.mode === "watches") await armWatches(spec, print);
  else throw new Error(`There is no mode ${process.argv[2]}: load, fan, watches, fill or sets`);
  process.exit(0);
}

// ----------------------------------------------------------------------------------------- load

async function load(spec: LoadSpec): Promise<LoadResult> {
  const links = await openLinks(spec.ports, spec.connections);
  const base = basePath();
  const data = Buffer.alloc(spec.bytes, "v");
  await prepare(links[0] as Link, base, data, spec.keys);
  // A peer that is a little behind would not know the keys.
  if (spec.ports.length > 1) await Promise.all(links.map((link) => link.call((f) => addSync(f, 1, base))));

  const sets = keyFrames(spec.keys, (frames, i) => addSet(frames, 0, keyPath(base, i), data));
  const gets = keyFrames(
    spec.keys,
    (frames, i) => addRead(frames, 0, op.getData, keyPath(base, i), false),
  );
  const reads = new Histogram();
  const writes = new Histogram();
  const windows: { startMs: number; writes: Histogram }[] = [];
  const start = performance.now();
  const startWallMs = Date.now();
  const from = start + spec.warmMs;
  const to = from + spec.measureMs;
  let errors = 0;
  let live = 0;
  let created = 0;
  let stopping = false;

  return await new Promise((resolve, reject) => {
    const finish = (): void => {
      clearTimeout(timer);
      // What is still answered is the end of each session.
      for (const link of links) link.onReply = () => {};
      for (const link of links) link.onBatch = () => {};
      const seconds = spec.measureMs / 1000;
      const latency = (of: Histogram): Latency => ({
        p50Us: of.percentileUs(0.5),
        p99Us: of.percentileUs(0.99),
        maxUs: of.maxUs,
      });
      const result: LoadResult = {
        perSecond: (reads.count + writes.count) / seconds,
        readsPerSecond: reads.count / seconds,
        writesPerSecond: writes.count / seconds,
        read: latency(reads),
        write: latency(writes),
        errors,
        windows: windows.map((window) => ({ startMs: window.startMs, writes: window.writes.sparse() })),
      };
      Promise.all(links.map((link) => link.close())).then(() => resolve(result), reject);
    };
    const timer = setTimeout(
      () => reject(new Error(`${live} requests were not answered within ${drainMsMax} ms`)),
      spec.warmMs + spec.measureMs + drainMsMax,
    );
    const windowOf = (now: number): Histogram => {
      const index = Math.floor((now - from) / spec.windowMs);
      for (let i = windows.length; i <= index; i++) {
        windows.push({
          startMs: startWallMs + spec.warmMs + i * spec.windowMs,
          writes: new Histogram(),
        });
      }
      return (windows[index] as { writes: Histogram }).writes;
    };

    for (const link of links) {
      // Replies come in the order of the requests, so a ring says when each one left.
      const sentAt = new Float64Array(spec.depth);
      const isRead = new Uint8Array(spec.depth);
      let head = 0;
      let tail = 0;
      let xid = 1000;
      let now = 0;
      const frames = new Frames();
      const send = (): void => {
        if (stopping) return;
        const free = spec.depth - (head - tail);
        if (free === 0) return;
        const time = performance.now();
        const warming = spec.warmWithReads && time < from;
        let out: Buffer | null = null;
        let at = 0;
        for (let i = 0; i < free; i++) {
          const slot = head++ % spec.depth;
          const reading = warming || (spec.readShare > 0 && Math.random() * 100 < spec.readShare);
          sentAt[slot] = time;
          isRead[slot] = reading ? 1 : 0;
          xid++;
          if (!reading && spec.write === "create") {
            addCreate(frames, xid, `${base}/c${created++}`, data);
            continue;
          }
          // Made once and copied with another xid: the generator must not be the slowest part.
          const { bytes, size } = reading ? gets : sets;
          out ??= Buffer.allocUnsafeSlow(free * Math.max(sets.size, gets.size));
          const key = Math.floor(Math.random() * spec.keys) * size;
          bytes.copy(out, at, key, key + size);
          out.writeInt32BE(xid, at + 4);
          at += size;
        }
        live += free;
        if (out !== null) link.send(at === out.length ? out : out.subarray(0, at));
        if (frames.length > 0) link.send(frames.take());
      };
      link.onBroken = reject;
      link.onReply = (_bytes, _start, _xid, error) => {
        if (now === 0) now = performance.now();
        const slot = tail++ % spec.depth;
        live--;
        if (error !== 0) errors++;
        if (now < from || now >= to) return;
        const us = (now - (sentAt[slot] as number)) * 1000;
        if (isRead[slot] === 1) reads.record(us);
        else {
          writes.record(us);
          if (spec.windowMs > 0) windowOf(now).record(us);
        }
      };
      link.onBatch = () => {
        if (now >= to) stopping = true;
        now = 0;
        send();
        if (stopping && live === 0) finish();
      };
      send();
    }
  });
}

function basePath(): string {
  return `/bench-load/${process.pid.toString(36)}-${Date.now().toString(36)}`;
}

function keyPath(base: string, index: number): string {
  return `${base}/k${String(index).padStart(7, "0")}`;
}

/** All keys have paths of one length, so all frames of a kind have one size. */
function keyFrames(
  keys: number,
  add: (frames: Frames, index: number) => void,
): { bytes: Buffer; size: number } {
  const frames = new Frames();
  for (let i = 0; i < keys; i++) add(frames, i);
  const bytes = frames.take();
  return { bytes, size: bytes.length / keys };
}

async function prepare(link: Link, base: string, data: Uint8Array, keys: number): Promise<void> {
  for (const path of [base.slice(0, base.lastIndexOf("/")), base]) await makeParent(link, path);
  await pipelined([link], keys, 200, (frames, i) => addCreate(frames, i + 10, keyPath(base, i), data));
}

async function makeParent(link: Link, path: string): Promise<void> {
  const error = await link.call((frames) => addCreate(frames, 1, path, new Uint8Array(0)));
  if (error !== 0 && error !== nodeExists) throw new Error(`Cannot create ${path}: error ${error}`);
}

async function openLinks(ports: readonly number[], count: number): Promise<Link[]> {
  const links: Link[] = [];
  while (links.length < count) {
    const more = Math.min(openAtOnce, count - links.length);
    const portOf = (i: number): number => ports[(links.length + i) % ports.length] ?? 0;
    links.push(...await Promise.all(Array.from({ length: more }, (_, i) => Link.open(portOf(i)))));
  }
  return links;
}

/** Sends `count` requests over the links, `depth` at once on each, and waits for all replies. */
function pipelined(
  links: readonly Link[],
  count: number,
  depth: number,
  add: (frames: Frames, index: number, link: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let next = 0;
    let answered = 0;
    const fail = (error: Error): void => {
      for (const link of links) link.onReply = () => {};
      reject(error);
    };
    links.forEach((link, number) => {
      const frames = new Frames();
      let live = 0;
      link.onBroken = fail;
      link.onReply = (_bytes, _start, xid, error) => {
        if (xid === watchEventXid) return;
        live--;
        answered++;
        // An exists of what is not there is how a watch is set on it.
        if (error !== 0 && error !== -101) fail(new Error(`A request was refused with error ${error}`));
      };
      link.onBatch = () => {
        while (live < depth && next < count) {
          add(frames, next++, number);
          live++;
        }
        if (frames.length > 0) link.send(frames.take());
        if (answered === count) resolve();
      };
      link.onBatch();
    });
  });
}

// ----------------------------------------------------------------------------------- fan, watches

async function fan(spec: FanSpec): Promise<FanResult> {
  const links = await openLinks([spec.port], spec.sessions);
  const writer = links[0] as Link;
  const path = `/bench-fan-${process.pid}`;
  await makeParent(writer, path);
  let sumMs = 0;
  for (let round = 0; round < spec.rounds; round++) {
    await Promise.all(
      links.map((link) => link.call((frames) => addRead(frames, 10, op.getData, path, true))),
    );
    sumMs += await oneChange(links, writer, path);
  }
  await Promise.all(links.map((link) => link.close()));
  return { meanMs: sumMs / spec.rounds, eventsPerSecond: spec.sessions * spec.rounds * 1000 / sumMs };
}

/** From the write until the last session has its event. */
function oneChange(links: readonly Link[], writer: Link, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let waiting = links.length + 1; // the writer's own reply too
    let lastEvent = 0;
    const start = performance.now();
    const timer = setTimeout(() => reject(new Error(`${waiting} watch events never came`)), drainMsMax);
    for (const link of links) {
      link.onBroken = reject;
      link.onBatch = () => {};
      link.onReply = (_bytes, _start, xid) => {
        if (xid === watchEventXid) lastEvent = performance.now();
        if (--waiting > 0) return;
        clearTimeout(timer);
        resolve(lastEvent - start);
      };
    }
    const frames = new Frames();
    addSet(frames, 11, path, Buffer.from("y"));
    writer.send(frames.take());
  });
}

/** The owner reads the server's memory between the lines. */
async function armWatches(spec: WatchesSpec, print: (value: unknown) => void): Promise<void> {
  const links = await openLinks([spec.port], spec.sessions);
  print({ stage: "open" });
  await nextLine();
  const start = performance.now();
  await pipelined(links, spec.watches, 100, (frames, i, link) => {
    addRead(frames, i + 10, op.exists, `/bench-missing/${link}/${i}`, true);
  });
  print({ stage: "armed", perSecond: spec.watches * 1000 / (performance.now() - start) });
  await nextLine();
  print({ stage: "done" });
}

function nextLine(): Promise<void> {
  return new Promise((resolve) => {
    process.stdin.once("data", () => {
      process.stdin.pause();
      resolve();
    });
    process.stdin.resume();
  });
}

// ----------------------------------------------------------------------------------------- fill

/** /m/d0000/n0000000 and so on, so many to a directory. */
async function fill(spec: FillSpec): Promise<FillResult> {
  const links = await openLinks([spec.port], spec.connections);
  const data = Buffer.alloc(spec.bytes, "m");
  const directories = Math.ceil(spec.znodes / spec.perDirectory);
  const directoryOf = (i: number) => `/m/d${String(i).padStart(4, "0")}`;
  const start = performance.now();
  await makeParent(links[0] as Link, "/m");
  await pipelined(
    links.slice(0, 1),
    directories,
    spec.depth,
    (frames, i) => addCreate(frames, i + 10, directoryOf(i), new Uint8Array(0)),
  );
  await pipelined(links, spec.znodes, spec.depth, (frames, i) => {
    const path = `${directoryOf(Math.floor(i / spec.perDirectory))}/n${String(i).padStart(7, "0")}`;
    addCreate(frames, i + 10, path, data);
  });
  const seconds = (performance.now() - start) / 1000;
  await Promise.all(links.map((link) => link.close()));
  return { seconds };
}

async function sets(spec: SetsSpec): Promise<FillResult> {
  const links = await openLinks([spec.port], spec.connections);
  const base = basePath();
  const data = Buffer.alloc(spec.bytes, "v");
  await prepare(links[0] as Link, base, data, spec.keys);
  const start = performance.now();
  await pipelined(links, spec.writes, spec.depth, (frames, i) => {
    addSet(frames, i + 10, keyPath(base, i % spec.keys), data);
  });
  const seconds = (performance.now() - start) / 1000;
  await Promise.all(links.map((link) => link.close()));
  return { seconds };
}
