/**
 * Errors: what SQLite and the system say, turned into a StorageError that a person can act on.
 *
 * Each message has three parts: what was tried, what was found, what to do next.
 */
import { SqliteError, systemCodeOf } from "../runtime/ports.ts";
import { StorageError } from "./storage.ts";
import type { StorageErrorCode } from "./storage.ts";

const codeBySqlite: Readonly<Record<string, StorageErrorCode>> = {
  SQLITE_FULL: "full",
  SQLITE_NOTADB: "foreign",
  SQLITE_CORRUPT: "damaged",
  // Our statements are right, so it is what they find.
  SQLITE_ERROR: "damaged",
  SQLITE_MISMATCH: "damaged",
  SQLITE_BUSY: "locked",
  SQLITE_LOCKED: "locked",
  SQLITE_CANTOPEN: "access",
  SQLITE_PERM: "access",
  SQLITE_READONLY: "access",
  SQLITE_AUTH: "access",
};

const codeBySystem: Readonly<Record<string, StorageErrorCode>> = {
  ENOSPC: "full",
  EDQUOT: "full",
  EACCES: "access",
  EPERM: "access",
  EROFS: "access",
  ENOTDIR: "access",
  EEXIST: "access",
  EISDIR: "access",
  ENOENT: "access",
  ELOOP: "access",
  ENAMETOOLONG: "access",
};

const adviceByCode: Readonly<Record<StorageErrorCode, string>> = {
  locked: "Another process has it open: stop that one, or give this server a directory of its own",
  foreign: "Choose another directory, or move the file away if it is not needed",
  damaged:
    "Restore the directory from a backup, or move it away and let this peer copy the state of the others",
  full: "Make room on that file system, then start again; all that was acknowledged is kept",
  io: "Look at the system's log for faults of the disk, then start again; all that was acknowledged is kept",
  access: "Make it a directory that the server's user can read and write, then start again",
};

/** What a file holds is not what was written to it. Others may hold it still: in the log, or on other members. */
export class Rot extends StorageError {
  readonly file: "log" | "table";
  /** What was found, without what to do: for where it is done already. */
  readonly fact: string;

  constructor(
    file: "log" | "table",
    fact: string,
    advice: string = adviceByCode.damaged,
    options?: ErrorOptions,
  ) {
    super("damaged", `${fact}. ${advice}`, options);
    this.file = file;
    this.fact = fact;
  }
}

export function rot(file: "log" | "table", tried: string, found: string, advice?: string): Rot {
  return new Rot(file, `Cannot ${tried}: ${found}`, advice);
}

/** An error met while reading a file that is known to be ours. */
export function rotOf(file: "log" | "table", error: unknown, tried: string): StorageError {
  const found = storageErrorOf(error, tried);
  const isRot = found.cause instanceof SqliteError && (found.code === "damaged" || found.code === "foreign");
  return isRot && !(found instanceof Rot) ? new Rot(file, factOf(found), undefined, { cause: error }) : found;
}

/** Without what to do. */
export function factOf({ message, code }: StorageError): string {
  const advice = `. ${adviceByCode[code]}`;
  return message.endsWith(advice) ? message.slice(0, -advice.length) : message;
}

/** `found` and `advice` end without a period; the advice for the code is used where none is given. */
export function storageError(
  code: StorageErrorCode,
  tried: string,
  found: string,
  advice: string = adviceByCode[code],
  cause?: unknown,
): StorageError {
  return new StorageError(
    code,
    `Cannot ${tried}: ${found}. ${advice}`,
    cause === undefined ? undefined : { cause },
  );
}

/** Any error met on the way to the disk. A StorageError passes as it is. */
export function storageErrorOf(error: unknown, tried: string): StorageError {
  if (error instanceof StorageError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof SqliteError) {
    // The library's own sentence; the statement before it is for us and not for who reads this.
    const found = error.cause instanceof Error ? error.cause.message : message;
    return storageError(
      codeBySqlite[error.code] ?? "io",
      tried,
      `${found} (${error.code})`,
      undefined,
      error,
    );
  }
  const code = systemCodeOf(error);
  return storageError(codeBySystem[code] ?? "io", tried, message, undefined, error);
}
