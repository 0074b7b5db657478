/**
 * Commands of an ensemble: who leads, who votes, who observes and how far this member is, field by
 * field as the original gives them (operations.md 3.3).
 *
 * They keep the shapes of a server that stands alone, or does not serve, where the original does: a
 * readiness check asks `zabstate` for `voting` and `broadcast`, and gets neither from such a server.
 */
import { counterOf, epochOf, type Zxid } from "../core/base/zxid.ts";
import type { LearnerStatus, PeerStatus } from "../core/peer/status.ts";
import type { WordSource } from "../server/four_letter_words.ts";
import { isSynced, syncedCounts } from "../server/words_ensemble.ts";
import { whole } from "../server/words_java.ts";
import { type MemberShown, membersOf, placeText } from "../server/words_members.ts";
import type { JsonFields, JsonValue } from "./json.ts";

/** An error that a command tells of itself: it comes before `command`, as in the original. */
export interface CommandError {
  readonly error: string;
}

/** The original tells the leader's address as it was resolved; here its name is told as it is written. */
export function leader(source: WordSource): JsonFields | CommandError {
  const { ensemble } = source.peer.status();
  if (ensemble === null) return { error: "server is not initialized" };
  const member = membersOf(source, ensemble).find(({ sid }) => sid === ensemble.leader);
  return [
    ["is_leader", ensemble.role === "leader"],
    ["leader_id", ensemble.leader],
    ["leader_ip", member?.addresses[0]?.host ?? ""],
  ];
}

/** Voters alone. */
export function votingView(source: WordSource): JsonFields {
  const { ensemble } = source.peer.status();
  const voters = ensemble === null ? [] : membersOf(source, ensemble).filter(({ voter }) => voter);
  return [["current_config", {
    object: voters.map((member) => [String(member.sid), {
      object: [
        ["server_addresses", { array: placesOf(member, "quorumPort") }],
        ["election_addresses", { array: placesOf(member, "electionPort") }],
        ["client_address", member.client ?? ""],
        ["learner_type", "participant"],
      ],
    }]),
  }]];
}

export function observers(source: WordSource): JsonFields {
  const { ensemble } = source.peer.status();
  if (ensemble === null) return [["synced_observers", 0], ["observers", { array: [] }]];
  const nowMs = source.clock.wallMs();
  return [
    ["synced_observers", syncedCounts(ensemble).observers],
    ["observers", {
      array: ensemble.learners.filter((learner) => learner.role === "observer" && isSynced(learner))
        .map((learner) => ({ object: observerFields(learner, nowMs) })),
    }],
  ];
}

function observerFields(learner: LearnerStatus, nowMs: number): JsonFields {
  return [
    ["remote_socket_address", `/${learner.remote}`],
    ["sid", learner.sid],
    ["established", whole(nowMs - learner.connectedMs)],
    // Bytes wait here, not packets.
    ["queued_packets", 0],
    ["queued_packets_size", learner.unsentBytes],
    ["packets_received", learner.packetsReceived],
    ["packets_sent", learner.packetsSent],
    ["requests", learner.requests],
    ["last_zxid", learner.zxidAcked],
  ];
}

export function zabState(source: WordSource): JsonFields {
  const { ensemble, serving, zxidLast } = source.peer.status();
  if (ensemble === null || !serving) return [["voting", false], ["zabstate", ""]];
  const self = membersOf(source, ensemble).find(({ sid }) => sid === ensemble.sid) ?? null;
  return [
    ["myid", ensemble.sid],
    ["is_leader", ensemble.role === "leader"],
    ["quorum_address", addressesJson(self, "quorumPort")],
    ["election_address", addressesJson(self, "electionPort")],
    ["client_address", self?.client ?? ""],
    ["voting", ensemble.voters.includes(ensemble.sid)],
    ["last_zxid", `0x${zxidLast.toString(16)}`],
    ["zab_epoch", epochOf(zxidLast as Zxid)],
    ["zab_counter", counterOf(zxidLast as Zxid)],
    ["zabstate", ensemble.phase],
  ];
}

/** Of a leader alone. */
export function proposalStats({ ensemble }: PeerStatus): JsonFields {
  if (ensemble?.role !== "leader") return [];
  return [["proposal_stats", {
    object: [
      ["last_buffer_size", ensemble.proposalBytesLast],
      ["min_buffer_size", ensemble.proposalBytesMin],
      ["max_buffer_size", ensemble.proposalBytesMax],
    ],
  }]];
}

type PortKind = "quorumPort" | "electionPort";

function placesOf(member: MemberShown, port: PortKind): string[] {
  return member.addresses.map((address) => placeText(address.host, address[port]));
}

/** Nobody is asked whether it can be reached: all are told as if they could. */
function addressesJson(self: MemberShown | null, port: PortKind): JsonValue {
  const places = self === null ? [] : placesOf(self, port);
  const ports = self === null ? [] : [...new Set(self.addresses.map((address) => address[port]))];
  const first = places[0] ?? null;
  return {
    object: [
      ["empty", places.length === 0],
      ["all_addresses", { array: places }],
      ["all_reachable_addresses", { array: places }],
      ["one", first],
      ["reachable_address", first],
      ["wildcard_addresses", { array: ports.map((number) => placeText("0.0.0.0", number)) }],
      ["all_ports", { array: ports }],
      ["all_host_strings", { array: self === null ? [] : self.addresses.map(({ host }) => host) }],
      ["all_reachable_addresses_or_all", { array: places }],
      ["reachable_or_one", first],
    ],
  };
}
