/**
 * Client: every operation of the protocol as one call.
 *
 * Small on purpose; it is what the shell and all tests speak with. Calls may be made at any time and
 * in any number: they leave in the order made and are answered in that order, over reconnects, until
 * the session is over. A failed call rejects with a `ZkError`; a failed multi does not, because its
 * results say more than one code could. Data is a view of the frame it came in.
 */
import { ErrorCode } from "../core/wire/errors.ts";
import { AddWatchMode, CreateMode, OpCode, WatcherType } from "../core/wire/opcodes.ts";
import type { Reader } from "../core/wire/reader.ts";
import { type Acl, aclOpen, type Stat } from "../core/wire/records.ts";
import * as replies from "../core/wire/replies.ts";
import * as requests from "../core/wire/requests.ts";
import type { MultiOp } from "../core/wire/requests.ts";
import type { Writer } from "../core/wire/writer.ts";
import { closeMsMax } from "./limits.ts";
import { pathProblem } from "./paths.ts";
import { type CreateOp, createOp, isSequential, writeCreate } from "./ops.ts";
import { parseConnectString, pathOfCaller, pathOnServer } from "./servers.ts";
import { type AttemptFailure, ClientSession } from "./session.ts";
import { afterMs } from "./timers.ts";
import type { ClientOptions, ClientRuntime, ClientState, Created, CreateOptions } from "./types.ts";
import type { DataAndStat, RawReply, SessionCredentials, WatchCall, WatchChoice } from "./types.ts";
import type { WatchList } from "./watches.ts";
import { PathError, ZkError } from "./zk_error.ts";

export { createOp, multiErrorAt } from "./ops.ts";

/** Begins to connect at once and returns; `ready` waits for the first connection. */
export function connect(runtime: ClientRuntime, options: ClientOptions): Client {
  return new Client(runtime, options);
}

interface WatchOption {
  readonly watch?: WatchChoice;
}

const configPath = "/zookeeper/config";

/** The watch of `watch: true`: only `onEvent` hears it. */
const nobody: WatchCall = () => {};

export class Client {
  readonly #session: ClientSession;
  readonly #checkPaths: boolean;

  constructor(runtime: ClientRuntime, options: ClientOptions) {
    this.#checkPaths = options.checkPaths ?? true;
    this.#session = new ClientSession(runtime, parseConnectString(options.servers), options);
  }

  // -------------------------------------------------------------------------------- the session

  get state(): ClientState {
    return this.#session.state;
  }

  /** 0n before the first connection. */
  get sessionId(): bigint {
    return this.#session.id;
  }

  /** What another client needs to take the session over. */
  get credentials(): SessionCredentials {
    const { id, password, zxidSeen } = this.#session;
    return { id, password, zxidSeen };
  }

  /** As the server granted it. */
  get timeoutMs(): number {
    return this.#session.timeoutMs;
  }

  /** The highest zxid of a reply. */
  get zxidSeen(): number {
    return this.#session.zxidSeen;
  }

  /** `host:port` of the connection; null without one. */
  get server(): string | null {
    return this.#session.server;
  }

  /** Requests without an answer yet. */
  get outstanding(): number {
    return this.#session.outstanding;
  }

  /** How many times a connection was made; more than one means the session was taken up again. */
  get connections(): number {
    return this.#session.connections;
  }

  /** Per server, why the last attempt failed; empty while connected. */
  failures(): readonly AttemptFailure[] {
    return this.#session.failures();
  }

  set onAttemptFailed(call: (failure: AttemptFailure) => void) {
    this.#session.onAttemptFailed = call;
  }

  /** Waits for a connection; rejects with what was tried when there is none in time or never will be. */
  async ready(limitMs: number = this.timeoutMs): Promise<void> {
    const session = this.#session;
    let isLate = false;
    let wake: () => void = () => {};
    const late = new Promise<void>((resolve) => wake = resolve);
    const stop = afterMs(limitMs, () => {
      isLate = true;
      wake();
    });
    while (!session.isConnected && !session.isOver && !isLate) await Promise.race([session.changed(), late]);
    stop();
    if (session.isConnected) return;
    if (session.isOver) throw this.#overError();
    throw new ZkError(
      ErrorCode.ConnectionLoss,
      null,
      `no connection within ${limitMs} ms, ${session.troubleText()}`,
    );
  }

  #overError(): ZkError {
    const { state } = this.#session;
    const code = state === "auth-failed" ? ErrorCode.AuthFailed : ErrorCode.SessionExpired;
    return new ZkError(code, null, `the session is ${state}`);
  }

  /** Ends the session: ephemerals go. Resolves when the server has answered, or is not there to answer. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      const stop = afterMs(closeMsMax, () => this.#session.abandon());
      this.#session.leave(() => {
        stop();
        resolve();
      });
    });
  }

  /** Leaves without a word: the session lives on at the server until it expires or is taken over. */
  abandon(): void {
    this.#session.abandon();
  }

  /** Cuts the connection as a network would; the client comes back to its session. */
  cutConnection(): void {
    this.#session.cut("cut on request");
  }

  addAuth(scheme: string, auth: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#session.addCredential(scheme, auth, (err, detail) => {
        if (err === 0) resolve();
        else reject(new ZkError(err, null, detail ?? `the server refused the ${scheme} credential`));
      });
    });
  }

  // ------------------------------------------------------------------------------------- writes

  /** create2, createContainer or createTTL, by mode. */
  create(path: string, data: Uint8Array | null = null, options: CreateOptions = {}): Promise<Created> {
    const op = this.#createOp(path, data, options);
    return this.#call(
      op.op,
      path,
      (writer) => writeCreate(writer, op),
      (reader) => {
        const { path: made, stat } = replies.readCreate2Reply(reader);
        return { path: this.#ofCaller(made), stat };
      },
      undefined,
      isSequential(op.flags),
    );
  }

  /** The older create (opcode 1), which tells the path alone. */
  createPath(path: string, data: Uint8Array | null = null, options: CreateOptions = {}): Promise<string> {
    const op = { ...this.#createOp(path, data, options), op: OpCode.Create };
    return this.#call(
      OpCode.Create,
      path,
      (writer) => writeCreate(writer, op),
      (reader) => this.#ofCaller(replies.readPathReply(reader)),
      undefined,
      isSequential(op.flags),
    );
  }

  #createOp(path: string, data: Uint8Array | null, options: CreateOptions): CreateOp {
    const { mode = CreateMode.Persistent, acls = aclOpen, ttlMs } = options;
    return createOp(this.#onServer(path), data, { mode, acls, ...(ttlMs === undefined ? {} : { ttlMs }) });
  }

  async delete(path: string, version = -1): Promise<void> {
    await this.#call(
      OpCode.Delete,
      path,
      (writer) => requests.writeDeleteRequest(writer, this.#onServer(path), version),
      nothing,
    );
  }

  setData(path: string, data: Uint8Array | null, version = -1): Promise<Stat> {
    return this.#call(
      OpCode.SetData,
      path,
      (writer) => requests.writeSetDataRequest(writer, this.#onServer(path), data, version),
      replies.readStatReply,
    );
  }

  setAcl(path: string, acls: readonly Acl[], version = -1): Promise<Stat> {
    return this.#call(
      OpCode.SetAcl,
      path,
      (writer) => requests.writeSetAclRequest(writer, this.#onServer(path), acls, version),
      replies.readStatReply,
    );
  }

  /** All or nothing. When it failed every result is an `error`: see `multiErrorAt`. */
  multi(ops: readonly MultiOp[]): Promise<replies.MultiResult[]> {
    return this.#multi(OpCode.Multi, ops);
  }

  multiRead(ops: readonly MultiOp[]): Promise<replies.MultiResult[]> {
    return this.#multi(OpCode.MultiRead, ops);
  }

  #multi(opcode: number, ops: readonly MultiOp[]): Promise<replies.MultiResult[]> {
    for (const op of ops) {
      const problem = this.#problem(op.path, op.kind === "create" && isSequential(op.flags));
      if (problem !== null) return Promise.reject(problem);
    }
    const onServer = ops.map((op) => ({ ...op, path: this.#onServer(op.path) }));
    return this.#call(opcode, null, (writer) => requests.writeMultiRequest(writer, onServer), (reader) => {
      const results = replies.readMultiReply(reader);
      return results.map((result) =>
        result.kind === "created" ? { ...result, path: this.#ofCaller(result.path) } : result
      );
    });
  }

  reconfig(
    change: {
      readonly joining?: string;
      readonly leaving?: string;
      readonly members?: string;
      readonly configId?: number;
    },
  ): Promise<DataAndStat> {
    const { joining = null, leaving = null, members = null, configId = -1 } = change;
    return this.#call(
      OpCode.Reconfig,
      null,
      (writer) => requests.writeReconfigRequest(writer, joining, leaving, members, configId),
      replies.readDataReply,
    );
  }

  // -------------------------------------------------------------------------------------- reads

  /** Null where there is no such znode. */
  exists(path: string, { watch = false }: WatchOption = {}): Promise<Stat | null> {
    const call = callOf(watch);
    const arm = (err: number): void => {
      if (err === 0) this.#arm("data", path, call);
      else if (err === ErrorCode.NoNode) this.#arm("exists", path, call);
    };
    return this.#call<Stat | null>(
      OpCode.Exists,
      path,
      (writer) => requests.writeWatchableRequest(writer, this.#onServer(path), call !== null),
      replies.readStatReply,
      arm,
    ).catch((error: unknown) => {
      if (error instanceof ZkError && error.code === ErrorCode.NoNode) return null;
      throw error;
    });
  }

  getData(path: string, { watch = false }: WatchOption = {}): Promise<DataAndStat> {
    return this.#read(OpCode.GetData, "data", path, watch, replies.readDataReply);
  }

  /** Names in no order, and the stat of the parent. */
  getChildren(
    path: string,
    { watch = false }: WatchOption = {},
  ): Promise<{ readonly children: string[]; readonly stat: Stat }> {
    return this.#read(OpCode.GetChildren2, "children", path, watch, replies.readChildren2Reply);
  }

  /** The older getChildren (opcode 8), without a stat. */
  getChildNames(path: string, { watch = false }: WatchOption = {}): Promise<string[]> {
    return this.#read(OpCode.GetChildren, "children", path, watch, replies.readNamesReply);
  }

  #read<T>(
    op: number,
    list: WatchList,
    path: string,
    watch: WatchChoice,
    read: (reader: Reader) => T,
  ): Promise<T> {
    const call = callOf(watch);
    const write = (writer: Writer): void =>
      requests.writeWatchableRequest(writer, this.#onServer(path), call !== null);
    return this.#call(op, path, write, read, (err) => {
      if (err === 0) this.#arm(list, path, call);
    });
  }

  /** The ensemble's configuration; its znode is at the real root, whatever the chroot. */
  getConfig({ watch = false }: WatchOption = {}): Promise<DataAndStat> {
    const call = callOf(watch);
    return this.#call(
      OpCode.GetData,
      configPath,
      (writer) => requests.writeWatchableRequest(writer, configPath, call !== null),
      replies.readDataReply,
      (err) => {
        if (err === 0 && call !== null) this.#session.watches.add("data", configPath, call);
      },
    );
  }

  getAcl(path: string): Promise<{ readonly acls: Acl[]; readonly stat: Stat }> {
    return this.#call(OpCode.GetAcl, path, this.#pathOnly(path), replies.readAclReply);
  }

  /** Until this resolves, the server has caught up with all that was committed when it was called. */
  sync(path: string): Promise<string> {
    return this.#call(
      OpCode.Sync,
      path,
      this.#pathOnly(path),
      (reader) => this.#ofCaller(replies.readPathReply(reader)),
    );
  }

  /** Paths of this session's ephemerals that begin with the prefix. */
  getEphemerals(prefix = "/"): Promise<string[]> {
    return this.#call(
      OpCode.GetEphemerals,
      prefix,
      this.#pathOnly(prefix),
      (reader) => replies.readNamesReply(reader).map((path) => this.#ofCaller(path)),
    );
  }

  getAllChildrenNumber(path: string): Promise<number> {
    return this.#call(OpCode.GetAllChildrenNumber, path, this.#pathOnly(path), replies.readCountReply);
  }

  whoAmI(): Promise<replies.ClientInfo[]> {
    return this.#call(OpCode.WhoAmI, null, () => {}, replies.readWhoAmIReply);
  }

  // ------------------------------------------------------------------------------------ watches

  async addWatch(
    path: string,
    mode: number = AddWatchMode.PersistentRecursive,
    call: WatchCall = nobody,
  ): Promise<void> {
    const list = mode === AddWatchMode.Persistent ? "persistent" : "persistentRecursive";
    await this.#call(
      OpCode.AddWatch,
      path,
      (writer) => requests.writeWatchTypeRequest(writer, this.#onServer(path), mode),
      replies.readCountReply,
      (err) => {
        if (err === 0) this.#arm(list, path, call);
      },
    );
  }

  /** Rejects with NoWatcher when this connection has none there. */
  async checkWatches(path: string, type: number = WatcherType.Any): Promise<void> {
    await this.#watchType(OpCode.CheckWatches, path, type, () => {});
  }

  /** `local`: forget them here even when the server cannot be asked or knows none. */
  async removeWatches(
    path: string,
    type: number = WatcherType.Any,
    { local = false }: { readonly local?: boolean } = {},
  ): Promise<void> {
    const forget = (): number => this.#session.removeWatches(this.#onServer(path), type);
    try {
      await this.#watchType(OpCode.RemoveWatches, path, type, (err) => {
        if (err === 0) forget();
      });
    } catch (error) {
      if (!local || !(error instanceof ZkError) || forget() === 0) throw error;
    }
  }

  #watchType(op: number, path: string, type: number, after: (err: number) => void): Promise<null> {
    return this.#call(
      op,
      path,
      (writer) => requests.writeWatchTypeRequest(writer, this.#onServer(path), type),
      nothing,
      after,
    );
  }

  /** In the frame loop, so that an event right behind the reply finds its watch. */
  #arm(list: WatchList, path: string, call: WatchCall | null): void {
    if (call !== null) this.#session.watches.add(list, this.#onServer(path), call);
  }

  // ------------------------------------------------------------------------------- underneath

  /** Any request, and its reply undecoded; an error code is no rejection here. */
  raw(op: number, write: (writer: Writer) => void = () => {}): Promise<RawReply> {
    return new Promise((resolve, reject) => {
      this.#session.submit(op, write, (err, reader, zxid, detail) => {
        if (reader === null) reject(new ZkError(err, null, detail));
        else resolve({ zxid, err, body: reader.bytes.slice(reader.at, reader.end) });
      });
    });
  }

  #call<T>(
    op: number,
    path: string | null,
    write: (writer: Writer) => void,
    read: (reader: Reader) => T,
    after?: (err: number) => void,
    sequential = false,
  ): Promise<T> {
    const problem = path === null || op === OpCode.GetEphemerals ? null : this.#problem(path, sequential);
    if (problem !== null) return Promise.reject(problem);
    return new Promise((resolve, reject) => {
      this.#session.submit(op, write, (err, reader, _zxid, detail) => {
        if (err !== 0 || reader === null) {
          if (reader !== null) after?.(err);
          return reject(new ZkError(err, path, detail));
        }
        const value = read(reader);
        if (reader.failed) {
          return reject(
            new ZkError(ErrorCode.MarshallingError, path, "the server's reply could not be read"),
          );
        }
        after?.(0);
        resolve(value);
      });
    });
  }

  #problem(path: string, sequential: boolean): PathError | null {
    if (!this.#checkPaths) return null;
    const sentence = pathProblem(sequential ? `${path}1` : path);
    return sentence === null ? null : new PathError(path, sentence);
  }

  #pathOnly(path: string): (writer: Writer) => void {
    return (writer) => requests.writePathRequest(writer, this.#onServer(path));
  }

  #onServer(path: string): string {
    return pathOnServer(this.#session.chroot, path);
  }

  #ofCaller(path: string): string {
    return pathOfCaller(this.#session.chroot, path);
  }
}

function callOf(watch: WatchChoice): WatchCall | null {
  if (watch === true) return nobody;
  return watch === false ? null : watch;
}

function nothing(): null {
  return null;
}
