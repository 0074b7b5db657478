/**
 * Every limit of the server, with a name and a unit, most significant word first.
 *
 * What an operator may change has its default here and its value in `server/config`. How limits
 * relate is asserted at the end, so a change that breaks a relation does not start.
 */
import { assert } from "./assert.ts";

/** Longest client frame (`jute.maxbuffer`): itself accepted, one byte more refused. client-protocol 1.1. */
export const frameBytesMax = 0xfffff;
/** Above this a batch of txns would come near SQLite's longest row, 1,000,000,000 bytes. */
export const frameBytesMaxMax = 256 << 20;
/** The original takes no smaller `jute.maxbuffer.extrasize`: a txn's header and digest must fit. */
export const frameExtraBytesMin = 1024;
/** What a learner takes of its leader in any case: longer txns were proposed by earlier releases, or under another setting. */
const leaderPacketBytesMin = 32 << 20;
/** Shortest frame after the handshake: a request header. */
export const requestHeaderBytes = 8;
export const replyHeaderBytes = 16;
export const statBytes = 68;

/** 2^40 - 1: what fits beside the marker byte in ephemeralOwner. server-semantics 1.4. */
export const ttlMsMax = 0xff_ffff_ffff;

/**
 * Highest epoch. A zxid is kept as a JavaScript number, exact below 2^53, so the epoch has 21 bits:
 * two million elections, one a minute for four years.
 */
export const epochMax = 0x1f_ffff;
/**
 * An epoch so far ahead of a leader's own was not reached by elections of the same ensemble: one of
 * them may use up this many of all that there are.
 */
export const epochAheadMax = 1 << 12;
export const counterMax = 0xffff_ffff;

export const tickMsDefault = 3000;
export const sessionTimeoutTicksMin = 2;
export const sessionTimeoutTicksMax = 20;

export const connectionsPerAddressDefault = 60;
/** A connection that never sends its ConnectRequest is closed after this. */
export const sessionlessMsMax = 10_000;
/**
 * Clients whose ConnectRequest waits for the end of an election: how many, how long, how long that
 * frame (45 bytes usually), and what may have come behind it.
 */
export const connectsHeldMax = 4096;
export const connectHeldMsMax = 500;
export const connectHeldBytesMax = 256;
export const behindConnectBytesMax = 16 << 10;
/** An election that is not over by then lacks a quorum, and nobody is held for it. */
export const electionMsMax = 2000;
/** Requests in flight over all connections before reading pauses (`globalOutstandingLimit`). */
export const outstandingRequestsDefault = 1000;
/** Reply bytes that one client may leave unread before we stop reading its requests. */
export const unsentBytesPause = 1 << 20;
/** Reply bytes made in one turn for one client before they are sent and more are made. */
export const replyBytesPause = 1 << 20;
/** Reply and event bytes that one client may leave unread before it is cut off. */
export const unsentBytesMax = 64 << 20;
/** The same of all clients together: beyond it no more is read from those who left anything unread, … */
export const unsentTotalPause = 64 << 20;
/** … and beyond this those that left most are cut off. */
export const unsentTotalMax = 112 << 20;

/** Watches of one client, and of all; one on a long path counts as several. Some 100 bytes each. */
export const watchesPerConnectionDefault = 1_000_000;
export const watchesDefault = 2_000_000;

/** Longest reply that a request can ask for piece by piece; above it the request is refused. */
export const replyBytesMax = 16 << 20;
/**
 * Ephemerals that one getEphemerals may look at; each one listed counts for several. It is about 10 ms of work, and
 * beyond it the request is refused.
 */
export const ephemeralLooksMax = 30_000;
/** Identities that one connection may prove, and the bytes of their text: a follower sends them with each write. */
export const identitiesMax = 256;
export const identityBytesMax = 64 << 10;

/** Bytes of proposals that may wait for one append; beyond it no new request is read. */
export const appendBytesPause = 16 << 20;

/**
 * Bytes of its clients' requests that a leader keeps for one voter while too much waits for its own disk,
 * and for one that has no vote, of which there may be hundreds; beyond it that link is not read.
 */
export const requestsHeldBytesMax = 32 << 20;
export const strangersRequestsHeldBytesMax = 256 << 10;
/** Bytes of proposals that may wait for the silent disk of a follower before it leaves its leader. */
export const followerBytesWaitingMax = 128 << 20;

/** Bytes of one setWatches that are served before others have their turn: it has a path in five bytes. */
export const setWatchesBytesAtOnce = 8 << 10;

/** Bytes of reads that may wait behind writes; beyond it no new request is read from who has some. */
export const waitingBytesPause = 16 << 20;

/** Links of the quorum port at once: 255 servers and as many who try. */
export const quorumLinksMax = 512;
/** Bytes that one learner may leave unread before it is cut off; it comes back and is synchronized anew. */
export const quorumUnsentBytesMax = 256 << 20;
/** The same of one that is not counted: there may be hundreds of those. */
export const observerUnsentBytesMax = 32 << 20;
/** Bytes that all of them together may leave unread before more are let in. */
export const observersUnreadBytesMax = 64 << 20;
/** Longest packet of a learner that does not serve clients yet: it introduces itself and acknowledges. */
export const quorumHandshakeBytesMax = 4096;
/** Bytes that a link may send before we know whether we lead. */
export const quorumHeldBytesMax = 64 << 10;
/** Requests of clients that one learner may have with its leader, in bytes of proposals. */
export const historyBytesDefault = 8 << 20;

/** Digest history (`hash`): one record each so many zxids, and how many are kept. server-semantics 10.9. */
export const digestHistoryEvery = 128;
export const digestHistoryMax = 1024;

assert(requestHeaderBytes < frameBytesMax, "a header fits in a frame");
assert(unsentBytesPause < unsentBytesMax, "a slow reader is paused before it is cut off");
assert(
  connectsHeldMax * (connectHeldBytesMax + behindConnectBytesMax) <= 128 << 20,
  "clients that wait for a leader cost little",
);
assert(unsentTotalPause < unsentTotalMax, "slow readers are paused before they are cut off");
assert(unsentBytesMax < unsentTotalMax, "one slow reader does not make another one lose its connection");
assert((epochMax + 1) * 0x1_0000_0000 <= Number.MAX_SAFE_INTEGER + 1, "every zxid is an exact number");

/** Lengths that follow from the settings. */
export interface Lengths {
  /** Longest client frame. */
  readonly frameBytesMax: number;
  /** Longest txn, and longest packet between members. */
  readonly packetBytesMax: number;
  /** Longest packet, and field of a snapshot, that a learner takes of its leader. */
  readonly leaderPacketBytesMax: number;
  /** Bytes that one learner, or one that is not counted, may leave unread. */
  readonly quorumUnsentBytesMax: number;
  readonly observerUnsentBytesMax: number;
}

/** From `jute.maxbuffer` and its `extrasize`, as in the original. */
export function lengthsOf(frameMax: number = frameBytesMax, extra: number = frameMax): Lengths {
  const packetBytesMax = frameMax + Math.max(extra, frameExtraBytesMin);
  const leaderPacketBytesMax = Math.max(packetBytesMax, leaderPacketBytesMin);
  const lengths: Lengths = {
    frameBytesMax: frameMax,
    packetBytesMax,
    leaderPacketBytesMax,
    quorumUnsentBytesMax: Math.max(quorumUnsentBytesMax, 4 * packetBytesMax),
    observerUnsentBytesMax: Math.max(observerUnsentBytesMax, 4 * packetBytesMax),
  };
  assert(frameMax <= frameBytesMaxMax, "txns fit in a row of the log");
  assert(packetBytesMax <= leaderPacketBytesMax, "what a leader proposes is taken");
  assert(leaderPacketBytesMax < lengths.quorumUnsentBytesMax, "one packet makes no learner slow");
  return lengths;
}
