/**
 * Packets against bytes that really travelled between members: written and read to the byte, cut
 * anywhere, and lied about.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bytesOfHex, hexOf, textOf } from "../../../src/core/base/bytes.ts";
import {
  beginPacket,
  endPacket,
  Packet,
  packetBytesMin,
  packetEnd,
  packetName,
  PacketType,
  quorumProtocolVersion,
  readLearnerInfo,
  writeDataPacket,
  writeLearnerInfo,
  writePacket,
} from "../../../src/core/wire/packets.ts";
import type { Id } from "../../../src/core/wire/records.ts";
import { Writer } from "../../../src/core/wire/writer.ts";
import { configTextActive } from "../../golden/election_bytes.ts";
import { quorumPackets as golden } from "../../golden/quorum_bytes.ts";
import { Random } from "../../support/random.ts";

const bytesMax = 1 << 20;
const session = 0x0100_000a_3963_0000n;
const ip: readonly Id[] = [{ scheme: "ip", id: "127.0.0.1" }];

function written(write: (w: Writer) => void): string {
  const w = new Writer();
  write(w);
  return hexOf(w.view());
}

const hexOfGolden = (text: string): string => hexOf(bytesOfHex(text));

function read(text: string): Packet {
  const bytes = bytesOfHex(text);
  assert.equal(packetEnd(bytes, 0, bytes.length, bytesMax), bytes.length, "it ends where it ends");
  const packet = new Packet();
  packet.at(bytes, 0, bytes.length);
  return packet;
}

/** The data of a golden packet, as hex. */
function dataOf(text: string): string {
  const packet = read(text);
  return hexOf(packet.bytes.subarray(packet.dataStart, packet.dataEnd));
}

describe("a packet is written as it travelled", () => {
  const short: readonly (readonly [keyof typeof golden, number, number])[] = [
    ["diffNothing", PacketType.Diff, 0],
    ["diffBacklog", PacketType.Diff, 0x1_0000_0011],
    ["trunc", PacketType.Trunc, 0x1_0000_0011],
    ["snap", PacketType.Snap, 0x1_0000_0011],
    ["ackNewLeader", PacketType.Ack, 0x1_0000_0000],
    ["upToDate", PacketType.UpToDate, -1],
    ["ack", PacketType.Ack, 0x1_0000_0002],
    ["commit", PacketType.Commit, 0x1_0000_0001],
    ["ping", PacketType.Ping, 0x1_0000_0000],
    ["sync", PacketType.Sync, 0],
  ];
  for (const [name, type, zxid] of short) {
    it(name, () => {
      assert.equal(written((w) => writePacket(w, type as PacketType, zxid)), hexOfGolden(golden[name]));
    });
  }

  it("FOLLOWERINFO and OBSERVERINFO", () => {
    const info = (sid: number, configVersion: number) => ({
      sid,
      protocolVersion: quorumProtocolVersion,
      configVersion,
    });
    assert.equal(
      written((w) => writeLearnerInfo(w, PacketType.FollowerInfo, 0, info(1, 0))),
      hexOfGolden(golden.followerInfo),
    );
    assert.equal(
      written((w) => writeLearnerInfo(w, PacketType.ObserverInfo, 0, info(4, 0x1_0000_0000))),
      hexOfGolden(golden.observerInfo),
    );
  });

  it("with data: LEADERINFO, ACKEPOCH, REVALIDATE, answers to PING, COMMITANDACTIVATE", () => {
    const with_ = (type: PacketType, zxid: number, data: (w: Writer) => void) =>
      written((w) => {
        const at = beginPacket(w, type, zxid);
        data(w);
        endPacket(w, at);
      });
    assert.equal(
      with_(PacketType.LeaderInfo, 0x1_0000_0000, (w) => w.i32(0x10000)),
      hexOfGolden(golden.leaderInfo),
    );
    assert.equal(with_(PacketType.AckEpoch, 0, (w) => w.i32(0)), hexOfGolden(golden.ackEpochFirst));
    assert.equal(
      with_(PacketType.AckEpoch, 0x1_0000_000c, (w) => w.i32(-1)),
      hexOfGolden(golden.ackEpochAgain),
    );
    assert.equal(
      with_(PacketType.Revalidate, -1, (w) => {
        w.i64(session);
        w.i32(10_000);
      }),
      hexOfGolden(golden.revalidate),
    );
    assert.equal(
      with_(PacketType.Revalidate, -1, (w) => {
        w.i64(session);
        w.bool(true);
      }),
      hexOfGolden(golden.revalidated),
    );
    assert.equal(with_(PacketType.Ping, 0x1_0000_0000, () => {}), hexOfGolden(golden.pong));
    assert.equal(
      with_(PacketType.Ping, 0x1_0000_000b, (w) => {
        for (const id of [0x0400_000a_3ffb_0000n, session, 0x0300_000a_3985_0000n]) {
          w.i64(id);
          w.i32(10_000);
        }
      }),
      hexOfGolden(golden.pongTouched),
    );
    assert.equal(
      with_(PacketType.CommitAndActivate, 0x3_0000_0002, (w) => w.i64(3n)),
      hexOfGolden(golden.commitAndActivate),
    );
  });

  it("NEWLEADER and PROPOSAL, whose data is whole already", () => {
    const text = new TextEncoder().encode(`..${configTextActive}.`);
    assert.equal(
      written((w) => writeDataPacket(w, PacketType.NewLeader, 0x1_0000_0000, text, 2, text.length - 1)),
      hexOfGolden(golden.newLeader),
    );
    for (
      const name of [
        "proposalCreate",
        "proposalError",
        "proposalCreateSession",
        "proposalCloseSession",
      ] as const
    ) {
      const packet = read(golden[name]);
      const { bytes, dataStart, dataEnd } = packet;
      assert.equal(
        written((w) => writeDataPacket(w, PacketType.Proposal, packet.zxid, bytes, dataStart, dataEnd)),
        hexOfGolden(golden[name]),
      );
    }
  });

  it("REQUEST, with the identities of the client and without", () => {
    const request = (cxid: number, op: number, body: string, ids: readonly Id[] | null) =>
      written((w) => {
        const at = beginPacket(w, PacketType.Request, -1);
        w.i64(session);
        w.i32(cxid);
        w.i32(op);
        w.raw(bytesOfHex(body));
        endPacket(w, at, ids);
      });
    assert.equal(request(0, -10, "00002710", null), hexOfGolden(golden.requestCreateSession));
    assert.equal(
      request(1, 1, dataOf(golden.requestCreate).slice(32), ip),
      hexOfGolden(golden.requestCreate),
    );
    assert.equal(request(5, 9, "00000001 2f", ip), hexOfGolden(golden.requestSync));
    assert.equal(request(2, -11, "", ip), hexOfGolden(golden.requestCloseSession));
  });
});

describe("a packet is read as it travelled", () => {
  it("type, zxid, data and identities", () => {
    const fields = Object.entries(golden).map(([name, text]) => {
      const packet = read(text);
      const ids = packet.identities().map(({ scheme, id }) => `${scheme}:${id}`).join();
      return `${name}: ${packetName(packet.type)} ${packet.zxid.toString(16)} ${
        packet.dataStart < 0 ? "null" : packet.dataBytes
      } ${ids}`.trim();
    });
    assert.deepEqual(fields, [
      "followerInfo: FollowerInfo 0 20",
      "observerInfo: ObserverInfo 0 20",
      "leaderInfo: LeaderInfo 100000000 4",
      "ackEpochFirst: AckEpoch 0 4",
      "ackEpochAgain: AckEpoch 10000000c 4",
      "diffNothing: Diff 0 null",
      "diffBacklog: Diff 100000011 null",
      "trunc: Trunc 100000011 null",
      "snap: Snap 100000011 null",
      "newLeader: NewLeader 100000000 250",
      "ackNewLeader: Ack 100000000 null",
      "upToDate: UpToDate -1 null",
      "ack: Ack 100000002 null",
      "commit: Commit 100000001 null",
      "ping: Ping 100000000 null",
      "pong: Ping 100000000 0",
      "pongTouched: Ping 10000000b 36",
      "sync: Sync 0 null",
      "revalidate: Revalidate -1 12",
      "revalidated: Revalidate -1 9",
      "commitAndActivate: CommitAndActivate 300000002 8",
      "proposalCreate: Proposal 100000002 91",
      "proposalError: Proposal 100000003 36",
      "proposalCreateSession: Proposal 100000001 48",
      "proposalCloseSession: Proposal 10000000c 54",
      "requestCreateSession: Request -1 20",
      "requestCreate: Request -1 62 ip:127.0.0.1",
      "requestSync: Request -1 21 ip:127.0.0.1",
      "requestCloseSession: Request -1 16 ip:127.0.0.1",
    ]);
    const newLeader = read(golden.newLeader);
    assert.equal(textOf(newLeader.bytes, newLeader.dataStart, newLeader.dataEnd), configTextActive);
  });

  it("what a learner says of itself, in the short forms of older releases too", () => {
    assert.deepEqual(readLearnerInfo(read(golden.observerInfo)), {
      sid: 4,
      protocolVersion: 0x10000,
      configVersion: 0x1_0000_0000,
    });
    const short = (data: string) =>
      readLearnerInfo(
        read(`0000000b 0000000000000000 ${(data.length / 2).toString(16).padStart(8, "0")} ${data} ffffffff`),
      );
    assert.deepEqual(short("0000000000000007"), { sid: 7, protocolVersion: 0, configVersion: 0 });
    assert.deepEqual(short("000000000000000700010000"), {
      sid: 7,
      protocolVersion: 0x10000,
      configVersion: 0,
    });
    assert.equal(short("00000000000007"), null);
    assert.equal(readLearnerInfo(read("0000000b 0000000000000000 ffffffff ffffffff")), null);
  });

  it("one behind the other, from any place of a longer buffer", () => {
    const all = Object.values(golden).map((text) => bytesOfHex(text));
    const bytes = bytesOfHex(`00 00 00 ${Object.values(golden).join(" ")}`);
    let at = 3;
    for (const one of all) {
      const end = packetEnd(bytes, at, bytes.length, bytesMax);
      assert.equal(end, at + one.length);
      at = end;
    }
    assert.equal(at, bytes.length);
  });
});

describe("a packet that is not whole", () => {
  it("is waited for, wherever it is cut", () => {
    for (const [name, text] of Object.entries(golden)) {
      const bytes = bytesOfHex(text);
      for (let cut = 0; cut < bytes.length; cut++) {
        assert.equal(packetEnd(bytes, 0, cut, bytesMax), 0, `${name} cut at ${cut}`);
      }
    }
  });

  it("is waited for where what follows it is not its own", () => {
    const bytes = bytesOfHex(golden.requestCreate);
    const longer = new Uint8Array(bytes.length + 100).fill(0xee);
    longer.set(bytes.subarray(0, bytes.length - 1));
    assert.equal(packetEnd(longer, 0, bytes.length - 1, bytesMax), 0);
  });
});

describe("a packet that can be none is refused before its bytes have come", () => {
  const head = (length: string, rest = "") => bytesOfHex(`00000003 0000000100000000 ${length} ${rest}`);
  const ends = (bytes: Uint8Array, max = bytesMax) => packetEnd(bytes, 0, bytes.length, max);

  it("lengths below null and above the limit", () => {
    for (const length of ["fffffffe", "80000000", "7fffffff", "00100001"]) {
      assert.equal(ends(head(length)), -1, length);
    }
    assert.equal(ends(head("00100000")), 0, "the limit itself may come");
  });

  it("counts of identities below null and above what one client may have", () => {
    for (const count of ["fffffffe", "80000000", "7fffffff", "00001001"]) {
      assert.equal(ends(head("ffffffff", count)), -1, count);
    }
    assert.equal(ends(head("ffffffff", "00001000")), 0);
  });

  it("identities with such lengths", () => {
    for (const size of ["fffffffe", "80000000", "00100001"]) {
      assert.equal(ends(head("ffffffff", `00000001 ${size}`)), -1, size);
      assert.equal(ends(head("ffffffff", `00000001 00000000 ${size}`)), -1, size);
    }
    const empty = head("ffffffff", "00000001 ffffffff 00000000");
    assert.equal(ends(empty), empty.length);
  });

  it("many identities that are each short enough and together are not", () => {
    const w = new Writer();
    w.raw(head("ffffffff", "00001000"));
    for (let i = 0; i < 9; i++) {
      w.i32(1000);
      w.raw(new Uint8Array(1000));
    }
    assert.equal(packetEnd(w.view(), 0, w.length, 4000), -1);
  });

  it("no bytes at all lead beyond what is there", () => {
    const random = new Random(77);
    const packets = Object.values(golden).map((text) => bytesOfHex(text));
    for (let i = 0; i < 20_000; i++) {
      const bytes = random.pick(packets).slice();
      for (let bends = 1 + random.below(3); bends > 0; bends--) {
        bytes[random.below(bytes.length)] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
      }
      const end = packetEnd(bytes, 0, bytes.length, bytesMax);
      assert.ok(end === -1 || end === 0 || (end >= packetBytesMin && end <= bytes.length));
      if (end <= 0) continue;
      const packet = new Packet();
      packet.at(bytes, 0, end);
      assert.ok(packet.dataEnd <= end && packet.identities().length <= 4096);
      readLearnerInfo(packet);
    }
  });
});
