/**
 * Client: speaks the client protocol, keeps its session over reconnects and moves between members.
 *
 * It believes nothing: replies come in the order of its requests, zxids never go back, each reply is
 * held against the committed history. What it asked when a line broke may have happened or not.
 */
import { OpCode, opName, Xid } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { readConnectReply, readReplyHeader, readWatchEvent } from "../../src/core/wire/replies.ts";
import {
  writeAuthRequest,
  writeConnectRequest,
  writeRequestHeader,
  writeSetWatches2Request,
} from "../../src/core/wire/requests.ts";
import { Writer } from "../../src/core/wire/writer.ts";
import type { Id } from "../../src/core/wire/records.ts";
import { bytesOf } from "../../src/core/base/bytes.ts";
import { ErrorCode } from "../../src/core/wire/errors.ts";
import { identitiesOf, users } from "./acls.ts";
import { Watches } from "./checkers/watches.ts";
import { ClientLine } from "./client_line.ts";
import {
  type Ask,
  checkRead,
  checkWrite,
  closeAsk,
  createAsk,
  randomAsk,
  readAsk,
  syncAsk,
} from "./client_ops.ts";
import { frameBytesShort } from "./plan.ts";
import type { Chance } from "./prng.ts";
import { hex, hold } from "./violation.ts";
import type { World } from "./world.ts";

const watchesMax = 8;
const madeMax = 12;

interface Session {
  readonly id: bigint;
  readonly password: Uint8Array;
  timeoutMs: number;
}

interface Pending {
  readonly ask: Ask;
  readonly xid: number;
  /** Of a sync: so many txns had been seen by anybody when it was asked. */
  readonly seenCount: number;
}

export class Client {
  readonly id: number;
  readonly #world: World;
  readonly #chance: Chance;
  /** A client that checks progress stays with this member and asks its few things; null goes anywhere. */
  readonly #home: number | null;
  readonly #isProbe: boolean;
  readonly #watches: Watches;
  /** What it proves on each of its connections; null for nothing. */
  readonly #user: string | null;
  readonly #identities: readonly Id[];
  #script: Ask[] = [];
  #session: Session | null = null;
  #zxidSeen = 0;
  #sidLast = 0;
  #xidNext = 1;
  #line: ClientLine | null = null;
  #isDialing = false;
  #isOpen = false;
  #renewing = false;
  #pending: Pending[] = [];
  readonly #made: string[] = [];
  #heardAtMs = 0;
  #saidAtMs = 0;
  /** From here on a client that only pings has pinged for long enough. */
  #idleUntilMs = 0;
  isDone = false;
  readonly #timeoutMs: number;

  constructor(world: World, id: number, home: number | null) {
    this.#world = world;
    this.id = id;
    this.#home = home;
    this.#isProbe = world.isHealed;
    this.#chance = world.chance.fork(`client ${id}`);
    this.#user = this.#chance.happens(0.7) ? this.#chance.pick(users) : null;
    this.#identities = identitiesOf(id, this.#user);
    this.#watches = new Watches(world.history.model, id, this.#identities);
    const ticks = this.#isProbe ? this.#chance.between(6, 10) : this.#chance.between(3, 12);
    this.#timeoutMs = world.plan.tickMs * ticks;
    if (this.#isProbe) this.#fillScript();
  }

  start(): void {
    this.#beatSoon();
  }

  /** Faults are over: this one says goodbye, or just stays away. */
  retire(): void {
    if (this.#chance.happens(0.5) && this.#isOpen) this.#ask(closeAsk());
    else this.#drop();
    this.isDone = true;
  }

  /** Some stay for three times their timeout and do no more than ping: their session must live. */
  #fillScript(): void {
    const path = `/probe-${this.id}`;
    const stays = this.#home === null;
    if (stays) this.#idleUntilMs = this.#world.timeline.nowMs + 3 * this.#timeoutMs;
    this.#script = [
      createAsk(path, stays ? 1 : 0, bytesOf("probe")),
      syncAsk(),
      readAsk(OpCode.GetData, path, false),
      readAsk(OpCode.GetChildren, "/", false),
      closeAsk(),
    ];
  }

  describe(): string {
    const state = this.#line === null
      ? "has no line"
      : this.#isOpen
      ? "is connected"
      : "waits for its session";
    return `client ${this.id} ${state}, ${this.#pending.length} unanswered, ${this.#script.length} to ask`;
  }

  // ----------------------------------------------------------------------------------------- beat

  #beatSoon(): void {
    const { plan, timeline } = this.#world;
    const ms = this.#isProbe ? this.#chance.ms(2, 20) : this.#chance.ms(0, 2000 / plan.opsPerSecond);
    timeline.after(ms, () => this.#beat());
  }

  #beat(): void {
    if (this.isDone) return;
    const { timeline, plan, coverage } = this.#world;
    const now = timeline.nowMs;
    if (this.#line === null) this.#connect();
    else if (now - this.#heardAtMs > (this.#timeoutMs * 2) / 3) this.#drop();
    else if (this.#isOpen) {
      if (this.#isProbe) this.#askNext();
      else if (this.#chance.happens(0.015)) {
        coverage.count("client moves");
        this.#drop();
      } else if (this.#chance.happens(0.01)) this.#ask(closeAsk());
      else {
        const count = this.#chance.between(1, 3);
        for (let i = 0; i < count && this.#pending.length < plan.pipelineMax; i++) this.#ask(this.#random());
      }
      if (this.#line !== null && now - this.#saidAtMs > this.#timeoutMs / 4) {
        this.#send(Xid.Ping, OpCode.Ping, () => {});
      }
    }
    this.#beatSoon();
  }

  #random(): Ask {
    const token = `${this.id}:${this.#xidNext}:`;
    const { dataBytesMax, frameBytesMax } = this.#world.plan;
    const isWide = frameBytesMax === frameBytesShort;
    const ask = randomAsk({ chance: this.#chance, dataBytesMax, isWide, token, made: this.#made });
    if (ask.op === OpCode.AddWatch && this.#watches.size >= watchesMax) return syncAsk();
    return ask.watch && this.#watches.size >= watchesMax ? readAsk(ask.op, ask.path, false) : ask;
  }

  #askNext(): void {
    if (this.#pending.length > 0) return;
    if (this.#script.length < 3 && this.#world.timeline.nowMs < this.#idleUntilMs) return;
    const ask = this.#script[0];
    if (ask === undefined) this.isDone = true;
    else this.#ask(ask);
  }

  // -------------------------------------------------------------------------------------- connect

  #connect(): void {
    if (this.#isDialing) return;
    this.#isDialing = true;
    const { timeline, plan, members, network } = this.#world;
    const member = this.#home === null ? this.#chance.pick(members) : this.#world.member(this.#home);
    timeline.after(this.#chance.longTail(plan.netMsMin, plan.netMsMax), () => {
      this.#isDialing = false;
      if (this.isDone || this.#line !== null || network.isBroken(this.id, member.sid)) return;
      const line = ClientLine.open(this.#world, this, member);
      if (line === null) return;
      this.#line = line;
      this.#heardAtMs = timeline.nowMs;
      const session = this.#session;
      const w = new Writer(64);
      writeConnectRequest(w, {
        protocolVersion: 0,
        zxidSeen: this.#zxidSeen,
        timeoutMs: this.#timeoutMs,
        sessionId: session?.id ?? 0n,
        password: session?.password ?? null,
        readOnly: false,
      });
      line.send(w.copy());
    });
  }

  #drop(): void {
    const line = this.#line;
    if (line === null) return;
    line.close();
    this.lost(line);
  }

  /** The line is over, whoever ended it. */
  lost(line: ClientLine): void {
    if (line !== this.#line) return;
    this.#line = null;
    this.#isOpen = false;
    this.#renewing = false;
    this.#watches.lost();
    // Who asked for the end of its session does not come back to it.
    if (this.#pending.at(-1)?.ask.op === OpCode.CloseSession) this.#forgetSession();
    this.#pending = [];
  }

  #forgetSession(): void {
    this.#session = null;
    this.#watches.clear();
    this.#xidNext = 1;
    this.#made.length = 0;
  }

  // --------------------------------------------------------------------------------------- asking

  #send(xid: number, op: number, body: (w: Writer) => void): void {
    const w = new Writer(128);
    writeRequestHeader(w, xid, op);
    body(w);
    this.#saidAtMs = this.#world.timeline.nowMs;
    this.#line?.send(w.copy());
  }

  #ask(ask: Ask): void {
    if (this.#pending.at(-1)?.ask.op === OpCode.CloseSession) return;
    const xid = this.#xidNext++;
    this.#pending.push({ ask, xid, seenCount: this.#world.seenCount });
    this.#world.coverage.count(`client ${opName(ask.op)}`);
    this.#world.trace(() => `${this.id} asks ${this.#line?.member.sid} xid ${xid}: ${ask.text}`);
    this.#send(xid, ask.op, ask.write);
  }

  // -------------------------------------------------------------------------------------- hearing

  heard(line: ClientLine, bytes: Uint8Array): void {
    const frames = new Reader(bytes);
    while (frames.left > 0 && line === this.#line) {
      const frame = frames.buffer();
      hold(frame !== null && !frames.failed, "members write whole frames", () => `to ${this.id}`);
      if (frame === null) return;
      this.#heardAtMs = this.#world.timeline.nowMs;
      if (this.#isOpen) this.#reply(new Reader(frame.slice()));
      else this.#welcome(new Reader(frame));
    }
  }

  #welcome(r: Reader): void {
    const { coverage, history } = this.#world;
    const { timeoutMs, sessionId, password } = readConnectReply(r);
    const id = BigInt.asIntN(64, sessionId);
    const before = this.#session;
    const sid = this.#line?.member.sid;
    if (timeoutMs === 0) {
      const closed = before !== null && history.model.sessions.get(before.id)?.closedAt !== 0;
      coverage.count(
        closed ? "sessions refused as closed" : "sessions refused before the close is committed",
      );
      this.#world.trace(() => `${this.id} is refused by ${sid}`);
      hold(
        !this.#isProbe || this.#home !== null || before === null,
        "sessions live while their clients are heard",
        () => `${this.id} at ${sid}`,
      );
      this.#forgetSession();
      this.#drop();
      return;
    }
    hold(password !== null && !r.failed, "welcomes are whole", () => `${this.id} at ${sid}`);
    this.#world.trace(() => `${this.id} has session ${BigInt.asUintN(64, id).toString(16)} at ${sid}`);
    if (before === null) {
      hold(
        history.model.sessions.get(id)?.closedAt === 0,
        "sessions are committed",
        () => `${this.id} at ${sid}`,
      );
      coverage.count("sessions created");
      this.#session = { id, password: (password ?? new Uint8Array(0)).slice(), timeoutMs };
    } else {
      hold(before.id === id, "sessions keep their id", () => `${this.id} at ${sid}`);
      coverage.count(sid === this.#sidLast ? "sessions renewed at home" : "sessions moved");
      before.timeoutMs = timeoutMs;
    }
    this.#sidLast = sid ?? 0;
    this.#isOpen = true;
    const user = this.#user;
    if (user !== null) this.#send(Xid.Auth, OpCode.Auth, (w) => writeAuthRequest(w, "digest", bytesOf(user)));
    if (this.#watches.size > 0) {
      this.#renewing = true;
      const paths = this.#watches.paths();
      coverage.count("watches renewed");
      this.#send(
        Xid.SetWatches,
        OpCode.SetWatches2,
        (w) => writeSetWatches2Request(w, this.#zxidSeen, paths),
      );
    }
    if (this.#isProbe) this.#askNext();
  }

  #reply(r: Reader): void {
    const { xid, zxid, err } = readReplyHeader(r);
    if (xid === Xid.Auth) {
      hold(err === ErrorCode.Ok, "identities are taken", () => `${this.id}: error ${err}`);
      return;
    }
    if (xid === Xid.Notification) {
      const { type, path } = readWatchEvent(r);
      this.#world.coverage.count("watch events");
      this.#watches.event(zxid, type, path ?? "", this.#renewing);
      return;
    }
    if (zxid > 0) {
      hold(
        zxid >= this.#zxidSeen,
        "zxids of a session go up",
        () => `${this.id} sees ${hex(zxid)} from ${this.#line?.member.sid} after ${hex(this.#zxidSeen)}`,
      );
      this.#zxidSeen = zxid;
      this.#world.seen(zxid);
    }
    if (xid === Xid.SetWatches) {
      this.#renewing = false;
      this.#watches.renewed(zxid);
      return;
    }
    if (!this.#renewing && zxid > 0) this.#watches.seen(zxid);
    if (xid === Xid.Ping) return;
    const pending = this.#pending.shift();
    hold(
      pending?.xid === xid,
      "replies in the order of requests",
      () => `${this.id} hears of xid ${xid}, waits for ${pending?.xid ?? "nothing"}`,
    );
    if (pending !== undefined) this.#answered(pending, xid, zxid, err, r);
  }

  #answered({ ask, seenCount }: Pending, xid: number, zxid: number, err: number, r: Reader): void {
    const { history, coverage, plan } = this.#world;
    const who = `${this.id} at ${this.#line?.member.sid}`;
    this.#world.trace(() => `${who} is answered xid ${xid}: ${err} at ${hex(zxid)}`);
    const session = this.#session?.id ?? 0n;
    switch (ask.op) {
      case OpCode.GetData:
      case OpCode.Exists:
      case OpCode.GetChildren:
      case OpCode.GetAcl:
        coverage.count("reads answered");
        checkRead(who, ask, err, zxid, r, history.model, this.#watches, this.#identities);
        break;
      case OpCode.AddWatch:
        hold(err === ErrorCode.Ok, "watches are set", () => `${who} ${ask.text}: error ${err}`);
        this.#watches.follow(ask.path, ask.recursive === true, zxid);
        break;
      case OpCode.Sync:
        coverage.count("syncs answered");
        hold(
          err !== ErrorCode.Ok || history.countUpTo(zxid) >= seenCount,
          "a sync brings what anybody saw before",
          () => `${who} is at ${hex(zxid)}, ${history.countUpTo(zxid)} txns, ${seenCount} had been seen`,
        );
        break;
      default: {
        coverage.count(err === ErrorCode.Ok ? "writes answered" : `writes refused with ${err}`);
        const path = checkWrite(
          who,
          ask,
          session,
          xid,
          err,
          zxid,
          r,
          history.model,
          this.#identities,
          plan.enforceQuota,
        );
        if (path !== null && path !== ask.path) {
          this.#made.push(path);
          if (this.#made.length > madeMax) this.#made.shift();
        }
      }
    }
    if (ask.op === OpCode.CloseSession) {
      this.#forgetSession();
      this.#drop();
    }
    if (!this.#isProbe) return;
    // Asked again after a line broke, the create may be there already.
    const fine = err === ErrorCode.Ok || err === ErrorCode.NodeExists;
    hold(fine, "progress", () => `${who} ${ask.text}: error ${err}`);
    this.#script.shift();
    this.#askNext();
  }
}
