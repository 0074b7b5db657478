/**
 * Four-letter words: the questions that operators type into `nc`, answered to the letter.
 *
 * Pure: a word and a source of status in, text out. The listener recognises a word in the first four
 * bytes of a connection (`isWord`), waits for as many bytes as `wordBytes` says, writes `answerWord` and closes
 * once that is sent and what the other side still sends is read. The shapes are those of
 * operations.md 2; where a fact of ours has no place in them it is appended at the end, where parsers
 * that go by line order (Datadog on `stat`) and those that grep (`Mode` in zkServer.sh) do not look.
 */
import { unreachable } from "../core/base/assert.ts";
import type { PeerStatusSource } from "../core/peer/status.ts";
import type { ClockPort, ProcessPort } from "../runtime/ports.ts";
import type { Recovered, Storage } from "../storage/storage.ts";
import type { ServerSettings } from "./config_types.ts";
import { mntrText } from "./words_monitor.ts";
import {
  confText,
  connectionsText,
  digestsText,
  dirsText,
  dumpText,
  environmentText,
  type Pieces,
  serverText,
  watchesByPathText,
  watchesBySessionText,
  watchSummaryText,
} from "./words_text.ts";

/** All that the words, the admin endpoint and the metrics read. They keep nothing of it. */
export interface WordSource {
  readonly peer: PeerStatusSource;
  readonly storage: Pick<Storage, "stats">;
  readonly settings: ServerSettings;
  readonly process: Pick<ProcessPort, "info" | "memory" | "residentBytes" | "cpuSeconds" | "fileDescriptors">;
  readonly clock: Pick<ClockPort, "wallMs" | "monotonicMs" | "after">;
  /** What `stmk` sets and `gtmk` tells. Nothing here is traced by it. */
  readonly traceMask: TraceMask;
  /** Ports as bound, where the settings say 0 (any free one). */
  readonly ports?: { readonly client: number; readonly secure: number };
  /** How the start went, for the start-up metrics; null before its end. */
  readonly load?: { readonly recovered: Recovered | null };
}

export interface TraceMask {
  value: bigint;
}

/** Requests, sessions, events and server packets without pings: the original's default. */
export const traceMaskDefault = 306n;

export const notServingSentence = "This ZooKeeper instance is not currently serving requests";

const words = [
  "conf",
  "cons",
  "crst",
  "dirs",
  "dump",
  "envi",
  "gtmk",
  "hash",
  "isro",
  "mntr",
  "ruok",
  "srst",
  "srvr",
  "stat",
  "stmk",
  "wchc",
  "wchp",
  "wchs",
] as const;

export type Word = (typeof words)[number];

const wordsKnown: ReadonlyMap<string, Word> = new Map(words.map((word) => [word, word]));

/** The word that these bytes begin with, or null: then they are a frame's length. */
export function wordOf(bytes: Uint8Array): Word | null {
  if (bytes.length < 4) return null;
  return wordsKnown.get(
    String.fromCharCode(bytes[0] as number, bytes[1] as number, bytes[2] as number, bytes[3] as number),
  ) ?? null;
}

export function isWord(bytes: Uint8Array): boolean {
  return wordOf(bytes) !== null;
}

/** Bytes to wait for before answering: `stmk` carries a mask. What is refused is refused at once. */
export function wordBytes(
  word: Word,
  settings: Pick<ServerSettings, "fourLetterWords" | "readOnlyMode">,
): number {
  return word === "stmk" && wordEnabled(word, settings) ? 12 : 4;
}

/** `srvr` always is: every health check uses it. `isro` is with read-only mode, for clients that look for a server. */
export function wordEnabled(
  word: Word,
  settings: Pick<ServerSettings, "fourLetterWords" | "readOnlyMode">,
): boolean {
  if (word === "srvr" || (word === "isro" && settings.readOnlyMode)) return true;
  return settings.fourLetterWords === "all" || settings.fourLetterWords.has(word);
}

export interface WordAsked {
  /** On the TLS port: each port lists only its own connections. */
  readonly secure: boolean;
  /** What came behind the word. */
  readonly rest: Uint8Array;
}

const askedPlainly: WordAsked = { secure: false, rest: new Uint8Array(0) };

export function answerWord(word: Word, source: WordSource, asked: WordAsked = askedPlainly): string {
  return [...answerPieces(word, source, asked)].join("");
}

/** The answer as it is made. */
export function answerPieces(word: Word, source: WordSource, asked: WordAsked): Pieces {
  const answer = answerOf(word, source, asked);
  return typeof answer === "string" ? [answer] : answer;
}

function answerOf(word: Word, source: WordSource, asked: WordAsked): string | Pieces {
  if (!wordEnabled(word, source.settings)) {
    return `${word} is not executed because it is not in the whitelist.\n`;
  }
  switch (word) {
    case "ruok":
      return "imok";
    case "envi":
      return environmentText(source);
    case "gtmk":
      return String(source.traceMask.value);
    case "stmk":
      return setTraceMask(source.traceMask, asked.rest);
    case "isro":
      return isReadOnlyText(source);
    case "hash":
      return serving(source) ? digestsText(source) : notServingSentence;
  }
  if (!serving(source)) return `${notServingSentence}\n`;
  switch (word) {
    case "srvr":
      return serverText(source, null);
    case "stat":
      return serverText(source, asked.secure);
    case "cons":
      return connectionsText(source, asked.secure);
    case "mntr":
      return mntrText(source);
    case "conf":
      return confText(source);
    case "crst":
      source.peer.resetConnectionStats();
      return "Connection stats reset.\n";
    case "srst":
      source.peer.resetStats();
      return "Server stats reset.\n";
    case "dump":
      return dumpText(source);
    case "wchs":
      return watchSummaryText(source);
    case "wchc":
      return watchesBySessionText(source);
    case "wchp":
      return watchesByPathText(source);
    case "dirs":
      return dirsText(source);
    default:
      return unreachable(word);
  }
}

function serving(source: WordSource): boolean {
  return source.peer.status().serving;
}

function isReadOnlyText(source: WordSource): string {
  const status = source.peer.status();
  if (!status.serving) return "null";
  return status.mode === "read-only" ? "ro" : "rw";
}

/** Fewer than eight bytes end the connection without an answer, as in the original. */
function setTraceMask(mask: TraceMask, rest: Uint8Array): string {
  if (rest.length < 8) return "";
  mask.value = new DataView(rest.buffer, rest.byteOffset, 8).getBigInt64(0);
  return String(mask.value);
}
