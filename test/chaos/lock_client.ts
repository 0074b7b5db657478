/**
 * Lock client: the lock recipe of ephemeral sequential znodes, with fencing by czxid.
 *
 * Who has the lowest number holds the lock; the others each watch the one before them. While it holds,
 * a client writes to a fenced znode, in one multi with a check that its own lock znode is there.
 * Then, in zxid order, the czxid of the holders that wrote never falls: whoever came later came after
 * the one before had gone. That is exact, and asks no clock.
 *
 * Two believing at the same time that they hold it is told too. A client believes so until its session
 * could have expired without its knowing.
 */
import { bytesOf } from "../../src/core/base/bytes.ts";
import { ErrorCode, errorName } from "../../src/core/wire/errors.ts";
import { CreateMode, OpCode } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { readCreate2Reply, readNamesReply, readStatReply } from "../../src/core/wire/replies.ts";
import {
  createBody,
  multiBody,
  pathBody,
  pathNumberBody,
  pathWatchBody,
  setDataBody,
} from "../support/bodies.ts";
import { sleep } from "../support/places.ts";
import type { Random } from "../support/random.ts";
import type { Judge } from "./judge.ts";
import { type ChaosSession, expiryMarginMs } from "./session.ts";

interface Made {
  readonly name: string;
  readonly czxid: number;
}

/** What all who contend for one lock did, in one round. */
export class LockHistory {
  readonly path: string;
  readonly fencePath: string;
  readonly #judge: Judge;
  readonly #fenced: { readonly zxid: bigint; readonly token: number; readonly client: string }[] = [];
  readonly #made: Made[] = [];
  #holder: { readonly client: string; readonly until: () => number } | null = null;

  constructor(path: string, judge: Judge) {
    this.path = path;
    this.fencePath = `${path}-fence`;
    this.#judge = judge;
  }

  made(name: string, czxid: number): void {
    this.#made.push({ name, czxid });
  }

  fenced(zxid: bigint, token: number, client: string): void {
    this.#fenced.push({ zxid, token, client });
  }

  /** `until`: the time up to which the client may believe, as it moves on. */
  acquired(client: string, until: () => number): void {
    const { nowMs } = this.#judge;
    const holder = this.#holder;
    if (holder !== null && holder.until() > nowMs) {
      this.#judge.violation(`${this.path}: ${client} got it while ${holder.client} held it`);
    }
    this.#judge.locksHeld++;
    this.#holder = { client, until };
  }

  released(client: string): void {
    if (this.#holder?.client === client) this.#holder = null;
  }

  check(): string[] {
    return [...this.#checkFences(), ...this.#checkNames()].map((sentence) => `${this.path}: ${sentence}`);
  }

  #checkFences(): string[] {
    const told: string[] = [];
    this.#fenced.sort((a, b) => a.zxid < b.zxid ? -1 : 1);
    for (const [index, one] of this.#fenced.entries()) {
      const before = this.#fenced[index - 1];
      if (before === undefined || one.token >= before.token) continue;
      told.push(
        `${one.client} wrote at 0x${one.zxid.toString(16)} with token 0x${
          one.token.toString(16)
        }, after ${before.client} at 0x${before.zxid.toString(16)} with 0x${before.token.toString(16)}`,
      );
    }
    return told;
  }

  /** Sequence numbers are unique and grow in the order of creation. */
  #checkNames(): string[] {
    const told: string[] = [];
    this.#made.sort((a, b) => a.czxid - b.czxid);
    for (const [index, one] of this.#made.entries()) {
      const before = this.#made[index - 1];
      if (before === undefined || numberOf(one.name) > numberOf(before.name)) continue;
      told.push(
        `${one.name} was made at 0x${one.czxid.toString(16)}, after ${before.name} at 0x${
          before.czxid.toString(16)
        }`,
      );
    }
    return told;
  }
}

function numberOf(name: string): number {
  return Number(name.slice(-10));
}

export class LockClient {
  readonly session: ChaosSession;
  readonly #random: Random;
  #count = 0;
  #event: (() => void) | null = null;

  constructor(session: ChaosSession, random: Random) {
    this.session = session;
    this.#random = random;
    session.onEvent = () => this.#event?.();
  }

  async run(history: LockHistory, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      if (!await this.session.connected(200)) continue;
      const { id } = this.session;
      const isMine = () => this.session.id === id;
      const made = await this.#make(history, isMine);
      if (made === null) continue;
      const path = `${history.path}/${made.name}`;
      if (await this.#wait(history, made, () => isOver() || !isMine())) {
        await this.#hold(history, path, made.czxid, () => isOver() || !isMine());
      }
      await this.#remove(path, isMine);
      await sleep(this.#random.below(80));
    }
  }

  /** A create whose answer is lost is looked for by its prefix, which is its own. */
  async #make(history: LockHistory, isMine: () => boolean): Promise<Made | null> {
    const prefix = `${this.session.name}.${++this.#count}-`;
    const body = createBody(`${history.path}/${prefix}`, null, CreateMode.EphemeralSequential);
    let made: Made | null = null;
    const answer = await this.session.request(OpCode.Create2, body);
    if (answer.kind === "reply") {
      if (answer.err !== ErrorCode.Ok) {
        this.#complain(`create under ${history.path} answered ${errorName(answer.err)}`);
        return null;
      }
      const { path, stat } = readCreate2Reply(new Reader(answer.body));
      made = { name: path.slice(history.path.length + 1), czxid: stat.czxid };
    }
    while (made === null && isMine()) {
      if (!await this.#isReady(isMine)) continue;
      // Without a sync this server may not have heard yet of what happened elsewhere.
      const synced = this.session.request(OpCode.Sync, pathBody(history.path));
      const names = await this.#children(history);
      if ((await synced).kind === "lost" || names === null) continue;
      const name = names.find((one) => one.startsWith(prefix));
      if (name === undefined) return null;
      const stat = await this.session.request(OpCode.Exists, pathWatchBody(`${history.path}/${name}`, false));
      if (stat.kind === "lost") continue;
      if (stat.err !== ErrorCode.Ok) return null;
      made = { name, czxid: readStatReply(new Reader(stat.body)).czxid };
    }
    if (made === null) return null;
    history.made(made.name, made.czxid);
    return made;
  }

  /** Connected, and still with the session that the caller works for. */
  async #isReady(isMine: () => boolean): Promise<boolean> {
    return await this.session.connected(200) && isMine();
  }

  async #children(history: LockHistory): Promise<string[] | null> {
    const answer = await this.session.request(OpCode.GetChildren, pathWatchBody(history.path, false));
    if (answer.kind === "lost" || answer.err !== ErrorCode.Ok) return null;
    return readNamesReply(new Reader(answer.body));
  }

  /** True once nobody is before us. */
  async #wait(history: LockHistory, made: Made, isOver: () => boolean): Promise<boolean> {
    const own = numberOf(made.name);
    while (!isOver()) {
      if (!await this.#isReady(() => !isOver())) continue;
      const names = await this.#children(history);
      if (isOver()) return false;
      if (names === null) continue;
      // Not there although the session is: only its expiry takes it away, and then we hear of that.
      if (!names.includes(made.name)) {
        const { id } = this.session;
        await sleep(50);
        if (await this.#isReady(() => !isOver())) await this.#checkGone(`${history.path}/${made.name}`, id);
        return false;
      }
      const before = names.filter((name) =>
        numberOf(name) < own
      ).sort((a, b) => numberOf(b) - numberOf(a))[0];
      if (before === undefined) return true;
      const path = `${history.path}/${before}`;
      let wake: () => void = () => {};
      const event = new Promise<void>((resolve) => wake = resolve);
      this.#event = wake;
      const answer = await this.session.request(
        OpCode.GetData,
        pathWatchBody(path, true),
        (reply) => {
          if (reply.err === ErrorCode.Ok) this.session.watches.add(path);
        },
      );
      if (answer.kind === "reply" && answer.err === ErrorCode.Ok) await Promise.race([event, sleep(400)]);
      this.#event = null;
    }
    return false;
  }

  /** A write of the session that is answered proves that the session lives; then its znode has to be there. */
  async #checkGone(path: string, id: bigint): Promise<void> {
    const [alive, there] = await Promise.all([
      this.session.request(
        OpCode.SetData,
        setDataBody(`${path.split("/").slice(0, -1).join("/")}`, null, -1),
      ),
      this.session.request(OpCode.Exists, pathWatchBody(path, false)),
    ]);
    if (alive.kind === "lost" || there.kind === "lost" || alive.err !== ErrorCode.Ok) return;
    if (there.err === ErrorCode.NoNode && this.session.id === id) {
      this.#complain(`${path} is gone and its session 0x${id.toString(16)} writes`);
    }
  }

  async #hold(history: LockHistory, path: string, token: number, isOver: () => boolean): Promise<void> {
    const { session } = this;
    const { judge } = session;
    // What proved that we hold it is a reply of now, so the proof of a living session is the latest write.
    const believedUntil = () => session.confirmedMs + session.timeoutMs - expiryMarginMs(session.timeoutMs);
    history.acquired(session.name, believedUntil);
    let until = judge.nowMs + 30 + this.#random.below(250);
    let writes = 0;
    while (!isOver() && judge.nowMs < until) {
      if (!await session.connected(100)) continue;
      // While it waited the session may have expired and another have begun.
      if (isOver()) break;
      const body = multiBody([
        { op: OpCode.Check, body: pathNumberBody(path, -1) },
        {
          op: OpCode.SetData,
          body: setDataBody(history.fencePath, bytesOf(`${session.name} ${token} ${writes++}`), -1),
        },
      ]);
      const answer = await session.request(OpCode.Multi, body);
      if (answer.kind === "reply") {
        if (answer.err !== ErrorCode.Ok) {
          this.#complain(`${path} answers ${errorName(answer.err)} to a multi of its own living session`);
          break;
        }
        history.fenced(answer.zxid, token, session.name);
      }
      await sleep(this.#random.below(30));
      // A holder that stands still, often for longer than its session lasts, and then writes on.
      if (this.#random.below(150) === 0) {
        await session.doze(session.timeoutMs * (0.4 + this.#random.below(14) / 10));
        until = judge.nowMs + 100;
      }
    }
    history.released(session.name);
  }

  async #remove(path: string, isMine: () => boolean): Promise<void> {
    for (let tries = 0; tries < 200 && isMine(); tries++) {
      if (!await this.#isReady(isMine)) continue;
      const answer = await this.session.request(OpCode.Delete, pathNumberBody(path, -1));
      if (answer.kind === "lost") continue;
      if (answer.err !== ErrorCode.Ok && answer.err !== ErrorCode.NoNode) {
        this.#complain(`delete of ${path} answered ${errorName(answer.err)}`);
      }
      return;
    }
  }

  #complain(sentence: string): void {
    this.session.judge.violation(`${this.session.name}: ${sentence}`);
  }
}
