/**
 * ZkError: how a request failed, with the code of client-protocol 8 and its name.
 *
 * Codes from the server and codes that only a client can find (ConnectionLoss, SessionExpired) look
 * alike, because to the caller they are: the request has no result. After ConnectionLoss a write may
 * or may not have happened.
 */
import { ErrorCode, errorName } from "../core/wire/errors.ts";

export class ZkError extends Error {
  override readonly name: string = "ZkError";
  readonly code: number;
  /** `NoNode`, `BadVersion`, … */
  readonly codeName: string;
  /** As the caller wrote it; null where the request has none. */
  readonly path: string | null;

  constructor(code: number, path: string | null, detail?: string) {
    const codeName = errorName(code);
    super(`${codeName}${path === null ? "" : ` for ${path}`}${detail === undefined ? "" : `: ${detail}`}`);
    this.code = code;
    this.codeName = codeName;
    this.path = path;
  }
}

/** A path that was refused before it was sent. The message is the sentence that users know. */
export class PathError extends ZkError {
  override readonly name = "PathError";
  readonly sentence: string;
  constructor(path: string, sentence: string) {
    super(ErrorCode.BadArguments, path, sentence);
    this.sentence = sentence;
  }
}
