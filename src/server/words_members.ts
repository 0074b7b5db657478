/**
 * Members: who is in the ensemble and where, for the words and the commands that list them.
 *
 * Read from the configuration that the peer goes by, since that is what it acts on; the settings only
 * tell of this server what that text leaves out. Names are told as they are written: no word waits
 * for a name service.
 */
import { trimBlanks } from "../core/base/blanks.ts";
import type { EnsembleStatus } from "../core/peer/status.ts";
import { parseMember, shownAddress } from "./config_membership.ts";
import type { WordSource } from "./four_letter_words.ts";
import { portsOf } from "./words_text.ts";

export interface MemberShown {
  readonly sid: number;
  readonly voter: boolean;
  readonly addresses: readonly {
    readonly host: string;
    readonly quorumPort: number;
    readonly electionPort: number;
  }[];
  /** `host:port`, where the configuration tells it; of this server always. */
  readonly client: string | null;
}

/** Ascending by sid. */
export function membersOf(source: WordSource, ensemble: EnsembleStatus): MemberShown[] {
  const members = new Map<number, MemberShown>();
  for (const line of ensemble.configText.split("\n")) {
    const equals = line.indexOf("=");
    if (!line.startsWith("server.") || equals < 0) continue;
    const parsed = parseMember(line.slice(0, equals), trimBlanks(line.slice(equals + 1)), true);
    if (parsed.kind === "refused") continue;
    const { id, addresses, client } = parsed.member;
    members.set(id, {
      sid: id,
      voter: ensemble.voters.includes(id),
      addresses,
      client: client === null ? null : shownAddress(client),
    });
  }
  const self = members.get(ensemble.sid) ?? ownMember(source, ensemble);
  if (self !== null) members.set(self.sid, { ...self, client: self.client ?? ownClient(source) });
  return [...members.values()].sort((a, b) => a.sid - b.sid);
}

/** `host:port`, with brackets around an IPv6 address. */
export function placeText(host: string, port: number): string {
  return shownAddress({ host, port });
}

/** An observer may hear all without a line of its own. */
function ownMember(source: WordSource, ensemble: EnsembleStatus): MemberShown | null {
  const own = source.settings.ensemble?.members.find(({ sid }) => sid === ensemble.sid);
  if (own === undefined) return null;
  return { sid: own.sid, voter: ensemble.voters.includes(own.sid), addresses: own.addresses, client: null };
}

function ownClient(source: WordSource): string | null {
  const { client } = portsOf(source);
  return client < 0 ? null : placeText(source.settings.clientPortAddress ?? "0.0.0.0", client);
}
