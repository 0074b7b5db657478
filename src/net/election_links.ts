/**
 * Election links: votes between members, over at most one connection per pair. quorum-protocol 1.
 *
 * Of two members the one with the larger sid dials. The smaller one may only knock: it connects,
 * says who it is, hangs up, and is called back. A vote that was not sent yet is replaced by a newer
 * one, and the last vote sent is sent again on a new connection, since nobody knows whether it was
 * read: the election stays alive through these two, so they are as in the original.
 *
 * Nothing is dialed unless there is a wish: somebody is to get a vote, or `connectAll` was called.
 * A wish lasts for a second, in which refused attempts are repeated.
 *
 * Always true: `voterUp` and `voterDown` of a sid alternate and concern members alone; whoever dials
 * this port, what we keep for strangers is bounded.
 */
import { encodeInitial } from "../core/wire/votes.ts";
import type { ClockPort, TcpError, TcpListener, TcpPort, TcpSocket } from "../runtime/ports.ts";
import { type Address, hostPort, isWildcard, plainHost } from "./address.ts";
import { Dial } from "./dial.ts";
import { ElectionLine, type Introduction, type LineEvents } from "./election_line.ts";
import { listenAll } from "./listen_all.ts";
import { type LinkNote, NoteLimit } from "./link_note.ts";
import { framed, Voter } from "./voter.ts";

export interface ElectionOwner extends LinkNote {
  /** A notification, without its length, from that sid; negative: an observer that has no id of its own. */
  vote(from: number, bytes: Uint8Array): void;
  voterUp(sid: number): void;
  voterDown(sid: number): void;
  /** All that one arrival brought was told: time to send what it caused. */
  turn(): void;
}

export interface ElectionMember {
  readonly sid: number;
  readonly addresses: readonly Address[];
}

export interface ElectionLinksOptions {
  readonly tcp: TcpPort;
  readonly clock: ClockPort;
  readonly owner: ElectionOwner;
  readonly sid: number;
  /**
   * All members. Our own addresses are where we listen and what we tell others; an observer may be
   * none of the members: it listens nowhere and has a sid above theirs, so that nobody calls it back.
   */
  readonly members: readonly ElectionMember[];
  readonly listenOnAllAddresses: boolean;
  /** Tell others all our addresses, in the form that releases before 3.6 do not know. */
  readonly multiAddress: boolean;
  readonly keepAlive: boolean;
  /** For one dial. Above 1.5 s it is taken for that: nobody waits for a dial, and it is repeated. */
  readonly connectMsMax: number;
  /** For the initial message of who dialed us: tickMs × syncLimit. */
  readonly initialMsMax: number;
  /** How often a port that is taken is tried again, and after which pause. */
  readonly bindRetries?: number;
  readonly bindPauseMs?: number;
}

/** Connections that did not say yet who they are; one more, and the oldest of them goes. */
export const electionPendingMax = 256;
/** Connections to who is not a member. */
export const electionStrangersMax = 32;
/** A second covers one lost SYN. */
const dialMsMax = 1500;
/** How long a wish to be connected lasts. */
const wishMs = 1000;
/** A connection that was closed before it was this old, without a word, is as good as refused. */
const trustMs = 1000;
/** A knock is closed by the other side; after this by us. */
const knockMsMax = 2000;
/** Who knocks while we dial is reachable now; a dial older than this may wait for a host that was down. */
const dialStaleMs = 100;
/** A member that is told votes on a connection this old, and says nothing for so long, gets a new one. */
const deafMs = 1500;
const unreachableNoteMs = 60_000;
/** What the initial message tells of who listens nowhere: it has to name an address, and nobody dials this one. */
const nowhere: Address = { host: "0.0.0.0", port: 3888 };

export class ElectionLinks implements LineEvents {
  readonly #options: ElectionLinksOptions;
  readonly #own: ElectionMember;
  readonly #owner: ElectionOwner;
  readonly #voters = new Map<number, Voter>();
  /** Lines that were accepted and did not say yet who they are, oldest first, with their time limits. */
  readonly #pending = new Map<ElectionLine, () => void>();
  readonly #knocking = new Map<ElectionLine, () => void>();
  #listeners: readonly TcpListener[] = [];
  #strangers = 0;
  #namelessNext = -1;
  readonly #faults = new NoteLimit();
  #stopped = false;
  readonly #initialBytes: Uint8Array;

  constructor(options: ElectionLinksOptions) {
    this.#options = options;
    this.#owner = options.owner;
    const own = options.members.find(({ sid }) => sid === options.sid);
    this.#own = own ?? { sid: options.sid, addresses: [] };
    const told = (own?.addresses ?? [nowhere]).map(({ host, port }) => ({ host: plainHost(host), port }));
    this.#initialBytes = encodeInitial(options.sid, told, options.multiAddress);
    for (const { sid, addresses } of options.members) {
      if (sid !== options.sid) this.#voters.set(sid, new Voter(sid, addresses, true));
    }
  }

  /** Rejects where a port cannot be had, after a few tries. Returns the ports. */
  async listen(): Promise<readonly number[]> {
    const { tcp, clock, listenOnAllAddresses, keepAlive, bindRetries, bindPauseMs } = this.#options;
    this.#listeners = await listenAll({
      tcp,
      clock,
      note: this.#owner,
      what: "the election port",
      addresses: this.#own.addresses,
      allAddresses: listenOnAllAddresses,
      keepAlive,
      retries: bindRetries ?? 3,
      pauseMs: bindPauseMs ?? 1000,
      isOver: () => this.#stopped,
      accept: (socket) => this.#accept(socket),
    });
    return this.#listeners.map(({ port }) => port);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const voter of this.#voters.values()) {
      this.#giveUpDial(voter);
      voter.line?.drop();
      voter.line = null;
    }
    for (const lines of [this.#pending, this.#knocking]) {
      for (const [line, cancel] of lines) {
        cancel();
        line.drop();
      }
      lines.clear();
    }
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  isUp(sid: number): boolean {
    return this.#voters.get(sid)?.line != null;
  }

  /** Sids with a connection, strangers too. */
  connected(): number[] {
    return [...this.#voters.values()].filter(({ line }) => line !== null).map(({ sid }) => sid);
  }

  /** Sends a notification, given without its length, or keeps it for when there is a connection. */
  sendVote(to: number, bytes: Uint8Array): void {
    const voter = this.#voters.get(to);
    // A stranger that has left, or ourselves: the election counts its own vote by itself.
    if (voter === undefined || this.#stopped) return;
    voter.slot = framed(bytes);
    if (voter.line === null) return this.#wish(voter);
    this.#flush(voter);
    this.#renewIfDeaf(voter, voter.line);
  }

  /**
   * A network that was cut leaves connections that only look alive: the kernel sends what we wrote
   * ten or twenty seconds after it is healed. A new connection is there within one.
   */
  #renewIfDeaf(voter: Voter, line: ElectionLine): void {
    const { clock } = this.#options;
    const now = clock.monotonicMs();
    if (voter.unansweredSinceMs === Infinity) voter.unansweredSinceMs = now;
    if (!voter.member || now - Math.max(voter.unansweredSinceMs, line.openedMs) < deafMs) return;
    voter.unansweredSinceMs = Infinity;
    // Not now: the owner is calling us.
    clock.after(0, () => {
      if (voter.line !== line || this.#stopped) return;
      this.#lose(voter).drop();
      this.#wish(voter);
      this.turn();
    });
  }

  /** Dials every member that there is no connection to. May be called as often as one likes. */
  connectAll(): void {
    for (const voter of this.#voters.values()) if (voter.line === null && voter.member) this.#wish(voter);
  }

  // ------------------------------------------------------------------------------------- dialing

  #wish(voter: Voter): void {
    voter.wishedUntilMs = this.#options.clock.monotonicMs() + wishMs;
    this.#dialWhenDue(voter);
  }

  #dialWhenDue(voter: Voter): void {
    const { clock } = this.#options;
    if (this.#stopped || voter.line !== null || voter.dial !== null || voter.cancelTimer !== null) return;
    const now = clock.monotonicMs();
    if (now > voter.wishedUntilMs) return;
    const waitMs = voter.dialNotBeforeMs - now;
    if (waitMs <= 0) return this.#dial(voter);
    voter.cancelTimer = clock.after(Math.ceil(waitMs), () => {
      voter.cancelTimer = null;
      this.#dialWhenDue(voter);
    });
  }

  #dial(voter: Voter): void {
    const { tcp, clock, connectMsMax, keepAlive } = this.#options;
    const addresses = voter.told ?? voter.addresses;
    if (addresses.length === 0) return this.#forgetIfStranger(voter);
    voter.dialSinceMs = clock.monotonicMs();
    voter.dial = new Dial({
      tcp,
      addresses,
      timeoutMs: Math.min(connectMsMax, dialMsMax),
      keepAlive,
      makeHandler: () => new ElectionLine(this, voter.sid),
      failed: (error) => this.#dialFailed(voter, addresses, error),
    });
  }

  #dialFailed(voter: Voter, addresses: readonly Address[], error: TcpError): void {
    voter.dial = null;
    if (voter.told !== null) {
      // Where it said it is, it is not; where the configuration says is tried at once.
      voter.told = null;
    } else this.#refused(voter);
    this.#noteFailure(voter, addresses, error.message);
    if (!voter.member) return this.#forgetIfStranger(voter);
    this.#dialWhenDue(voter);
  }

  #refused(voter: Voter): void {
    voter.dialNotBeforeMs = this.#options.clock.monotonicMs() + voter.refusals.next();
  }

  #giveUpDial(voter: Voter): void {
    voter.dial?.cancel();
    voter.dial = null;
    voter.cancelTimer?.();
    voter.cancelTimer = null;
  }

  lineOpened(line: ElectionLine): void {
    const voter = this.#voters.get(line.sid as number);
    if (this.#stopped || voter === undefined || voter.line !== null) return line.drop();
    voter.dial = null;
    voter.told = null;
    // One write, one segment: the original reads the addresses with a single call.
    line.write(this.#initialBytes.slice());
    if (voter.sid < this.#options.sid) {
      this.#establish(voter, line);
      return this.#owner.turn();
    }
    // A knock. While the other side calls back, a second one would only make it start again.
    this.#knocking.set(line, this.#options.clock.after(knockMsMax, () => this.#dropKnock(line)));
    line.end();
    voter.dialNotBeforeMs = this.#options.clock.monotonicMs() + voter.knocks.next();
    this.#dialWhenDue(voter);
  }

  #dropKnock(line: ElectionLine): void {
    const cancel = this.#knocking.get(line);
    if (cancel === undefined) return;
    cancel();
    this.#knocking.delete(line);
    line.drop();
  }

  // ----------------------------------------------------------------------------------- accepting

  #accept(socket: TcpSocket): ElectionLine {
    const line = new ElectionLine(this, null);
    line.attach(socket);
    if (this.#stopped) {
      line.drop();
      return line;
    }
    for (const [oldest] of this.#pending) {
      if (this.#pending.size < electionPendingMax) break;
      this.#dropPending(oldest);
    }
    const { clock, initialMsMax } = this.#options;
    this.#pending.set(line, clock.after(initialMsMax, () => this.#dropPending(line)));
    return line;
  }

  #dropPending(line: ElectionLine): void {
    this.#takePending(line);
    line.drop();
  }

  #takePending(line: ElectionLine): void {
    this.#pending.get(line)?.();
    this.#pending.delete(line);
  }

  introduced(line: ElectionLine, { sid, addresses }: Introduction): void {
    this.#takePending(line);
    if (sid === this.#options.sid) {
      this.#noteFault(
        line,
        "election_own_sid",
        `it says that it is server ${sid}, and so are we; give each server its own myid`,
      );
      return line.drop();
    }
    const voter = this.#voterOf(sid, line, addresses);
    if (voter === null) return line.drop();
    line.sid = voter.sid;
    if (sid === null || sid > this.#options.sid) return this.#establish(voter, line);

    // A knock. What we have to this server may be from before it was started anew.
    line.drop();
    if (voter.line !== null) this.#lose(voter).drop();
    const { clock } = this.#options;
    const now = clock.monotonicMs();
    if (voter.dial !== null && now - voter.dialSinceMs < dialStaleMs) return;
    this.#giveUpDial(voter);
    const told = addresses.filter(({ host }) => !isWildcard(host));
    voter.told = told.length > 0 ? told : null;
    voter.dialNotBeforeMs = now;
    this.#wish(voter);
  }

  /** Who it is; of strangers only so many are let in. */
  #voterOf(sid: number | null, line: ElectionLine, addresses: readonly Address[]): Voter | null {
    const known = sid === null ? undefined : this.#voters.get(sid);
    if (known !== undefined) return known;
    if (this.#strangers >= electionStrangersMax) {
      const who = sid === null ? "a server without id" : `server ${sid}`;
      this.#noteFault(
        line,
        "election_strangers",
        `${who} is not a member, and ${electionStrangersMax} that are not either are connected; is it meant for another ensemble?`,
      );
      return null;
    }
    this.#strangers++;
    const told = addresses.filter(({ host }) => !isWildcard(host));
    const stranger = new Voter(sid ?? this.#namelessNext--, told, false);
    this.#voters.set(stranger.sid, stranger);
    return stranger;
  }

  #forgetIfStranger(voter: Voter): void {
    if (voter.member || voter.line !== null || this.#voters.get(voter.sid) !== voter) return;
    this.#giveUpDial(voter);
    this.#voters.delete(voter.sid);
    this.#strangers--;
  }

  // ---------------------------------------------------------------------------- one line per pair

  #establish(voter: Voter, line: ElectionLine): void {
    if (voter.line !== null) this.#lose(voter).drop();
    this.#giveUpDial(voter);
    voter.line = line;
    line.openedMs = this.#options.clock.monotonicMs();
    voter.knocks.reset();
    voter.unansweredSinceMs = Infinity;
    if (voter.failures > 0) {
      this.#owner.note("info", "election_reached", `Server ${voter.sid} is reached again`, {
        sid: voter.sid,
        failures: voter.failures,
      });
      voter.failures = 0;
    }
    voter.slot ??= voter.last;
    this.#flush(voter);
    if (voter.member) this.#owner.voterUp(voter.sid);
  }

  /** The voter has no line any more; returns the one it had. */
  #lose(voter: Voter): ElectionLine {
    const line = voter.line as ElectionLine;
    voter.line = null;
    if (voter.member) this.#owner.voterDown(voter.sid);
    return line;
  }

  #flush(voter: Voter): void {
    const { line, slot } = voter;
    // While the kernel takes no more, the slot is where a newer vote replaces this one.
    if (line === null || slot === null || line.isBehind) return;
    voter.slot = null;
    voter.last = slot;
    line.write(slot);
  }

  lineFrame(line: ElectionLine, bytes: Uint8Array): void {
    const voter = this.#voters.get(line.sid as number);
    if (voter?.line !== line) return;
    voter.refusals.reset();
    voter.unansweredSinceMs = Infinity;
    this.#owner.vote(voter.sid, bytes);
  }

  lineDrained(line: ElectionLine): void {
    const voter = line.sid === null ? undefined : this.#voters.get(line.sid);
    if (voter?.line === line) this.#flush(voter);
  }

  lineRefused(line: ElectionLine, why: string): void {
    this.#noteFault(line, "election_refused", why);
  }

  lineClosed(line: ElectionLine): void {
    this.#takePending(line);
    this.#knocking.get(line)?.();
    this.#knocking.delete(line);
    const voter = line.sid === null ? undefined : this.#voters.get(line.sid);
    if (voter === undefined || voter.line !== line) return;
    this.#lose(voter);
    const young = this.#options.clock.monotonicMs() - line.openedMs < trustMs;
    if (young && !line.heard) this.#refused(voter);
    if (voter.member) this.#dialWhenDue(voter);
    else this.#forgetIfStranger(voter);
  }

  turn(): void {
    if (!this.#stopped) this.#owner.turn();
  }

  #noteFault(line: ElectionLine, event: string, why: string): void {
    if (!this.#faults.allows(this.#options.clock.monotonicMs())) return;
    this.#owner.note("warn", event, `Closed an election connection from ${line.remote}: ${why}`, {
      remote: line.remote,
    });
  }

  #noteFailure(voter: Voter, addresses: readonly Address[], why: string): void {
    if (!voter.member) return;
    const now = this.#options.clock.monotonicMs();
    voter.failures++;
    if (voter.failures > 1 && now - voter.failureNotedMs < unreachableNoteMs) return;
    voter.failureNotedMs = now;
    const where = addresses.map(hostPort).join("|");
    this.#owner.note(
      "warn",
      "election_unreachable",
      `Cannot open channel to ${voter.sid} at election address ${where}: ${why}; tried again whenever there is something to say`,
      { sid: voter.sid, address: where, failures: voter.failures },
    );
  }
}
