/**
 * ClientSession: one session over many connections.
 *
 * ```
 *   submit ──► waiting (no connection) ──┐
 *      └────────────────────────────────►├─► pending ──► reply, in the order asked
 *                                        │      └─► ConnectionLoss: nobody knows what became of it
 *   on each connection: credentials, then watches, then what waits       client-protocol 2.8
 * ```
 *
 * Replies are matched by their place in line and the xid must agree; a server that answers out of
 * order is not to be believed, so the connection is cut. Invariant: `pending` is empty whenever
 * there is no connection.
 */
import { ErrorCode } from "../core/wire/errors.ts";
import { OpCode, Xid } from "../core/wire/opcodes.ts";
import { Reader } from "../core/wire/reader.ts";
import { type ConnectReply, readReplyHeader, readWatchEvent } from "../core/wire/replies.ts";
import { writeAuthRequest, writeRequestHeader } from "../core/wire/requests.ts";
import { writeSetWatches2Request, writeSetWatchesRequest } from "../core/wire/requests.ts";
import { Writer } from "../core/wire/writer.ts";
import { attemptMsMax, attemptMsMin, credentialsMax, reconnectMsMax, reconnectMsMin } from "./limits.ts";
import { requestsOutstandingMax, sessionTimeoutMsDefault, tickMsMax, tickMsMin } from "./limits.ts";
import { Link, type LinkOwner } from "./link.ts";
import { Queue } from "./queue.ts";
import { type ConnectString, pathOfCaller, type ServerAddress } from "./servers.ts";
import { afterMs } from "./timers.ts";
import type { ClientOptions, ClientRuntime, ClientState, WatchCall, WatchEvent } from "./types.ts";
import { Watches } from "./watches.ts";
import { ZkError } from "./zk_error.ts";

/** Called once: with a reader at the body when `err` is 0 or the server sent a body, else null. */
export type Done = (err: number, reader: Reader | null, zxid: number, detail?: string) => void;

interface Request {
  readonly op: number;
  xid: number;
  /** The payload, for a request that waits for a connection; null once it was sent. */
  payload: Uint8Array | null;
  readonly sinceMs: number;
  readonly done: Done;
}

interface Credential {
  readonly scheme: string;
  readonly auth: Uint8Array;
  /** Who waits to hear whether it was accepted; null once told. */
  done: ((err: number, detail?: string) => void) | null;
}

/** Why the last attempt at one server failed. */
export interface AttemptFailure {
  readonly server: string;
  readonly cause: string;
  /** The system's, or "". */
  readonly code: string;
}

const xidMax = 0x7fff_ffff;

export class ClientSession implements LinkOwner {
  readonly watches = new Watches();
  readonly chroot: string;
  state: ClientState = "connecting";
  id = 0n;
  password: Uint8Array = new Uint8Array(16);
  zxidSeen = 0;
  /** As granted; before that, as asked for. */
  timeoutMs: number;
  attempts = 0;
  connections = 0;
  onAttemptFailed: (failure: AttemptFailure) => void = () => {};

  readonly #runtime: ClientRuntime;
  readonly #options: ClientOptions;
  readonly #servers: readonly ServerAddress[];
  readonly #failures = new Map<string, AttemptFailure>();
  readonly #pending = new Queue<Request>();
  readonly #waiting = new Queue<Request>();
  readonly #credentials: Credential[] = [];
  readonly #credentialsSent = new Queue<Credential>();
  readonly #reader = new Reader();
  readonly #scratch = new Writer(256);
  readonly #stateWaiters = new Set<() => void>();
  #link: Link | null = null;
  #serverAt: number;
  #round = 0;
  #xid = 0;
  #seenReadWrite = false;
  #leaving = false;
  #pingPending = false;
  #stopTick: () => void = () => {};
  #stopDelay: () => void = () => {};

  constructor(runtime: ClientRuntime, connectString: ConnectString, options: ClientOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#servers = connectString.servers;
    this.chroot = connectString.chroot;
    this.timeoutMs = options.timeoutMs ?? sessionTimeoutMsDefault;
    // Each client begins elsewhere, so that a thousand of them do not all pick the first server.
    this.#serverAt = runtime.process.randomU32() % connectString.servers.length;
    if (options.session !== undefined) {
      this.id = options.session.id;
      this.password = options.session.password;
      this.zxidSeen = options.session.zxidSeen ?? 0;
      this.#seenReadWrite = true;
    }
    this.#startTick();
    this.#attempt();
  }

  get isConnected(): boolean {
    return this.state === "connected" || this.state === "connected-read-only";
  }

  get isOver(): boolean {
    return this.state === "expired" || this.state === "auth-failed" || this.state === "closed";
  }

  get outstanding(): number {
    return this.#pending.length + this.#waiting.length;
  }

  /** The server of the connection, or null. */
  get server(): string | null {
    return this.isConnected ? this.#link?.text ?? null : null;
  }

  failures(): AttemptFailure[] {
    return [...this.#failures.values()];
  }

  // --------------------------------------------------------------------------------- connecting

  #attempt(): void {
    if (this.isOver) return;
    const address = this.#servers[this.#serverAt] as ServerAddress;
    this.attempts++;
    const limitMs = Math.min(attemptMsMax, Math.max(attemptMsMin, this.timeoutMs / this.#servers.length));
    const link = new Link(this.#runtime, address, this);
    this.#link = link;
    // The id that a read-only server gave is known to nobody else. client-protocol 2.7.
    const known = this.#seenReadWrite;
    link.open({
      protocolVersion: 0,
      zxidSeen: this.zxidSeen,
      timeoutMs: this.#options.timeoutMs ?? sessionTimeoutMsDefault,
      sessionId: known ? this.id : 0n,
      password: known ? this.password : new Uint8Array(16),
      readOnly: this.#options.readOnly ?? false,
    }, limitMs);
  }

  shaken(reply: ConnectReply): void {
    if (reply.timeoutMs <= 0) return this.#finish("expired", ErrorCode.SessionExpired);
    this.#failures.clear();
    this.#round = 0;
    this.connections++;
    this.id = reply.sessionId;
    this.password = reply.password?.slice() ?? new Uint8Array(16);
    this.timeoutMs = reply.timeoutMs;
    this.#startTick();
    const readOnly = reply.readOnly === true;
    if (!readOnly) this.#seenReadWrite = true;
    for (const credential of this.#credentials) this.#sendCredential(credential);
    this.#sendWatches();
    for (let request = this.#waiting.shift(); request !== undefined; request = this.#waiting.shift()) {
      this.#sendWaiting(request);
    }
    this.#become(readOnly ? "connected-read-only" : "connected");
  }

  #sendCredential(credential: Credential): void {
    this.#credentialsSent.push(credential);
    this.#link?.send((writer) => {
      writeRequestHeader(writer, Xid.Auth, OpCode.Auth);
      writeAuthRequest(writer, credential.scheme, credential.auth);
    });
  }

  #sendWatches(): void {
    for (const portion of this.watches.portions()) {
      const plain = portion.persistent.length === 0 && portion.persistentRecursive.length === 0;
      const op = plain ? OpCode.SetWatches : OpCode.SetWatches2;
      const write = plain ? writeSetWatchesRequest : writeSetWatches2Request;
      const done: Done = (err) => {
        if (err !== 0) this.#link?.cut(`the server refused to arm the watches again (error ${err})`);
      };
      this.#pending.push({ op, xid: Xid.SetWatches, payload: null, sinceMs: 0, done });
      this.#link?.send((writer) => {
        writeRequestHeader(writer, Xid.SetWatches, op);
        write(writer, this.zxidSeen, portion);
      });
    }
  }

  #sendWaiting(request: Request): void {
    const payload = request.payload ?? new Uint8Array(0);
    request.payload = null;
    this.#pending.push(request);
    this.#link?.send((writer) => writer.raw(payload));
  }

  over(cause: string, code: string): void {
    const link = this.#link;
    const wasConnected = this.isConnected;
    this.#link = null;
    this.#pingPending = false;
    this.#credentialsSent.clear();
    if (link !== null) {
      const failure = { server: link.text, cause, code };
      this.#failures.set(link.text, failure);
      if (!wasConnected) this.onAttemptFailed(failure);
    }
    const loss = `${cause} (${link?.text ?? "no server"})`;
    for (let request = this.#pending.shift(); request !== undefined; request = this.#pending.shift()) {
      request.done(ErrorCode.ConnectionLoss, null, 0, loss);
    }
    if (this.isOver) return;
    if (this.#leaving) return this.#finish("closed", ErrorCode.ConnectionLoss);
    this.#serverAt = (this.#serverAt + 1) % this.#servers.length;
    // Done may have closed the session or a caller may have been told of the loss: state comes last.
    this.#become("connecting");
    if (this.isOver) return;
    this.#stopDelay = afterMs(this.#delayMs(wasConnected), () => this.#attempt());
  }

  /** None within a round over the servers, then ever longer, by chance. */
  #delayMs(wasConnected: boolean): number {
    const chance = this.#runtime.process.randomU32() / 0x1_0000_0000;
    if (wasConnected) return chance * reconnectMsMin;
    if (this.attempts % this.#servers.length !== 0) return 0;
    const most = this.#options.reconnectMsMax ?? reconnectMsMax;
    const delay = Math.min(most, reconnectMsMin * 2 ** Math.min(this.#round, 10));
    this.#round++;
    return delay * (0.5 + chance / 2);
  }

  // ----------------------------------------------------------------------------------- requests

  submit(op: number, write: (writer: Writer) => void, done: Done): void {
    if (this.isOver || this.#leaving) return done(this.#overCode(), null, 0, `the session is ${this.state}`);
    if (this.outstanding >= requestsOutstandingMax) {
      return done(
        ErrorCode.ThrottledOp,
        null,
        0,
        `${requestsOutstandingMax} requests already wait, send fewer at once`,
      );
    }
    this.#submit(op, write, done);
  }

  #submit(op: number, write: (writer: Writer) => void, done: Done): void {
    this.#xid = this.#xid >= xidMax ? 1 : this.#xid + 1;
    const xid = this.#xid;
    const request: Request = { op, xid, payload: null, sinceMs: this.#runtime.clock.monotonicMs(), done };
    const fill = (writer: Writer): void => {
      writeRequestHeader(writer, xid, op);
      write(writer);
    };
    if (this.isConnected && this.#link !== null) {
      this.#pending.push(request);
      this.#link.send(fill);
    } else {
      this.#scratch.clear();
      fill(this.#scratch);
      request.payload = this.#scratch.copy();
      this.#waiting.push(request);
    }
  }

  #overCode(): number {
    return this.state === "auth-failed" ? ErrorCode.AuthFailed : ErrorCode.SessionExpired;
  }

  addCredential(scheme: string, auth: Uint8Array, done: (err: number, detail?: string) => void): void {
    if (this.isOver || this.#leaving) return done(this.#overCode(), `the session is ${this.state}`);
    if (this.#credentials.length >= credentialsMax) {
      return done(ErrorCode.ThrottledOp, `${credentialsMax} credentials are already there`);
    }
    const credential = { scheme, auth, done };
    this.#credentials.push(credential);
    if (this.isConnected) this.#sendCredential(credential);
  }

  frame(payload: Uint8Array): void {
    const reader = this.#reader;
    reader.reset(payload, 0, payload.length);
    const { xid, zxid, err } = readReplyHeader(reader);
    if (reader.failed) {
      return this.#link?.cut(`a reply of ${payload.length} bytes is shorter than its header`);
    }
    if (xid === Xid.Notification) return this.#event(reader, zxid);
    if (xid === Xid.Ping) {
      this.#pingPending = false;
      return;
    }
    if (xid === Xid.Auth) return this.#authReply(err);
    const request = this.#pending.peek();
    if (request === undefined || request.xid !== xid) {
      const expected = request === undefined ? "none" : `xid ${request.xid}`;
      return this.#link?.cut(`a reply came for xid ${xid} where ${expected} was next`);
    }
    this.#pending.shift();
    if (zxid > 0) this.zxidSeen = zxid;
    request.done(err, reader, zxid);
  }

  #authReply(err: number): void {
    const credential = this.#credentialsSent.shift();
    const done = credential?.done;
    if (credential !== undefined) credential.done = null;
    done?.(err);
    // The server closes now, and would again each time: there is no way on with this credential.
    if (err !== 0) this.#finish("auth-failed", ErrorCode.AuthFailed);
  }

  // ------------------------------------------------------------------------------------- events

  #event(reader: Reader, zxid: number): void {
    const { type, state, path } = readWatchEvent(reader);
    if (reader.failed || path === null) return this.#link?.cut("a watch event could not be read");
    this.#tell(this.watches.take(type, path), { type, state, path: pathOfCaller(this.chroot, path), zxid });
  }

  /** Forgets watches here and tells of it as the server would tell of a change. Returns how many sets were told. */
  removeWatches(pathServer: string, type: number): number {
    const removed = this.watches.remove(pathServer, type);
    const path = pathOfCaller(this.chroot, pathServer);
    for (const { event, calls } of removed) this.#tell(calls, { type: event, state: 3, path, zxid: -1 });
    return removed.length;
  }

  /** A microtask each: what a listener throws must not tear the frame loop, and the order stays. */
  #tell(calls: ReadonlySet<WatchCall>, event: WatchEvent): void {
    const { onEvent } = this.#options;
    if (onEvent !== undefined) queueMicrotask(() => onEvent(event));
    for (const call of calls) queueMicrotask(() => call(event));
  }

  // --------------------------------------------------------------------------------------- time

  #startTick(): void {
    this.#stopTick();
    const ms = Math.min(tickMsMax, Math.max(tickMsMin, this.timeoutMs / 12));
    this.#stopTick = this.#runtime.clock.every(ms, () => this.#tick(ms));
  }

  #tick(tickMs: number): void {
    const now = this.#runtime.clock.monotonicMs();
    const link = this.#link;
    if (link !== null && this.isConnected) {
      const silentMs = now - link.receivedAtMs;
      if (silentMs > (this.timeoutMs * 2) / 3) {
        return link.cut(
          `nothing heard for ${Math.round(silentMs)} ms of a session timeout of ${this.timeoutMs} ms`,
        );
      }
      // A ping also when we send a lot and hear little: only an answer shows that the server lives.
      const idleMs = Math.max(now - link.sentAtMs, this.#pingPending ? 0 : silentMs);
      if (idleMs + tickMs >= this.timeoutMs / 3) this.#ping(link);
      return;
    }
    const queueMsMax = this.#options.queueMsMax ?? this.#options.timeoutMs ?? sessionTimeoutMsDefault;
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      if (now - next.sinceMs < queueMsMax) break;
      this.#waiting.shift();
      next.done(
        ErrorCode.ConnectionLoss,
        null,
        0,
        `no server within ${queueMsMax} ms; ${this.troubleText()}`,
      );
    }
  }

  #ping(link: Link): void {
    this.#pingPending = true;
    link.send((writer) => writeRequestHeader(writer, Xid.Ping, OpCode.Ping));
  }

  // ---------------------------------------------------------------------------------- the end

  /** What was tried and what was found, for a person. */
  troubleText(): string {
    const tried = this.failures().map(({ server, cause }) => `${server}: ${cause}`);
    return tried.length === 0 ? "no attempt has ended yet" : `tried ${tried.join("; ")}`;
  }

  /** Resolves at once or at the next change of state. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#stateWaiters.add(resolve));
  }

  /** Cuts the connection as the network would; the session stays and is taken up again. */
  cut(cause: string): void {
    this.#link?.cut(cause);
  }

  /** Sends closeSession and calls back when it is answered or the connection is over. */
  leave(done: () => void): void {
    if (this.isOver) return done();
    if (!this.isConnected) {
      this.#finish("closed", ErrorCode.SessionExpired);
      return done();
    }
    this.#submit(OpCode.CloseSession, () => {}, () => {
      this.#finish("closed", ErrorCode.SessionExpired);
      done();
    });
    this.#leaving = true;
  }

  /** Ends without a word to the server: the session lives there until it expires. */
  abandon(): void {
    if (!this.isOver) this.#finish("closed", ErrorCode.SessionExpired);
  }

  #finish(state: ClientState, code: number): void {
    this.#stopTick();
    this.#stopDelay();
    const link = this.#link;
    this.#link = null;
    link?.drop();
    this.#become(state);
    const detail = `the session is ${state}`;
    for (const queue of [this.#pending, this.#waiting]) {
      for (let request = queue.shift(); request !== undefined; request = queue.shift()) {
        request.done(code, null, 0, detail);
      }
    }
    for (const credential of this.#credentials) {
      const done = credential.done;
      credential.done = null;
      done?.(code, detail);
    }
    this.watches.clear();
  }

  #become(state: ClientState): void {
    if (this.state === state) return;
    this.state = state;
    const waiters = [...this.#stateWaiters];
    this.#stateWaiters.clear();
    for (const resolve of waiters) resolve();
    const { onState } = this.#options;
    if (onState !== undefined) queueMicrotask(() => onState(state));
  }

  /** The refusal that a waiting caller gets when the session cannot connect. */
  trouble(): ZkError {
    return new ZkError(ErrorCode.ConnectionLoss, null, this.troubleText());
  }
}
