/**
 * What members said on the quorum port, as it travelled, in hex.
 *
 * Captured among four Apache ZooKeeper 3.8.0: voters 1 to 3 and observer 4 on 127.0.0.1, with digests.
 * Bars and blanks only separate fields. One packet each, without any frame around it.
 */
import { configTextActive } from "./election_bytes.ts";

const hexOfText = (text: string): string =>
  [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Authinfo of a client on 127.0.0.1 that proved nothing else. */
const ip = "00000001 00000002 6970 00000009 3132372e302e302e31";

export const quorumPackets = {
  followerInfo: "0000000b | 0000000000000000 | 00000014 | 0000000000000001 00010000 0000000000000000 | ffffffff",
  observerInfo: "00000010 | 0000000000000000 | 00000014 | 0000000000000004 00010000 0000000100000000 | ffffffff",
  leaderInfo: "00000011 | 0000000100000000 | 00000004 | 00010000 | ffffffff",
  ackEpochFirst: "00000012 | 0000000000000000 | 00000004 | 00000000 | ffffffff",
  /** Of a learner that had promised this epoch already. */
  ackEpochAgain: "00000012 | 000000010000000c | 00000004 | ffffffff | ffffffff",
  diffNothing: "0000000d | 0000000000000000 | ffffffff | ffffffff",
  diffBacklog: "0000000d | 0000000100000011 | ffffffff | ffffffff",
  trunc: "0000000e | 0000000100000011 | ffffffff | ffffffff",
  snap: "0000000f | 0000000100000011 | ffffffff | ffffffff",
  newLeader: `0000000a | 0000000100000000 | 000000fa | ${hexOfText(configTextActive)} | ffffffff`,
  ackNewLeader: "00000003 | 0000000100000000 | ffffffff | ffffffff",
  upToDate: "0000000c | ffffffffffffffff | ffffffff | ffffffff",
  ack: "00000003 | 0000000100000002 | ffffffff | ffffffff",
  commit: "00000004 | 0000000100000001 | ffffffff | ffffffff",
  ping: "00000005 | 0000000100000000 | ffffffff | ffffffff",
  /** The data of an answer is empty, and not null. */
  pong: "00000005 | 0000000100000000 | 00000000 | ffffffff",
  pongTouched: "00000005 | 000000010000000b | 00000024 | 0400000a3ffb0000 00002710 0100000a39630000 00002710 " +
    "0300000a39850000 00002710 | ffffffff",
  sync: "00000007 | 0000000000000000 | ffffffff | ffffffff",
  revalidate: "00000006 | ffffffffffffffff | 0000000c | 0100000a39630000 00002710 | ffffffff",
  revalidated: "00000006 | ffffffffffffffff | 00000009 | 0100000a39630000 01 | ffffffff",
  commitAndActivate: "00000009 | 0000000300000002 | 00000008 | 0000000000000003 | ffffffff",
  /** Create /a "hello", the first znode of a fresh tree. */
  proposalCreate: "00000002 | 0000000100000002 | 0000005b | 0100000a39630000 00000001 0000000100000002 " +
    "000001a1f843e9cb 00000001 | 00000002 2f61 00000005 68656c6c6f 00000001 0000001f 00000005 776f726c64 " +
    "00000006 616e796f6e65 00 00000001 | 00000002 000000014efaa7f6 | ffffffff",
  /** The same create once more. */
  proposalError: "00000002 | 0000000100000003 | 00000024 | 0100000a39630000 00000002 0000000100000003 " +
    "000001a1f843e9d8 ffffffff | ffffff92 | ffffffff",
  proposalCreateSession: "00000002 | 0000000100000001 | 00000030 | 0100000a39630000 00000000 0000000100000001 " +
    "000001a1f843e9b0 fffffff6 | 00002710 | 00000002 0000000051c6d660 | ffffffff",
  /** With one ephemeral, /e. */
  proposalCloseSession: "00000002 | 000000010000000c | 00000036 | 0100000a39630000 00000002 000000010000000c " +
    "000001a1f843f416 fffffff5 | 00000001 00000002 2f65 | 00000002 000000033ea9b9d3 | ffffffff",
  requestCreateSession:
    "00000001 | ffffffffffffffff | 00000014 | 0100000a39630000 00000000 fffffff6 00002710 | ffffffff",
  requestCreate: "00000001 | ffffffffffffffff | 0000003e | 0100000a39630000 00000001 00000001 | 00000002 2f61 " +
    `00000005 68656c6c6f 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00000000 | ${ip}`,
  requestSync:
    `00000001 | ffffffffffffffff | 00000015 | 0100000a39630000 00000005 00000009 | 00000001 2f | ${ip}`,
  requestCloseSession: `00000001 | ffffffffffffffff | 00000010 | 0100000a39630000 00000002 fffffff5 | ${ip}`,
} as const;
