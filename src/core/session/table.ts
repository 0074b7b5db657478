/**
 * Sessions: who is alive.
 *
 * A session exists on every peer as id and timeout (by txn); on the peer that expires it, it also
 * has a deadline. Deadlines fall on multiples of the tick (server-semantics 8.4), and a session sits
 * in the bucket of one tick. Touching only moves the deadline; the session moves when the tick of
 * its bucket comes and it turns out to be alive. So a renewal is one store, however many sessions.
 */
import { must } from "../base/assert.ts";
import { ShardedMap } from "../base/sharded_map.ts";
import { sessionHi, type SessionId, sessionIdOf, sessionLo } from "../base/zxid.ts";
import type { Id } from "../wire/records.ts";
import { passwordOf } from "./password.ts";

const nobody: readonly Id[] = [];

/** So many sessions are looked at in one go. */
const expiryLooksMax = 10_000;

export class Session {
  readonly id: SessionId;
  readonly hi: number;
  readonly lo: number;
  timeoutMs: number;
  /** A closeSession is proposed: nothing more is accepted. */
  closing = false;
  /** Number of the connection that holds it here, or 0. */
  connection = 0;
  /** Monotonic ms without those that were excused, a multiple of the tick. */
  deadlineMs = 0;
  /** The last proposal that makes an ephemeral of this session; 0 for none. */
  zxidEphemeral = 0;
  /** On a leader, through whom its client speaks: 0 ourselves, the number of a learner's link, -1 not known. */
  owner = -1;
  /** On a leader, who its client is: the bytes as its learner last told them, and what they say. */
  identitiesBytes: Uint8Array | null = null;
  identities: readonly Id[] = nobody;

  constructor(id: SessionId, timeoutMs: number) {
    this.id = id;
    this.hi = sessionHi(id);
    this.lo = sessionLo(id);
    this.timeoutMs = timeoutMs;
  }

  get password(): Uint8Array<ArrayBuffer> {
    return passwordOf(this.id);
  }
}

export class SessionTable {
  readonly #tickMs: number;
  readonly #byId = new ShardedMap<SessionId, Session>(sessionLo);
  /** By the low 53 bits, for those who have two halves at hand and no bigint; a second one of the same bits is only above. */
  readonly #byLow = new ShardedMap<number, Session>((low) => low | 0);
  /** Low bits that more than one session has. */
  readonly #aside = new Set<number>();
  readonly #buckets = new Map<number, Set<Session>>();
  /** The last look for expired sessions did not get to all. */
  isBehind = false;
  /** Time in which we did not run: it is nobody's silence. Deadlines are told without it. */
  #excusedMs = 0;

  constructor(tickMs: number) {
    this.#tickMs = tickMs;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: SessionId): Session | undefined {
    return this.#byId.get(id);
  }

  /** As `get`, without making a bigint: asked once per request of a learner and once per commit. */
  find(hi: number, lo: number): Session | undefined {
    const session = this.#byLow.get(lowOf(hi, lo));
    if (session === undefined || (session.hi === hi && session.lo === lo)) return session;
    return this.#byId.get(sessionIdOf(hi, lo));
  }

  all(): IterableIterator<Session> {
    return this.#byId.values();
  }

  /** A session from a txn or a snapshot. Known already: only its timeout is set. */
  open(id: SessionId, timeoutMs: number): Session {
    const known = this.#byId.get(id);
    if (known !== undefined) {
      known.timeoutMs = timeoutMs;
      return known;
    }
    const session = new Session(id, timeoutMs);
    this.#byId.set(id, session);
    const low = lowOf(session.hi, session.lo);
    if (this.#byLow.has(low)) this.#aside.add(low);
    else this.#byLow.set(low, session);
    return session;
  }

  close(id: SessionId): void {
    const session = this.#byId.get(id);
    if (session === undefined) return;
    this.#byId.delete(id);
    const low = lowOf(session.hi, session.lo);
    if (this.#byLow.get(low) !== session) return;
    this.#byLow.delete(low);
    if (!this.#aside.delete(low)) return;
    // One that had to stand aside is found quickly from now on.
    for (const other of this.#byId.values()) {
      if (lowOf(other.hi, other.lo) !== low) continue;
      if (this.#byLow.has(low)) this.#aside.add(low);
      else this.#byLow.set(low, other);
    }
  }

  /** We decide from now on who has expired, and nobody could renew while nobody did: all get their full time. */
  watchAll(nowMs: number): void {
    this.#buckets.clear();
    for (const session of this.#byId.values()) this.watch(session, nowMs);
  }

  /** Somebody else decides: whatever was proposed or known of sessions here is void. */
  rest(): void {
    this.#buckets.clear();
    for (const session of this.#byId.values()) {
      session.closing = false;
      session.connection = 0;
      session.zxidEphemeral = 0;
      session.owner = -1;
      session.identitiesBytes = null;
      session.identities = nobody;
    }
  }

  /** Nobody is alive any more, as when the table was new. */
  clear(): void {
    this.#byId.clear();
    this.#byLow.clear();
    this.#aside.clear();
    this.#buckets.clear();
  }

  /** For so long nobody could be heard: it costs no session its time. */
  excuse(ms: number): void {
    this.#excusedMs += ms;
  }

  /** When it would expire, in the caller's time. */
  expiresAtMs(session: Session): number {
    return session.deadlineMs + this.#excusedMs;
  }

  /** The first multiple of the tick after `now + timeout`. */
  touch(session: Session, nowMs: number): void {
    const untilMs = nowMs - this.#excusedMs + session.timeoutMs;
    session.deadlineMs = (Math.floor(untilMs / this.#tickMs) + 1) * this.#tickMs;
  }

  /** Starts to watch a session's deadline. */
  watch(session: Session, nowMs: number): void {
    this.touch(session, nowMs);
    this.#put(session);
  }

  #put(session: Session): void {
    const bucket = this.#buckets.get(session.deadlineMs);
    if (bucket === undefined) this.#buckets.set(session.deadlineMs, new Set([session]));
    else bucket.add(session);
  }

  /**
   * Sessions whose deadline has come; those that were touched since move on. It stops after one that `goesOn`
   * says no to, or after many looks; then `isBehind`, and the next call goes on from there.
   */
  expired(nowMs: number, goesOn: (dead: Session) => boolean = () => true): Session[] {
    const dead: Session[] = [];
    const untilMs = nowMs - this.#excusedMs;
    let looksLeft = expiryLooksMax;
    this.isBehind = false;
    const due = [...this.#buckets.keys()].filter((tick) => tick <= untilMs).sort((a, b) => a - b);
    for (const tick of due) {
      const bucket = must(this.#buckets.get(tick), "a due bucket is there");
      for (const session of bucket) {
        if (this.isBehind) return dead;
        bucket.delete(session);
        this.isBehind = --looksLeft === 0;
        if (this.#byId.get(session.id) !== session || session.closing) continue;
        if (session.deadlineMs > untilMs) this.#put(session);
        else {
          dead.push(session);
          this.isBehind ||= !goesOn(session);
        }
      }
      this.#buckets.delete(tick);
    }
    return dead;
  }
}

function lowOf(hi: number, lo: number): number {
  return (hi & 0x1f_ffff) * 0x1_0000_0000 + (lo >>> 0);
}
