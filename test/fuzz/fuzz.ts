/**
 * Fuzz: hostile frames on several connections at once, against a running server.
 *
 * Each worker sends bursts on one connection until the server closes it. After each burst comes a
 * ping; when the connection is still open then, every request before it must have had its reply, in
 * order. Meanwhile a canary is served, the server's memory is sampled, and hostile connections come
 * and go. Sessions are left behind with the shortest timeout, so expiry works all the time as well.
 */
import { readFileSync } from "node:fs";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import {
  connectFrame,
  createBody,
  noBody,
  pathNumberBody,
  pathWatchBody,
  requestFrame,
} from "../support/bodies.ts";
import { sleep } from "../support/places.ts";
import { Random } from "../support/random.ts";
import { WireSession } from "../support/wire_session.ts";
import { WireConnection } from "../support/wire_connection.ts";
import { Canary } from "./canary.ts";
import { hostileStories } from "./hostile_connections.ts";
import { fuzzRoot, hostileFrame } from "./hostile_frames.ts";

export interface FuzzOptions {
  readonly port: number;
  readonly pid: number;
  readonly seed: number;
  readonly frames: number;
  readonly connections: number;
  readonly untilMs: number;
  readonly progress?: (frames: number, residentMb: number) => void;
}

export interface FuzzResult {
  readonly frames: number;
  readonly sessions: number;
  readonly stories: number;
  readonly closedByServer: number;
  readonly replies: number;
  readonly canaryRounds: number;
  readonly canaryMsP99: number;
  readonly canaryMsMax: number;
  readonly canaryValue: string;
  readonly residentMbStart: number;
  readonly residentMbMax: number;
  readonly residentMbEnd: number;
  readonly failures: readonly string[];
  readonly seconds: number;
}

export const canaryPath = "/canary";
const burstFramesMax = 64;
/** On frames that may end the connection: whether they are answered does not matter. */
const uncountedXid = -9;
const failuresMax = 5;
const cleanEveryMs = 2000;

/** Resident memory of a process in MB; 0 where /proc does not say. */
export function residentMb(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmRSS:\s+(\d+)/m)?.[1] ?? 0) / 1024;
  } catch {
    // Not Linux, or the process is gone; the run notices the latter by other means.
    return 0;
  }
}

class Fuzzer {
  frames = 0;
  sessions = 0;
  stories = 0;
  closedByServer = 0;
  replies = 0;
  readonly failures: string[] = [];
  readonly #options: FuzzOptions;
  readonly #until: number;

  constructor(options: FuzzOptions) {
    this.#options = options;
    this.#until = performance.now() + options.untilMs;
  }

  get done(): boolean {
    return this.frames >= this.#options.frames || this.failures.length >= failuresMax ||
      performance.now() > this.#until;
  }

  #failed(what: string): void {
    if (this.failures.length < failuresMax) this.failures.push(what);
  }

  async frameWorker(number: number): Promise<void> {
    const random = new Random(this.#options.seed * 1000 + number);
    while (!this.done) {
      try {
        await this.#session(random);
      } catch (error) {
        this.#failed(`worker ${number}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  async #session(random: Random): Promise<void> {
    const connection = await WireConnection.open(this.#options.port);
    connection.write(connectFrame({ timeoutMs: 4000, readOnly: false }));
    const first = await connection.take(10_000);
    if (first === null) throw new Error("a right ConnectRequest was closed without a reply");
    this.sessions++;
    let xid = 0;
    /** The xid of the next reply. */
    let due = 1;
    let pings = 0;
    let wrong: string | null = null;
    connection.onFrame = (frame) => {
      const r = new Reader(frame);
      const got = r.i32();
      r.i64();
      r.i32();
      if (r.failed) wrong ??= `a frame of ${frame.length} bytes has no reply header`;
      else if (got === -2) pings++;
      else if (got > 0) {
        if (got !== due) wrong ??= `reply ${got} came where ${due} was due`;
        due = got + 1;
        this.replies++;
      }
    };
    let mayClose = false;
    let pingsSent = 0;
    for (let burst = 1; !this.done && !connection.closed && !mayClose; burst++) {
      for (let i = random.below(burstFramesMax); i >= 0 && !mayClose; i--) {
        const hostile = hostileFrame(random, xid + 1);
        const view = new DataView(hostile.bytes.buffer);
        mayClose = hostile.mayClose;
        if (hostile.bytes.length >= 12) {
          if (mayClose) view.setInt32(4, uncountedXid);
          else if (view.getInt32(8) === OpCode.Ping) pingsSent++;
          else xid++;
        }
        connection.write(hostile.bytes);
        this.frames++;
      }
      connection.write(requestFrame(-2, OpCode.Ping, noBody));
      pingsSent++;
      const settled = () => connection.closed || wrong !== null || (pings >= pingsSent && due > xid);
      // What may close may also be half a frame that swallows the ping: then nothing more is due.
      const inTime = await connection.waitUntil(settled, mayClose ? 150 : 20_000);
      if (wrong !== null) throw new Error(`burst ${burst}: ${wrong}`);
      if (mayClose) break;
      if (!inTime) {
        throw new Error(
          `burst ${burst}: after 20 s ${xid - due + 1} replies and ${pingsSent - pings} pings are missing`,
        );
      }
      if (connection.closed) throw new Error(`burst ${burst}: closed by the server without a reason`);
    }
    if (connection.closed) this.closedByServer++;
    connection.destroy();
  }

  async storyWorker(): Promise<void> {
    const random = new Random(this.#options.seed * 1000 + 999);
    while (!this.done) {
      try {
        const sent = await random.weighted(hostileStories)(this.#options.port, random);
        this.frames += sent;
        this.stories++;
      } catch (error) {
        this.#failed(`story: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  /** Keeps the tree small: what bent requests have made is taken away again. */
  async cleaner(): Promise<void> {
    const session = await WireSession.connect(this.#options.port, { timeoutMs: 30_000 });
    let lastMs = performance.now();
    while (!this.done) {
      await sleep(100);
      if (performance.now() - lastMs < cleanEveryMs) continue;
      lastMs = performance.now();
      await this.#clean(session, fuzzRoot, 0).catch((error: unknown) => {
        this.#failed(`cleaner: ${error instanceof Error ? error.message : String(error)}`);
      });
    }
    session.drop();
  }

  async #clean(session: WireSession, path: string, depth: number): Promise<void> {
    const reply = await session.ask(OpCode.GetChildren, pathWatchBody(path, false), 20_000);
    if (reply.err !== 0 || depth > 3) return;
    for (const name of new Reader(reply.body).strings() ?? []) {
      const child = `${path}/${name ?? ""}`;
      const gone = await session.ask(OpCode.Delete, pathNumberBody(child, -1), 20_000);
      if (gone.err === -111) await this.#clean(session, child, depth + 1);
    }
  }
}

export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const begun = performance.now();
  const fuzzer = new Fuzzer(options);
  const setup = await WireSession.connect(options.port, { timeoutMs: 30_000 });
  await setup.ask(OpCode.Create, createBody(fuzzRoot, null));
  await setup.close();
  const canary = await Canary.start(options.port, canaryPath);
  const residentMbStart = residentMb(options.pid);
  let residentMbMax = residentMbStart;
  const watcher = setInterval(() => {
    const now = residentMb(options.pid);
    if (now > residentMbMax) residentMbMax = now;
    options.progress?.(fuzzer.frames, now);
  }, 250);
  const workers: Promise<void>[] = [fuzzer.storyWorker(), fuzzer.cleaner()];
  for (let i = 0; i < options.connections; i++) workers.push(fuzzer.frameWorker(i));
  await Promise.all(workers);
  clearInterval(watcher);
  await canary.stop();
  if (canary.failure !== null) fuzzer.failures.push(`canary: ${canary.failure.message}`);
  return {
    frames: fuzzer.frames,
    sessions: fuzzer.sessions,
    stories: fuzzer.stories,
    closedByServer: fuzzer.closedByServer,
    replies: fuzzer.replies,
    canaryRounds: canary.rounds,
    canaryMsP99: canary.latencyMs(0.99),
    canaryMsMax: canary.latencyMsMax,
    canaryValue: canary.value,
    residentMbStart,
    residentMbMax,
    residentMbEnd: residentMb(options.pid),
    failures: fuzzer.failures,
    seconds: (performance.now() - begun) / 1000,
  };
}
