/**
 * Votes: what members say to each other on the election port. quorum-protocol 1.2 to 1.4.
 *
 * A connection opens with one initial message of whoever dialed; after it there are notifications,
 * each behind its length as an i4, both ways:
 *
 * ```
 * initial       i8 -65536 or -65535 · i8 sid · i4 length 1..2048 · "host:port" or "host:port|host:port"
 *               or, as releases before 3.5 say it, i8 sid alone
 * notification  i4 state · i8 leader · i8 zxid · i8 round · i8 epoch · i4 version · i4 length, config
 * ```
 *
 * Anyone can dial this port. What is read here is bounded, and every number is one that a double
 * holds exactly: a notification with a greater one is as good as none, since it could not be passed
 * on unharmed.
 */
import { bytesOf, textOf } from "../base/bytes.ts";
import { epochMax } from "../base/limits.ts";
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

/** What a member says that it is doing. */
export const VoterState = { Looking: 0, Following: 1, Leading: 2, Observing: 3 } as const;
export type VoterState = (typeof VoterState)[keyof typeof VoterState];

/** Long.MIN_VALUE: the leader, zxid and epoch of who has nobody to propose. A double holds it exactly. */
export const nobody = -(2 ** 63);

/** A longer notification, or one without any byte, ends its connection. */
export const notificationBytesMax = 512 << 10;
/** Highest round that is believed; what comes after it is the election's business. */
export const roundMax = Number.MAX_SAFE_INTEGER;

export interface Notification {
  readonly state: VoterState;
  /** The sid voted for. */
  readonly leader: number;
  readonly zxid: number;
  /** `electionEpoch` on the wire. */
  readonly round: number;
  /** `peerEpoch` on the wire: currentEpoch of the proposed leader. */
  readonly epoch: number;
  /** Of the message; 0 where it has none. Ours are 2. */
  readonly version: number;
  /** A view of the configuration's text; null where there is none. */
  readonly config: Uint8Array | null;
}

const versionOurs = 2;
/** Up to the round: all that releases before 3.4 sent. */
const oldestBytes = 28;
/** With the epoch, and a version that is not looked at. */
const olderBytes = 40;
const headBytes = 44;

/** A notification without its length. */
export function encodeNotification(
  state: VoterState,
  vote: { readonly leader: number; readonly zxid: number; readonly round: number; readonly epoch: number },
  config: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const writer = new Writer(headBytes + config.length);
  writer.i32(state);
  writer.i64FromNumber(vote.leader);
  writer.i64FromNumber(vote.zxid);
  writer.i64FromNumber(vote.round);
  writer.i64FromNumber(vote.epoch);
  writer.i32(versionOurs);
  writer.buffer(config);
  return writer.view();
}

/** The notification in `bytes`, which come without their length; null where it is to be dropped. */
export function parseNotification(bytes: Uint8Array): Notification | null {
  const size = bytes.length;
  if (size < oldestBytes) return null;
  const reader = new Reader(bytes);
  const state = reader.i32();
  if (!isState(state)) return null;
  const leader = reader.i64AsNumber();
  const zxid = reader.i64AsNumber();
  const round = reader.i64AsNumber();
  let epoch = Math.floor(zxid / 0x1_0000_0000);
  let version = 0;
  let config: Uint8Array | null = null;
  if (size > oldestBytes) epoch = reader.i64AsNumber();
  if (size > oldestBytes && size !== olderBytes) version = reader.i32();
  if (version > 1) {
    config = reader.buffer();
    // A length of -1 would be a null buffer elsewhere; here no length is negative.
    if (config === null) return null;
  }
  if (reader.failed) return null;
  if (!isExact(leader) || !isExact(zxid) || round > roundMax || epoch > epochMax) return null;
  return { state, leader, zxid, round, epoch, version, config };
}

function isState(value: number): value is VoterState {
  return value >= VoterState.Looking && value <= VoterState.Observing;
}

function isExact(value: number): boolean {
  return value === nobody || Number.isSafeInteger(value);
}

/** The number behind `version=`, hexadecimal, in a configuration's text; null where there is none that we can hold. */
export function configVersionOf(text: string): number | null {
  const digits = /^version=([0-9a-fA-F]{1,16})\s*$/m.exec(text)?.[1];
  if (digits === undefined) return null;
  const version = Number.parseInt(digits, 16);
  return Number.isSafeInteger(version) ? version : null;
}

/** Sids of the participants in a configuration's text, ascending. */
export function votersOf(text: string): number[] {
  const voters: number[] = [];
  for (const line of text.matchAll(/^server\.(\d{1,16})=([^\n]*)$/gm)) {
    if (!/:observer\b/.test(line[2] as string)) voters.push(Number(line[1]));
  }
  return voters.sort((a, b) => a - b);
}

export interface ElectionAddress {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

export type InitialMessage =
  /** Call again with the same bytes and those after them. */
  | { readonly kind: "more" }
  | {
    readonly kind: "initial";
    /** Null: an observer without an id of its own; the acceptor gives it one (-1, -2, …). */
    readonly sid: number | null;
    /** Where the sender says that it listens for votes; wildcards are among them. None in the oldest form. */
    readonly addresses: readonly ElectionAddress[];
    /** Bytes of the message; notifications begin behind them. */
    readonly length: number;
  }
  | { readonly kind: "refused"; readonly reason: string };

const protocolOneAddress = -65536;
const protocolAddresses = -65535;
const initialHeadBytes = 20;
const addressBytesMax = 2048;
/** Whatever the bytes are, this many of them decide. */
export const initialBytesMax = initialHeadBytes + addressBytesMax;

/**
 * The initial message of a dialer. It has to leave in one write: the original reads the addresses
 * with one read and hangs up on less than all of them.
 */
export function encodeInitial(
  sid: number,
  addresses: readonly ElectionAddress[],
  multiAddress: boolean,
): Uint8Array<ArrayBuffer> {
  const shown = multiAddress ? addresses : addresses.slice(0, 1);
  const text = bytesOf(shown.map(addressText).join("|"));
  const writer = new Writer(initialHeadBytes + text.length);
  writer.i64FromNumber(multiAddress ? protocolAddresses : protocolOneAddress);
  writer.i64FromNumber(sid);
  writer.buffer(text);
  return writer.view();
}

function addressText({ host, port }: ElectionAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What a dialer said so far: `bytes[start, end)`, from the first byte of the connection. */
export function parseInitial(bytes: Uint8Array, start = 0, end = bytes.length): InitialMessage {
  if (end - start < 8) return { kind: "more" };
  const reader = new Reader(bytes, start, end);
  const first = reader.i64();
  if (first >= 0n) return initial(first, [], 8);
  const protocol = Number(first);
  if (protocol !== protocolOneAddress && protocol !== protocolAddresses) {
    return refused(`protocol version ${first}, expected ${protocolOneAddress} or ${protocolAddresses}`);
  }
  if (end - start < initialHeadBytes) return { kind: "more" };
  const sid = reader.i64();
  const length = reader.i32();
  if (length <= 0 || length > addressBytesMax) {
    return refused(`${length} bytes of addresses, expected 1 to ${addressBytesMax}`);
  }
  if (reader.left < length) return { kind: "more" };
  const text = textOf(bytes, reader.at, reader.at + length);
  const addresses: ElectionAddress[] = [];
  for (const part of text.split("|")) {
    const address = parseAddress(part);
    if (address === null) return refused(`address ${JSON.stringify(part.slice(0, 80))}, expected host:port`);
    addresses.push(address);
  }
  return initial(sid, addresses, initialHeadBytes + length);
}

function initial(sid: bigint, addresses: readonly ElectionAddress[], length: number): InitialMessage {
  if (sid === 0x7fff_ffff_ffff_ffffn) return { kind: "initial", sid: null, addresses, length };
  if (sid < 0n || sid > BigInt(Number.MAX_SAFE_INTEGER)) {
    return refused(`sid ${sid}, expected 0 to ${Number.MAX_SAFE_INTEGER}`);
  }
  return { kind: "initial", sid: Number(sid), addresses, length };
}

function parseAddress(text: string): ElectionAddress | null {
  const match = /^(?:\[([^\][]+)\]|([^:\][\s]+)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const port = Number(match[3]);
  const host = match[1] ?? match[2] ?? "";
  return port >= 1 && port <= 0xffff ? { host, port } : null;
}

function refused(what: string): InitialMessage {
  return { kind: "refused", reason: `Cannot read the initial message of the election port: ${what}` };
}
