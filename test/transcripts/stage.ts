/**
 * Stage: a few real peers on one thread, in virtual time, and what they say to each other as text.
 *
 * Every message takes a millisecond and so does every command of a disk, so a story is the same each
 * time and can be read from top to bottom. Pings, and votes that say nothing new, are left out. For
 * luck and malice see test/sim.
 */
import { ErrorCode } from "../../src/core/wire/errors.ts";
import { opName } from "../../src/core/wire/opcodes.ts";
import { parseNotification, VoterState } from "../../src/core/wire/votes.ts";
import type { Note } from "../../src/core/peer/outbox.ts";
import type { DiskCommand } from "../../src/core/zab/disk.ts";
import type { Link } from "../../src/core/zab/link.ts";
import { Seat, SeatClient, type SeatOptions } from "../core/zab/seat.ts";
import type { SmallDisk } from "../core/zab/small_disk.ts";
import { Listener, zxidText } from "../core/zab/told.ts";

const messageMs = 1;
const diskMs = 1;
const tickMsFine = 10;
const tickMsCoarse = 100;
const redialMs = 20;

interface Wire {
  readonly from: Actor;
  readonly to: Actor;
  readonly generation: number;
  readonly listener: Listener;
  /** The link at the other end. */
  far: Link | null;
  /** Bytes that wait because the way is stalled. */
  held: Uint8Array[];
  over: boolean;
}

class Actor extends Seat {
  readonly #stage: Stage;
  readonly generation: number;
  readonly wires = new Map<Link, Wire>();
  dialing: unknown = null;
  part = "";
  history = "";
  tickAtMs = Infinity;

  constructor(stage: Stage, options: SeatOptions, generation: number) {
    super(options);
    this.#stage = stage;
    this.generation = generation;
  }

  override onLinkBytes(link: Link, bytes: Uint8Array): void {
    this.#stage.sent(this, link, bytes);
  }
  override onLinkClosing(link: Link): void {
    this.#stage.hungUp(this, link);
  }
  override onVote(to: number, bytes: Uint8Array): void {
    this.#stage.voted(this, to, bytes);
  }
  override onNote(note: Note): void {
    super.onNote(note);
    if (note.level !== "debug") this.#stage.noted(this, note);
  }
  override onDisk(command: DiskCommand): void {
    this.#stage.written(this, command, () => super.disk());
    super.onDisk(command);
  }
  override onClientBytes(client: SeatClient, bytes: Uint8Array): void {
    const before = client.frames.length;
    super.onClientBytes(client, bytes);
    this.#stage.answered(this, client, before);
  }
  override onClientClosing(client: SeatClient): void {
    super.onClientClosing(client);
    this.#stage.tell(this.sid, "closes the client's connection");
  }
  override turn(): void {
    super.turn();
    this.#stage.turned(this);
  }
}

interface Moment {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class Stage {
  readonly #options: Omit<SeatOptions, "sid">;
  readonly #actors = new Map<number, Actor>();
  readonly #stores = new Map<number, SmallDisk>();
  readonly #moments: Moment[] = [];
  readonly #lines: string[] = [];
  readonly #votes = new Map<string, { bytes: Uint8Array; told: string }>();
  readonly #stalled = new Set<string>();
  /** What silent disks have to do, by the sid of the member. */
  readonly #silent = new Map<number, (() => void)[]>();
  readonly #names = new Map<string, string>();
  #nowMs = 0;
  #order = 0;
  #generation = 0;

  constructor(options: Omit<SeatOptions, "sid"> = {}) {
    this.#options = options;
  }

  get text(): string {
    return `${this.#lines.join("\n")}\n`;
  }

  actor(sid: number): Actor {
    const actor = this.#actors.get(sid);
    if (actor === undefined) throw new Error(`${sid} does not run`);
    return actor;
  }

  // ------------------------------------------------------------------------------------- the text

  /** What the story does now. */
  does(what: string): void {
    this.#lines.push(...this.#lines.length > 0 ? [""] : [], `> ${what}`);
  }

  tell(who: number | string, what: string): void {
    this.#lines.push(`${String(this.#nowMs).padStart(6)} ms  ${String(who).padEnd(9)} ${this.#named(what)}`);
  }

  /** Session ids are long and say nothing. */
  #named(text: string): string {
    return text.replace(/0x[0-9a-f]{14,16}\b/g, (id) => {
      const name = this.#names.get(id) ?? `session-${this.#names.size + 1}`;
      this.#names.set(id, name);
      return name;
    });
  }

  #describe(actor: Actor): { readonly part: string; readonly history: string } {
    const { peer } = actor;
    const { part, leader, learner, ledger } = peer;
    const now = leader !== null
      ? `leads epoch ${leader.epoch}, ${leader.phase}`
      : learner !== null
      ? `${peer.member?.observer === true ? "observes" : "follows"} ${learner.leader}, ${learner.phase}`
      : `is ${part}`;
    return {
      part: `${now}${peer.serving ? ": serves clients" : ""}`,
      history: `has ${zxidText(ledger.durable)} on disk, ${zxidText(ledger.committed)} committed`,
    };
  }

  turned(actor: Actor): void {
    if (this.#actors.get(actor.sid) !== actor) return;
    const { part, history } = this.#describe(actor);
    if (history !== actor.history) this.tell(actor.sid, history);
    if (part !== actor.part) this.tell(actor.sid, part);
    actor.part = part;
    actor.history = history;
    this.#dial(actor);
    this.#tickSoon(actor);
  }

  noted(actor: Actor, { event, message, level }: Note): void {
    if (level === "info" && event !== "snapshot_read") return;
    this.tell(actor.sid, `notes: ${message}`);
  }

  /** What was told so far belongs to another story. */
  beginsHere(): void {
    this.#lines.length = 0;
    for (const actor of this.#actors.values()) {
      this.tell(actor.sid, `${actor.part}; ${actor.history}`);
    }
  }

  // ------------------------------------------------------------------------------------- time

  #after(ms: number, run: () => void): void {
    this.#moments.push({ atMs: this.#nowMs + ms, order: this.#order++, run });
  }

  /** Lets so much time go by. */
  run(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let moments = 0;; moments++) {
      if (moments > 100_000) throw new Error(`It never ends\n${this.text.slice(-3000)}`);
      this.#moments.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
      const [next] = this.#moments;
      if (next === undefined || next.atMs > untilMs) break;
      this.#moments.shift();
      this.#setNow(next.atMs);
      next.run();
    }
    this.#setNow(untilMs);
  }

  #setNow(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const actor of this.#actors.values()) {
      actor.wallMs = 1_700_000_000_000 + nowMs;
      actor.monoMs = 1000 + nowMs;
    }
  }

  #tickSoon(actor: Actor): void {
    const atMs = this.#nowMs + (actor.peer.wantsFineTicks ? tickMsFine : tickMsCoarse);
    if (actor.tickAtMs <= atMs) return;
    actor.tickAtMs = atMs;
    this.#after(atMs - this.#nowMs, () => {
      if (this.#actors.get(actor.sid) !== actor || actor.tickAtMs !== atMs) return;
      actor.tickAtMs = Infinity;
      actor.tick();
      this.#tickSoon(actor);
    });
  }

  // ------------------------------------------------------------------------------------- members

  start(...sids: readonly number[]): void {
    this.does(`start ${sids.join(" ")}`);
    for (const sid of sids) {
      const store = this.#stores.get(sid);
      const time = { wallMs: 1_700_000_000_000 + this.#nowMs, monoMs: 1000 + this.#nowMs };
      const options = { ...this.#options, ...time, sid, ...store === undefined ? {} : { store } };
      const actor = new Actor(this, options, ++this.#generation);
      actor.holdsDisk = true;
      this.#stores.set(sid, actor.store);
      this.#actors.set(sid, actor);
      actor.begin();
      for (const other of [...this.#actors.values()]) if (other !== actor) this.#meet(actor, other);
    }
  }

  crash(sid: number): void {
    this.does(`kill ${sid}`);
    const actor = this.actor(sid);
    this.#actors.delete(sid);
    actor.store.crash();
    for (const wire of actor.wires.values()) this.#endWire(wire);
    for (const other of this.#actors.values()) {
      this.#after(messageMs, () => {
        if (this.#actors.get(other.sid) === other) other.step({ kind: "voterDown", sid });
      });
    }
  }

  /** What a member that does not run finds on its disk. */
  disk(sid: number, what: string, store: SmallDisk): void {
    this.does(`the disk of ${sid}: ${what}`);
    this.#stores.set(sid, store);
  }

  /** The disk of a machine that is replaced. */
  wipe(sid: number): void {
    this.does(`an empty disk for ${sid}`);
    this.#stores.delete(sid);
  }

  // ------------------------------------------------------------------------------------- votes

  #meet(a: Actor, b: Actor): void {
    for (const [from, to] of [[a, b], [b, a]] as const) {
      this.#after(messageMs, () => {
        if (!this.#both(from, to)) return;
        to.step({ kind: "voterUp", sid: from.sid });
        const last = this.#votes.get(`${from.sid} ${to.sid} ${from.generation}`);
        if (last !== undefined) this.#deliverVote(from, to, last.bytes);
      });
    }
  }

  #both(a: Actor, b: Actor): boolean {
    return this.#actors.get(a.sid) === a && this.#actors.get(b.sid) === b;
  }

  voted(from: Actor, to: number, bytes: Uint8Array): void {
    this.#votes.set(`${from.sid} ${to} ${from.generation}`, { bytes, told: "" });
    this.#after(messageMs, () => {
      const other = this.#actors.get(to);
      if (other !== undefined && this.#both(from, other)) this.#deliverVote(from, other, bytes);
    });
  }

  #deliverVote(from: Actor, to: Actor, bytes: Uint8Array): void {
    const vote = parseNotification(bytes);
    if (vote === null) throw new Error("A vote that is none");
    const state = Object.entries(VoterState).find(([, value]) => value === vote.state)?.[0]?.toLowerCase();
    const leader = vote.leader < 0 ? "nobody" : String(vote.leader);
    const text = `vote: ${leader} with ${zxidText(Math.max(-1, vote.zxid))} of epoch ${
      Math.max(-1, vote.epoch)
    }, round ${vote.round}, ${state}`;
    const key = `${from.sid} ${to.sid} ${from.generation} ${to.generation}`;
    if (this.#votes.get(key)?.told !== text) this.tell(`${from.sid}→${to.sid}`, text);
    this.#votes.set(key, { bytes, told: text });
    to.step({ kind: "vote", from: from.sid, bytes });
  }

  // ------------------------------------------------------------------------------------- links

  #dial(actor: Actor): void {
    const wanted = actor.peer.dialWanted;
    if (wanted === actor.dialing) return;
    actor.dialing = wanted;
    if (wanted !== null) this.#after(messageMs, () => this.#try(actor, wanted));
  }

  #try(actor: Actor, wanted: { readonly sid: number }): void {
    if (this.#actors.get(actor.sid) !== actor || actor.peer.dialWanted !== wanted) return;
    const other = this.#actors.get(wanted.sid);
    if (other === undefined) return this.#after(redialMs, () => this.#try(actor, wanted));
    const there = this.#wire(other, actor);
    const here = this.#wire(actor, other);
    const accepted = other.peer.acceptLink(`10.0.0.${actor.sid}`, other.monoMs);
    other.wires.set(accepted, there);
    here.far = accepted;
    const dialed = actor.peer.dialed(`10.0.0.${other.sid}`, actor.monoMs);
    actor.wires.set(dialed, here);
    there.far = dialed;
    this.tell(`${actor.sid}→${other.sid}`, "connects");
    actor.turn();
    other.turn();
  }

  #wire(from: Actor, to: Actor): Wire {
    return { from, to, generation: to.generation, listener: new Listener(), far: null, held: [], over: false };
  }

  sent(from: Actor, link: Link, bytes: Uint8Array): void {
    const wire = from.wires.get(link);
    if (wire === undefined) throw new Error("Sent on a link that is not there");
    this.#after(messageMs, () => this.#deliver(wire, bytes));
  }

  #deliver(wire: Wire, bytes: Uint8Array): void {
    const { from, to, far } = wire;
    if (wire.over || far === null || this.#actors.get(to.sid) !== to) return;
    if (this.#stalled.has(`${from.sid} ${to.sid}`)) {
      wire.held.push(bytes);
      return;
    }
    for (const line of wire.listener.hear(bytes)) {
      if (!line.startsWith("PING")) this.tell(`${from.sid}→${to.sid}`, line);
    }
    to.step({ kind: "linkBytes", link: far.number, bytes, start: 0, end: bytes.length });
    if (far.wantsDrain) far.wantsDrain = false;
  }

  hungUp(actor: Actor, link: Link): void {
    const wire = actor.wires.get(link);
    if (wire !== undefined) this.#endWire(wire);
  }

  /** The other side hears of the end behind all that was sent before. */
  #endWire(wire: Wire): void {
    const { from, to, far } = wire;
    this.#after(messageMs, () => {
      if (wire.over) return;
      wire.over = true;
      const back = far === null ? undefined : to.wires.get(far);
      if (back !== undefined) {
        if (back.over) return;
        back.over = true;
      }
      if (far === null || far.closed || this.#actors.get(to.sid) !== to) return;
      this.tell(`${from.sid}→${to.sid}`, "the link ends");
      to.step({ kind: "linkClosed", link: far.number });
    });
  }

  /** What `from` says to `to` on the quorum port does not arrive for now. */
  stall(from: number, to: number): void {
    this.does(`stall ${from}→${to}`);
    this.#stalled.add(`${from} ${to}`);
  }

  /** The disk of `sid` does nothing for now. */
  silence(sid: number): void {
    this.does(`the disk of ${sid} falls silent`);
    this.#silent.set(sid, []);
  }

  heal(): void {
    this.does("heal");
    this.#stalled.clear();
    const works = [...this.#silent.values()].flat();
    this.#silent.clear();
    for (const work of works) work();
    for (const actor of this.#actors.values()) {
      for (const wire of actor.wires.values()) {
        for (const bytes of wire.held.splice(0)) this.#deliver(wire, bytes);
      }
    }
  }

  // ------------------------------------------------------------------------------------- disk

  written(actor: Actor, command: DiskCommand, done: () => void): void {
    const silent = this.#silent.get(actor.sid);
    if (silent !== undefined) {
      silent.push(() => this.written(actor, command, done));
      return;
    }
    this.#after(diskMs, () => {
      if (this.#actors.get(actor.sid) !== actor) return;
      this.tell(actor.sid, `disk: ${diskText(command)}`);
      done();
    });
  }

  // ------------------------------------------------------------------------------------- clients

  client(sid: number, of?: SeatClient): SeatClient {
    this.does(of === undefined ? `a client connects to ${sid}` : `the client moves to ${sid}`);
    const client = this.actor(sid).client();
    const session = of?.session ?? null;
    client.connect(session?.sessionId ?? 0n, session?.password ?? null);
    return client;
  }

  ask(client: SeatClient, op: number, body: Uint8Array, what: string): void {
    this.does(`the client at ${client.seat.sid}: ${opName(op)} ${what}`);
    client.send(op, body);
  }

  answered(actor: Actor, client: SeatClient, before: number): void {
    if (before === 0) {
      const session = client.session;
      this.tell(
        `${actor.sid}→client`,
        session === null || session.timeoutMs === 0
          ? "your session is not known here"
          : `you have 0x${session.sessionId.toString(16)}`,
      );
    }
    for (const { xid, err, zxid } of client.replies.slice(Math.max(0, before - 1))) {
      const code = Object.entries(ErrorCode).find(([, value]) => value === err)?.[0] ?? String(err);
      this.tell(`${actor.sid}→client`, `reply to ${xid}: ${code}, zxid ${zxidText(zxid)}`);
    }
  }
}

function diskText(command: DiskCommand): string {
  switch (command.kind) {
    case "append":
      return `append up to ${zxidText(command.last)}, committed ${zxidText(command.committed)}`;
    case "epochs":
      return `accepted ${command.accepted}, current ${command.current}`;
    case "truncate":
      return `truncate behind ${zxidText(command.after)}`;
    case "replaceEnd":
      return `the snapshot replaces all, ${zxidText(command.zxid)}`;
    default:
      return command.kind;
  }
}
