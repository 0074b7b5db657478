/**
 * Ports: all that zoolet asks of the runtime under it.
 *
 * `src/runtime/` alone says `Bun.`, `Deno.` and `node:`. What both runtimes offer alike through
 * `node:` modules stands in `shared/`; what differs (SQLite) in `bun/` and `deno/`. Everything
 * above is written against these interfaces, so it runs on either and a test can pass its own.
 */

// ------------------------------------------------------------------------------------------ tcp

/** What a socket's owner is told. Calls never nest and never come after `closed`. */
export interface TcpHandler {
  /** Bytes that arrived. The array may be kept; nobody writes to it again. */
  data(bytes: Uint8Array): void;
  /** The other side will send no more. The socket stays open for our own bytes until `end` or `destroy`. */
  ended(): void;
  /** All that was written has left for the kernel. */
  drained(): void;
  /** The end, once, whatever the cause; `cause` is null for an orderly close. */
  closed(cause: Error | null): void;
}

export interface TcpSocket {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /**
   * Sends bytes in order. The array belongs to the socket until `done` is called or the socket
   * closes. Never blocks: what the kernel does not take waits, and `unsentBytes` tells how much.
   */
  write(bytes: Uint8Array, done?: () => void): void;
  /** When this is 0 right after `write`, the kernel has the bytes and the array is free at once. */
  readonly unsentBytes: number;
  pause(): void;
  resume(): void;
  /** Sends what is waiting, then closes our side. */
  end(): void;
  /** Closes at once; what is unsent is dropped. */
  destroy(): void;
}

export interface TcpListener {
  readonly port: number;
  readonly address: string;
  close(): Promise<void>;
}

export interface TcpListenOptions {
  readonly host: string | null;
  readonly port: number;
  /** Connections that may wait to be accepted; -1 leaves it to the system. */
  readonly backlog: number;
  readonly keepAlive: boolean;
  /** PEM texts; absent is plaintext. */
  readonly tls?: {
    readonly key: string;
    readonly cert: string;
    readonly ca?: string;
    readonly clientCert: boolean;
  };
  /** For members: may use the descriptors that clients leave over. */
  readonly isReserved?: boolean;
  /** A connection could not be accepted, or was closed at once; the listener goes on. */
  readonly onRefused?: (why: string) => void;
}

export interface TcpConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly keepAlive?: boolean;
  /** Gives the attempt up; of no effect once it is connected. */
  readonly cancel?: AbortSignal;
}

/** A failure to listen or to connect; `code` is the system's (EADDRINUSE, ECONNREFUSED, …), "" when there is none. */
export class TcpError extends Error {
  override readonly name = "TcpError";
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface TcpPort {
  /** Rejects with a TcpError whose `code` is the system's (EADDRINUSE, EACCES, …). */
  listen(options: TcpListenOptions, accept: (socket: TcpSocket) => TcpHandler): Promise<TcpListener>;
  /** Rejects with a TcpError; code ECANCELED when `cancel` was aborted first. A name is looked up each time. */
  connect(options: TcpConnectOptions, handler: TcpHandler): Promise<TcpSocket>;
}

// --------------------------------------------------------------------------------------- sqlite

export type SqliteValue = null | number | bigint | string | Uint8Array;

/**
 * A prepared statement. Integers come back as numbers (those beyond 2^53 must be taken apart in SQL),
 * blobs as Uint8Array, text as string. Parameters are positional; a bigint goes in as 64 bits.
 */
export interface SqliteStatement {
  /** Returns the number of rows that were changed. */
  run(...params: SqliteValue[]): number;
  /** The first row as an array of columns, or undefined. */
  get(...params: SqliteValue[]): SqliteValue[] | undefined;
  all(...params: SqliteValue[]): SqliteValue[][];
  finalize(): void;
}

export interface SqliteDatabase {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

export interface SqliteOpenOptions {
  readonly path: string;
  readonly readonly: boolean;
  /** Refuse to make a file that is not there. */
  readonly mustExist: boolean;
}

/** Every failure of SQLite, with the library's own name of the primary code (`SQLITE_FULL`, `SQLITE_BUSY`, `SQLITE_CORRUPT`, `SQLITE_NOTADB`, …). */
export class SqliteError extends Error {
  override readonly name = "SqliteError";
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface SqlitePort {
  /** Which library this is, for the log: `3.53.0`. */
  readonly version: string;
  open(options: SqliteOpenOptions): SqliteDatabase;
}

// ---------------------------------------------------------------------------------------- files

export interface FileInfo {
  readonly bytes: number;
  readonly isDirectory: boolean;
  readonly modifiedMs: number;
}

/** A file that is there and is written in place, at once as far as other processes see. */
export interface FileInPlace {
  write(bytes: Uint8Array, at: number): void;
  sync(): void;
  close(): void;
}

/** Blocking file calls: used at start, at the end and in the worker, never between requests. */
export interface FilesPort {
  readText(path: string): string;
  /** Null when there is no such file; throws for every other failure. */
  readTextMaybe(path: string): string | null;
  read(path: string): Uint8Array;
  /** Durable and all or nothing: temporary file, fsync, rename, fsync of the directory. */
  writeAtomic(path: string, bytes: Uint8Array | string): void;
  write(path: string, bytes: Uint8Array | string): void;
  /** With all above it; what is made is its owner's alone. */
  makeDirectory(path: string): void;
  /** From here on a file for its owner alone; made, empty, where there is none. */
  makePrivate(path: string): void;
  openInPlace(path: string): FileInPlace;
  /** Writes a file's bytes over themselves and syncs it: after that what is read of it is on the disk. */
  rewrite(path: string): void;
  list(path: string): string[];
  info(path: string): FileInfo | null;
  remove(path: string): void;
  rename(from: string, to: string): void;
  /** Makes names in the directory durable. */
  syncDirectory(path: string): void;
  syncFile(path: string): void;
  absolute(path: string): string;
  /** Free bytes of the file system under `path`, or null where that cannot be told. */
  freeBytes(path: string): number | null;
}

/** Code of a failed system call (`ENOENT`, `ENOSPC`, `EACCES`, …), or "" for any other error. */
export function systemCodeOf(error: unknown): string {
  if (typeof error === "object" && error !== null && "code" in error && typeof error.code === "string") {
    return error.code;
  }
  return "";
}

// ------------------------------------------------------------------------------ process and time

export interface ClockPort {
  /** Milliseconds since 1970. May jump. */
  wallMs(): number;
  /** Milliseconds since some start, with fractions. Never goes back. */
  monotonicMs(): number;
  /** Calls back about every `ms` until the returned function is called. Does not keep the process alive by itself. */
  every(ms: number, call: () => void): () => void;
  /** Once. `holds`: somebody waits for it, the process stays alive until then. */
  after(ms: number, call: () => void, holds?: boolean): () => void;
  /** Once, when all that the network has brought by now was told. */
  soon(call: () => void): void;
}

export interface ProcessInfo {
  readonly runtime: "bun" | "deno";
  readonly runtimeVersion: string;
  readonly pid: number;
  /** Path of the runtime's own program; "" where it cannot be told. */
  readonly executable: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly platform: string;
  readonly arch: string;
  readonly osRelease: string;
  readonly hostname: string;
  readonly user: string;
  readonly home: string;
}

/** Lines of a log that could not be written, and why the last of them could not. */
export interface LogLost {
  readonly lines: number;
  readonly why: string;
}

export interface LogPort {
  /** Never throws and never blocks: what cannot be written is lost and counted. */
  write(text: string): void;
  /** What was lost since it was last asked; null while nothing can be written. */
  takeLost(): LogLost | null;
}

export interface ProcessPort {
  readonly info: ProcessInfo;
  /** For a server, whose words must not be in its way. */
  readonly logs: { readonly stdout: LogPort; readonly stderr: LogPort };
  /** For a command: written whole before it returns; throws where it cannot be. */
  /** Resident bytes of the whole process. */
  residentBytes(): number;
  memory(): {
    readonly residentBytes: number;
    readonly heapUsedBytes: number;
    readonly heapTotalBytes: number;
  };
  cpuSeconds(): number;
  /** Open file descriptors and their limit; -1 where it cannot be told. */
  fileDescriptors(): { readonly open: number; readonly max: number };
  stdout(text: string): void;
  stderr(text: string): void;
  isTerminal(): boolean;
  /**
   * Standard input came to its end: whoever started us is gone, or wants us to go. Reads and drops
   * what comes until then.
   */
  onInputEnd(call: () => void): void;
  /** Starts another program, with our environment and `options.env` over it. A failure is told as its end. */
  spawn(options: ChildOptions, handler: ChildHandler): ChildProcess;
  onSignal(signal: "SIGINT" | "SIGTERM" | "SIGHUP", call: () => void): void;
  /** The last handler: an exception or rejection that nobody caught. */
  onCrash(call: (error: unknown) => void): void;
  exit(code: number): never;
  /** 32 random bits, to seed what is deterministic from then on. */
  randomU32(): number;
  /** Lines of standard input, for the shell; ends at end of input. */
  readonly terminal: TerminalPort;
}

export interface ChildOptions {
  /** An absolute path. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** How a child ended: by itself with a code, by a signal, or, with a cause, without ever having begun. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: string | null;
  readonly cause: string | null;
}

export interface ChildHandler {
  /** One line, without its end. */
  line(from: "stdout" | "stderr", text: string): void;
  /** Once, after the last line. */
  ended(end: ChildEnd): void;
}

export interface ChildProcess {
  /** -1 when it could not be started. */
  readonly pid: number;
  /** A child that uses `onInputEnd` hears of this, and of our own end. */
  endInput(): void;
  /** At once, without asking it. */
  kill(): void;
}

export interface TerminalPort {
  /** Asks for one line. Null at the end of input. */
  question(prompt: string): Promise<string | null>;
  /** Completion for the word being typed: candidates and the part that they replace. */
  complete(completer: (line: string) => Promise<[string[], string]>): void;
  history(lines: readonly string[]): void;
  close(): void;
}

// --------------------------------------------------------------------------------------- worker

/** The owner's side of a worker thread. Messages are structured clones; listed buffers move. */
export interface WorkerHandle {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
  onMessage(call: (message: unknown) => void): void;
  /** The worker died of an exception. */
  onError(call: (error: Error) => void): void;
  terminate(): void;
}

/** The worker's own side. */
export interface WorkerScope {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
  onMessage(call: (message: unknown) => void): void;
  close(): void;
}

export interface WorkerPort {
  /** Starts the module at `url` on a thread of its own. */
  spawn(url: URL, name: string): WorkerHandle;
}

// ----------------------------------------------------------------------------------------- http

export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

export interface HttpPort {
  /**
   * Serves a fetch-style handler. Rejects with a TcpError that has the system's code when the port
   * is taken. A request body above `bodyBytesMax` (1 MiB when absent) is answered with 413.
   */
  serve(
    options: { readonly host: string; readonly port: number; readonly bodyBytesMax?: number },
    handler: (request: Request) => Response | Promise<Response>,
  ): Promise<HttpServer>;
}

/** Everything at once, as `main.ts` hands it up. */
export interface Runtime {
  readonly tcp: TcpPort;
  readonly sqlite: SqlitePort;
  readonly files: FilesPort;
  readonly clock: ClockPort;
  readonly process: ProcessPort;
  readonly worker: WorkerPort;
  readonly http: HttpPort;
}
