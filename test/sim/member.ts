/**
 * Member: one peer and its shell, without sockets, threads or timers.
 *
 * After each event comes a turn, as in the server's loop: what is to be sent leaves, then the
 * next disk command. A crash throws the peer away; a start makes a new one from what the disk has. While a
 * member is frozen (a process that is stopped or starved) nothing reaches it and nothing is lost.
 */
import { epochOf } from "../../src/core/base/zxid.ts";
import type { Connection } from "../../src/core/peer/connection.ts";
import type { PeerEvent } from "../../src/core/peer/events.ts";
import { Peer } from "../../src/core/peer/peer.ts";
import type { Link } from "../../src/core/zab/link.ts";
import { addressOf } from "./acls.ts";
import type { ClientLine } from "./client_line.ts";
import { Disk, type DiskDone } from "./disk.ts";
import { optionsOf } from "./options.ts";
import { checkWholeTree } from "./checkers/whole_tree.ts";
import { Promises } from "./checkers/promises.ts";
import { plantInPeer, plantInReplies, plantInRequest } from "./plants.ts";
import type { QuorumConnection } from "./quorum_connection.ts";
import { hex, hold } from "./violation.ts";
import type { World } from "./world.ts";

const tickMsFine = 10;
const zxidsBetweenLooks = 5;
const wallStartMs = 1_700_000_000_000;

export class Member {
  readonly #world: World;
  readonly sid: number;
  readonly isObserver: boolean;
  readonly disk: Disk;
  readonly promises: Promises;
  peer: Peer | null = null;
  /** Grows with every start and every crash. */
  generation = 0;
  isFrozen = false;
  wallOffsetMs: number;
  readonly #clockRate: number;
  #monoStartMs = 0;
  #startedAtMs = 0;
  #tickAtMs = 0;
  /** The zxid as of which its tree was compared; -1 before it serves. */
  #lookedAt = -1;
  #tickGeneration = 0;
  #isStarting = false;
  #asleep: (() => void)[] = [];
  readonly #lines = new Map<Connection, ClientLine>();
  readonly #links = new Map<Link, QuorumConnection>();
  #dialing: { readonly sid: number; readonly observerMaster: boolean } | null = null;

  constructor(world: World, sid: number) {
    this.#world = world;
    this.sid = sid;
    const { plan } = world;
    this.isObserver = plan.observers.includes(sid);
    this.disk = new Disk(world, sid, plan.forgetful.has(sid));
    this.promises = new Promises(world, this);
    this.#clockRate = 1 + (world.chance.fraction() * 2 - 1) * plan.clockSkew;
    this.wallOffsetMs = (world.chance.fraction() * 2 - 1) * plan.wallSkewMs;
  }

  get isUp(): boolean {
    return this.peer !== null;
  }

  get isLeader(): boolean {
    return this.peer?.leader?.phase === "broadcast";
  }

  /** It serves, or leads and was told to leave clients to others. */
  get isInService(): boolean {
    const { peer } = this;
    return peer !== null && (peer.serving || (this.isLeader && !this.#world.plan.leaderServes));
  }

  get #monoMs(): number {
    return this.#monoStartMs + (this.#world.timeline.nowMs - this.#startedAtMs) * this.#clockRate;
  }

  get #wallMs(): number {
    return Math.floor(wallStartMs + this.wallOffsetMs + this.#world.timeline.nowMs);
  }

  // ------------------------------------------------------------------------------------ life, death

  start(): void {
    if (this.peer !== null || this.#isStarting) return;
    this.#isStarting = true;
    const { generation } = this;
    // Recovery reads for a while.
    this.#world.timeline.after(this.#world.chance.longTail(1, 60), () => {
      this.#isStarting = false;
      if (generation === this.generation) this.#born();
    });
  }

  #born(): void {
    const { timeline, chance, history, network } = this.#world;
    this.generation++;
    this.#startedAtMs = timeline.nowMs;
    this.#monoStartMs = chance.ms(0, 1_000_000);
    const monoMs = this.#monoMs;
    const peer = new Peer(optionsOf(this.#world, this.sid, this.#wallMs, monoMs, chance.u32()));
    plantInPeer(this.#world.plan.plant, peer);
    history.watch(this.sid, peer);
    const { zxidLast, zxidCommitted } = this.disk.fill(peer.loader());
    this.peer = peer;
    const { accepted: epochAccepted, epochAtStart: epochCurrent } = this.disk;
    this.#world.trace(() =>
      `${this.sid} starts: last ${hex(zxidLast)}, committed ${
        hex(zxidCommitted)
      }, epochs ${epochAccepted}, ${epochCurrent}`
    );
    peer.begin({ zxidLast, zxidCommitted, epochAccepted, epochCurrent }, monoMs);
    network.restarted(this);
    this.#tickSoon();
    this.turn();
  }

  /** `silently`: nobody hears of it, as when the power fails. */
  crash(silently: boolean, downMs: number): void {
    if (this.peer === null) return;
    const { timeline, network, coverage } = this.#world;
    this.#world.trace(() => `${this.sid} dies${silently ? " silently" : ""}`);
    coverage.count("crashes");
    this.generation++;
    this.peer = null;
    this.isFrozen = false;
    this.#asleep = [];
    this.#dialing = null;
    this.disk.crash();
    this.#links.clear();
    network.crashed(this, silently);
    for (const line of [...this.#lines.values()]) line.memberDied(silently);
    this.#lines.clear();
    timeline.after(downMs, () => this.start());
  }

  /** A write that failed: nothing after it can be trusted, so the process ends. */
  diskFailed(): void {
    this.#world.coverage.count("disk failures");
    this.crash(false, this.#world.chance.ms(5, 300));
  }

  freeze(): void {
    if (this.peer !== null) this.isFrozen = true;
  }

  thaw(): void {
    if (!this.isFrozen) return;
    this.isFrozen = false;
    this.#world.network.pumpAll();
    const asleep = this.#asleep;
    this.#asleep = [];
    for (const each of asleep) each();
  }

  whenAwake(run: () => void): void {
    if (this.isFrozen) this.#asleep.push(run);
    else run();
  }

  heal(): void {
    this.disk.slowness = 1;
    this.disk.isFull = false;
    this.thaw();
    this.start();
  }

  // ------------------------------------------------------------------------------------- events

  /** Whatever the core is told goes through here. */
  step(make: (wallMs: number, monoMs: number) => PeerEvent): void {
    const { peer } = this;
    if (peer === null) return;
    peer.step(make(this.#wallMs, this.#monoMs));
    this.turn();
    const { plan, chance, isHealed } = this.#world;
    if (plan.crashAtStep > 0 && !isHealed && chance.happens(plan.crashAtStep)) {
      this.#world.coverage.count("crashes at a step");
      this.crash(chance.happens(0.5), chance.longTail(1, 1000));
    }
  }

  #tickSoon(): void {
    const { peer } = this;
    if (peer === null) return;
    const { timeline, plan } = this.#world;
    const everyMs = (peer.wantsFineTicks ? tickMsFine : Math.min(plan.tickMs / 2, 100)) / this.#clockRate;
    const atMs = timeline.nowMs + everyMs;
    if (this.#tickAtMs > timeline.nowMs && this.#tickAtMs <= atMs) return;
    this.#tickAtMs = atMs;
    const generation = ++this.#tickGeneration;
    timeline.at(atMs, () => this.#tick(generation));
  }

  #tick(generation: number): void {
    if (generation !== this.#tickGeneration || this.peer === null) return;
    if (this.isFrozen) {
      this.#asleep.push(() => this.#tick(generation));
      return;
    }
    this.#tickAtMs = 0;
    this.step((wallMs, monoMs) => ({ kind: "tick", wallMs, monoMs }));
    this.#tickSoon();
  }

  vote(from: number, bytes: Uint8Array): void {
    this.step((wallMs, monoMs) => ({ kind: "vote", from, bytes, wallMs, monoMs }));
  }

  tellVoter(kind: "voterUp" | "voterDown", sid: number): void {
    this.step((wallMs, monoMs) => ({ kind, sid, wallMs, monoMs }));
  }

  // -------------------------------------------------------------------------------------- turn

  turn(): void {
    const { peer } = this;
    if (peer === null) return;
    const { outbox } = peer;
    const { plant } = this.#world.plan;
    for (const connection of outbox.dirty) {
      connection.dirty = false;
      this.#lines.get(connection)?.write(plantInReplies(plant, connection.flow.takeAll()));
      if (connection.order.isReady) this.#world.timeline.after(0, () => this.#clientDrained(connection));
    }
    outbox.dirty.length = 0;
    for (const connection of outbox.closing) {
      this.#lines.get(connection)?.memberCloses();
      this.#lines.delete(connection);
    }
    outbox.closing.length = 0;
    for (const { to, bytes } of outbox.votes) {
      this.#world.coverage.count("votes");
      this.#world.network.pair(this.sid, to).send(this, bytes);
    }
    outbox.votes.length = 0;
    for (const [connection, line] of this.#lines) {
      if (line.isWaiting && peer.mayTake(connection)) this.#world.timeline.after(0, () => line.pump());
    }
    this.#drainLinks(peer);
    this.#takeDisk(peer);
    for (const read of outbox.logReads) {
      this.#world.coverage.count("log reads");
      const { generation } = this;
      this.disk.readLog(read, (chunk) =>
        this.whenAwake(() => {
          if (generation !== this.generation) return;
          this.#world.coverage.count(`log chunk ${chunk.found}`);
          this.step((wallMs, monoMs) => ({ kind: "logChunk", read: read.read, chunk, wallMs, monoMs }));
        }));
    }
    outbox.logReads.length = 0;
    if (outbox.committed) {
      outbox.committed = false;
      this.disk.committed(peer.zxid);
    }
    for (const { level, event, message, fields } of outbox.notes) {
      this.#world.coverage.count(`note ${event}${fields["kind"] === undefined ? "" : ` ${fields["kind"]}`}`);
      if (message.includes("no zxids left")) this.#world.coverage.count("epochs used up");
      this.#world.trace(() => `${this.sid} ${level} ${event}: ${message}`);
    }
    outbox.notes.length = 0;
    this.#dial(peer);
    if (peer.wantsFineTicks) this.#tickSoon();
    if (peer.serving && peer.tree.digestEnabled) {
      this.#world.history.checkDigest(this.sid, peer.zxid, peer.tree.digest.value);
    }
    this.#lookAtTree(peer);
    hold(
      !peer.serving || peer.applier.digestMismatches === 0,
      "equal digests",
      () => `${this.sid} differs from what a txn says`,
    );
    const { leader } = peer;
    if (leader?.phase === "broadcast" && this.#world.leaders.established(this.sid, leader.epoch)) {
      this.#world.coverage.count("leaders established");
      this.#world.trace(() => `${this.sid} leads epoch ${leader.epoch}`);
    }
  }

  /** All of it when it begins to serve, and now and then afterwards. */
  #lookAtTree(peer: Peer): void {
    if (!peer.serving) this.#lookedAt = -1;
    else if (this.#lookedAt < 0 || peer.zxid >= this.#lookedAt + zxidsBetweenLooks) {
      this.#lookedAt = peer.zxid;
      checkWholeTree(`${this.sid}`, peer.tree, peer.zxid, this.#world.history.model);
      this.#world.coverage.count("whole trees compared");
    }
  }

  /** In the end: what is in memory, and what a start would find on the disk. */
  checkEnd(): void {
    const { peer } = this;
    const { history } = this.#world;
    if (peer === null) return;
    checkWholeTree(`${this.sid}`, peer.tree, peer.zxid, history.model);
    const sessions = sessionsOf(peer);
    const wanted = history.model.sessionsAs(peer.zxid);
    hold(sessions === wanted, "equal sessions", () => `${this.sid} has ${sessions}, not ${wanted}`);
    const stored = new Peer(optionsOf(this.#world, this.sid, this.#wallMs, this.#monoMs, 1));
    this.disk.fill(stored.loader());
    // As a peer does that begins.
    stored.quotas.rebuild();
    checkWholeTree(`the disk of ${this.sid}`, stored.tree, stored.applier.zxid, history.model);
    const kept = sessionsOf(stored);
    const due = history.model.sessionsAs(stored.applier.zxid);
    hold(kept === due, "equal sessions", () => `the disk of ${this.sid} has ${kept}, not ${due}`);
    this.disk.close();
  }

  #takeDisk(peer: Peer): void {
    if (this.disk.isBusy) return;
    const command = peer.takeDisk();
    if (command === null) return;
    const { plan, chance, isHealed, timeline } = this.#world;
    const { generation } = this;
    this.#world.trace(() =>
      `${this.sid} disk ${command.kind}${command.kind === "append" ? ` to ${hex(command.last)}` : ""}`
    );
    const done = (result: DiskDone) =>
      this.whenAwake(() => {
        if (generation !== this.generation) return;
        // The effect is there, but the core never hears of it.
        if (dies && chance.happens(0.5)) return this.crash(chance.happens(0.5), chance.longTail(1, 800));
        this.step((wallMs, monoMs) => ({ ...result, wallMs, monoMs }));
      });
    // Appends are many, the others few and each of them a step that must not be half a step.
    const luck = command.kind === "append" ? plan.crashAtDisk : plan.crashAtDisk * 4;
    const dies = luck > 0 && !isHealed && chance.happens(luck);
    if (dies) {
      this.#world.coverage.count(`crashes at ${command.kind}`);
      if (chance.happens(0.5)) {
        timeline.after(chance.ms(0, plan.diskMsMin), () => {
          if (generation === this.generation) this.crash(chance.happens(0.5), chance.longTail(1, 800));
        });
      }
    }
    this.disk.execute(command, done, () => {
      this.disk.forgetIfItForgets();
      this.disk.fill(peer.reloader());
    });
  }

  // -------------------------------------------------------------------------------- quorum links

  accepted(connection: QuorumConnection, remote: number, port: "quorum" | "observers"): Link {
    const { peer } = this;
    if (peer === null) throw new Error("Nobody listens");
    const link = peer.acceptLink(`10.0.0.${remote}:2888`, this.#monoMs, port);
    this.#links.set(link, connection);
    return link;
  }

  #dial(peer: Peer): void {
    const wanted = peer.dialWanted;
    const now = this.#dialing;
    if (wanted === null) {
      this.#dialing = null;
      return;
    }
    if (now !== null && now.sid === wanted.sid && now.observerMaster === wanted.observerMaster) return;
    this.#dialing = wanted;
    this.#try(wanted);
  }

  #try(wanted: { readonly sid: number; readonly observerMaster: boolean }): void {
    const { network, timeline, chance } = this.#world;
    const { generation } = this;
    const { observerMaster } = wanted;
    const sid = observerMaster ? chance.pick(this.#world.plan.voters) : wanted.sid;
    const port = observerMaster ? "observers" : "quorum";
    if (observerMaster) this.#world.coverage.count("observers ask a follower");
    network.dialQuorum(this, this.#world.member(sid), port, (connection) => {
      this.whenAwake(() => {
        const { peer } = this;
        if (generation !== this.generation || peer === null || this.#dialing !== wanted) {
          connection?.close(this);
          return;
        }
        if (connection === null || connection.isOver) {
          timeline.after(chance.ms(10, 20), () => {
            if (generation === this.generation && this.#dialing === wanted) this.#try(wanted);
          });
          return;
        }
        this.#dialing = null;
        const link = peer.dialed(`10.0.0.${sid}:2888`, this.#monoMs, sid);
        this.#links.set(link, connection);
        this.turn();
        connection.dialed(link);
      });
    });
  }

  linkBytes(link: Link, bytes: Uint8Array): void {
    this.step((wallMs, monoMs) => ({
      ...{ kind: "linkBytes", link: link.number, bytes, start: 0, end: bytes.length },
      wallMs,
      monoMs,
    }));
  }

  linkClosed(link: Link): void {
    this.#links.delete(link);
    this.step((wallMs, monoMs) => ({ kind: "linkClosed", link: link.number, wallMs, monoMs }));
  }

  /** Some of what was written has left. */
  linkMoved(connection: QuorumConnection): void {
    const link = connection.linkOf(this);
    if (link === null || this.peer === null) return;
    link.unsentBytes = connection.unsent(this);
    if (link.wantsDrain) this.#drained(link, connection);
  }

  #drained(link: Link, connection: QuorumConnection): void {
    if (connection.unsent(this) > 0) return;
    link.wantsDrain = false;
    const { generation } = this;
    this.#world.timeline.after(0, () =>
      this.whenAwake(() => {
        if (generation !== this.generation || !this.#links.has(link)) return;
        this.step((wallMs, monoMs) => ({ kind: "linkDrained", link: link.number, wallMs, monoMs }));
      }));
  }

  #drainLinks(peer: Peer): void {
    const { linksDirty, linksClosing } = peer.outbox;
    for (const link of linksDirty) {
      link.dirty = false;
      const connection = this.#links.get(link);
      if (connection !== undefined && link.out.length > 0) {
        const bytes = link.out.copy();
        this.promises.sent(link, connection, bytes);
        connection.write(this, bytes);
        link.unsentBytes = connection.unsent(this);
      }
      link.out.clear();
    }
    linksDirty.length = 0;
    for (const link of linksClosing) {
      this.#links.get(link)?.close(this);
      this.#links.delete(link);
    }
    linksClosing.length = 0;
    for (const [link, connection] of this.#links) {
      if (link.wantsDrain) this.#drained(link, connection);
      // It may have been paused before.
      if (!link.paused && connection.waitsFor(this)) {
        this.#world.timeline.after(0, () => connection.pump());
      }
    }
  }

  // ------------------------------------------------------------------------------------- clients

  /** Null: nobody accepts. */
  open(line: ClientLine): Connection | null {
    const { peer } = this;
    if (peer === null || this.isFrozen || !peer.serving) return null;
    const connection = peer.open(
      this.#world.plan.plant === "addressForgotten" ? "10.2.0.1" : addressOf(line.client.id),
      40_000,
      false,
      this.#monoMs,
    );
    this.#lines.set(connection, line);
    return connection;
  }

  clientFrame(connection: Connection, frame: Uint8Array): void {
    if (this.peer?.connections[connection.number] !== connection) return;
    const { number } = connection;
    const bytes = plantInRequest(this.#world.plan.plant, frame);
    this.step((wallMs, monoMs) => ({
      ...{ kind: "clientFrame", connection: number, bytes, start: 0, end: bytes.length },
      wallMs,
      monoMs,
    }));
  }

  mayTake(connection: Connection): boolean {
    return this.peer === null || this.peer.mayTake(connection);
  }

  #clientDrained(connection: Connection): void {
    if (this.peer?.connections[connection.number] !== connection) return;
    const { number } = connection;
    this.step((wallMs, monoMs) => ({ kind: "clientDrained", connection: number, wallMs, monoMs }));
  }

  clientClosed(connection: Connection): void {
    if (!this.#lines.delete(connection)) return;
    if (this.peer?.connections[connection.number] !== connection) return;
    const { number } = connection;
    this.step((wallMs, monoMs) => ({ kind: "clientClosed", connection: number, wallMs, monoMs }));
  }

  // ----------------------------------------------------------------------------------- for people

  describe(): string {
    const { peer } = this;
    if (peer === null) return `${this.sid} is down`;
    const phase = peer.leader?.phase ?? peer.learner?.phase ?? peer.election?.state ?? "";
    return `${this.sid} is ${peer.part} (${phase}) at ${hex(peer.zxid)}, disk ${
      hex(this.disk.last)
    } ${this.disk.accepted}/${this.disk.current}${this.disk.isBusy ? " busy" : ""}`;
  }

  /** What must be the same everywhere in the end. */
  summary(): { readonly sid: number; readonly text: string } {
    const { peer } = this;
    if (peer === null) return { sid: this.sid, text: "down" };
    const epoch = epochOf(peer.zxid);
    const text = `digest ${peer.tree.digest.value}, epoch ${epoch}, sessions ${sessionsOf(peer)}`;
    return { sid: this.sid, text };
  }
}

function sessionsOf(peer: Peer): string {
  const list = [...peer.sessions.all()].map(({ id, timeoutMs }) => `${id.toString(16)}:${timeoutMs}`);
  return list.sort().join(" ");
}
