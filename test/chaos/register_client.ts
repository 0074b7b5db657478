/**
 * Register client: reads and writes a few znodes that others read and write too, and writes down what
 * it was told, with stamps, for the checker.
 *
 * Every value is written once only. A synced read is a sync and a read on one connection, sent
 * together. Every second plain read leaves a watch: from then on no newer data of that znode may
 * come to this client before the event, over reconnects too.
 */
import { bytesOf, textOf } from "../../src/core/base/bytes.ts";
import { ErrorCode, errorName } from "../../src/core/wire/errors.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { readDataReply, readStatReply } from "../../src/core/wire/replies.ts";
import { openAcl, pathBody, pathWatchBody, setAclBody, setDataBody } from "../support/bodies.ts";
import { sleep } from "../support/places.ts";
import type { Random } from "../support/random.ts";
import type { Finding, RegisterOp } from "./register_check.ts";
import { checkRegister } from "./register_check.ts";
import type { ChaosSession, Reply } from "./session.ts";

/** The history of some znodes over one round. */
export class Registers {
  readonly paths: readonly string[];
  readonly #ops = new Map<string, RegisterOp[]>();

  constructor(paths: readonly string[]) {
    this.paths = paths;
    for (const path of paths) this.#ops.set(path, []);
  }

  record(path: string, op: RegisterOp): void {
    this.#ops.get(path)?.push(op);
  }

  of(path: string): readonly RegisterOp[] {
    return this.#ops.get(path) ?? [];
  }

  get count(): number {
    let count = 0;
    for (const ops of this.#ops.values()) count += ops.length;
    return count;
  }

  check(): { readonly path: string; readonly finding: Finding }[] {
    return this.paths.flatMap((path) =>
      checkRegister(this.#ops.get(path) ?? []).map((finding) => ({ path, finding }))
    );
  }
}

export class RegisterClient {
  readonly session: ChaosSession;
  readonly #random: Random;
  readonly #pauseMs: number;
  #count = 0;
  /** Per znode what this session saw last. */
  readonly #versions = new Map<string, number>();
  /** Znodes with a watch, and the mzxid that was read with it. */
  readonly #watched = new Map<string, bigint>();
  #sessionId = 0n;

  constructor(session: ChaosSession, random: Random, pauseMs: number) {
    this.session = session;
    this.#random = random;
    this.#pauseMs = pauseMs;
    session.onEvent = (event) => this.#watched.delete(event.path);
  }

  async run(registers: Registers, isOver: () => boolean): Promise<void> {
    this.#versions.clear();
    this.#watched.clear();
    this.session.watches.clear();
    while (!isOver()) {
      if (!await this.session.connected(200)) continue;
      if (this.session.id !== this.#sessionId) {
        this.#sessionId = this.session.id;
        this.#versions.clear();
        this.#watched.clear();
      }
      const path = this.#random.pick(registers.paths);
      const dice = this.#random.below(100);
      if (dice < 30) await this.#write(registers, path, null);
      else if (dice < 50) await this.#write(registers, path, this.#versions.get(path) ?? 0);
      else if (dice < 80) await this.#read(registers, path, true);
      else await this.#read(registers, path, false);
      if (this.#random.below(20) === 0) await this.#setAcl(path);
      if (this.#random.below(400) === 0) this.session.cut();
      await sleep(this.#random.below(2 * this.#pauseMs + 1));
    }
  }

  /** A synced read of every znode at the end of a round: the last word on what is there. */
  async readAll(registers: Registers): Promise<boolean> {
    for (const path of registers.paths) {
      let done = false;
      for (let tries = 0; tries < 100 && !done; tries++) {
        if (await this.session.connected(200)) done = await this.#read(registers, path, true);
      }
      if (!done) return false;
    }
    return true;
  }

  /** Lists that everybody passes and that differ; what becomes of them is seen when trees are compared. */
  async #setAcl(path: string): Promise<void> {
    const one = { perms: 1 + this.#random.below(31), scheme: "ip", id: `10.0.0.${this.#random.below(256)}` };
    const acls = [...openAcl, one].slice(0, 1 + this.#random.below(2));
    const answer = await this.session.request(OpCode.SetAcl, setAclBody(path, acls, -1));
    if (answer.kind === "lost" || answer.err === ErrorCode.Ok) return;
    this.session.judge.violation(`${this.session.name}: setACL on ${path} answered ${errorName(answer.err)}`);
  }

  async #write(registers: Registers, path: string, expected: number | null): Promise<void> {
    const { judge, name } = this.session;
    const value = `${name}.${++this.#count}`;
    const called = judge.stamp();
    let returned = Infinity;
    const body = setDataBody(path, bytesOf(value), expected ?? -1);
    const answer = await this.session.request(OpCode.SetData, body, () => returned = judge.stamp());
    const op = { client: name, kind: "write", value, expected, called, returned } as const;
    if (answer.kind === "lost") {
      registers.record(path, { ...op, outcome: "unknown", version: -1, mzxid: 0n });
    } else if (answer.err === ErrorCode.Ok) {
      const stat = readStatReply(new Reader(answer.body));
      const mzxid = BigInt(stat.mzxid);
      if (mzxid !== answer.zxid) {
        judge.violation(
          `${name}: ${path} was written at 0x${mzxid.toString(16)}, said the reply at 0x${
            answer.zxid.toString(16)
          }`,
        );
      }
      this.#sawVersion(path, stat.version);
      registers.record(path, { ...op, outcome: "ok", version: stat.version, mzxid });
    } else if (answer.err === ErrorCode.BadVersion && expected !== null) {
      registers.record(path, { ...op, outcome: "refused", version: -1, mzxid: 0n });
    } else {
      judge.violation(`${name}: setData on ${path} answered ${errorName(answer.err)}`);
    }
  }

  async #read(registers: Registers, path: string, isSynced: boolean): Promise<boolean> {
    const { session } = this;
    const { judge, name } = session;
    const watch = !isSynced && this.#random.percent(50);
    const called = judge.stamp();
    let returned = Infinity;
    const synced = isSynced ? session.request(OpCode.Sync, pathBody(path)) : null;
    const seen = (reply: Reply) => {
      returned = judge.stamp();
      if (reply.err === ErrorCode.Ok) this.#sawData(path, reply, watch);
    };
    const read = session.request(OpCode.GetData, pathWatchBody(path, watch), seen);
    if (synced !== null) {
      const answer = await synced;
      if (answer.kind === "lost" || answer.err !== ErrorCode.Ok) return false;
    }
    const answer = await read;
    if (answer.kind === "lost") return false;
    if (answer.err !== ErrorCode.Ok) {
      judge.violation(`${name}: getData of ${path} answered ${errorName(answer.err)}`);
      return false;
    }
    const { data, stat } = readDataReply(new Reader(answer.body));
    this.#sawVersion(path, stat.version);
    registers.record(path, {
      client: name,
      kind: isSynced ? "read" : "peek",
      value: data === null ? "" : textOf(data),
      expected: null,
      called,
      returned,
      outcome: "ok",
      version: stat.version,
      mzxid: BigInt(stat.mzxid),
    });
    return true;
  }

  /** In the order of frames. Newer data than what was read with the watch has to wait for its event. */
  #sawData(path: string, reply: Reply, watch: boolean): void {
    const { stat } = readDataReply(new Reader(reply.body));
    const mzxid = BigInt(stat.mzxid);
    const watched = this.#watched.get(path);
    if (watched !== undefined && mzxid > watched) {
      this.session.judge.violation(
        `${this.session.name}: ${path} was watched at 0x${watched.toString(16)} and read at 0x${
          mzxid.toString(16)
        } without an event before`,
      );
      this.#watched.delete(path);
    }
    if (watch) {
      this.#watched.set(path, mzxid);
      this.session.watches.add(path);
    }
  }

  #sawVersion(path: string, version: number): void {
    const before = this.#versions.get(path) ?? 0;
    if (version < before) {
      this.session.judge.violation(
        `${this.session.name}: saw version ${version} of ${path} after version ${before}`,
      );
    }
    this.#versions.set(path, version);
  }
}
