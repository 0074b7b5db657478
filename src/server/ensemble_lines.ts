/**
 * Ensemble lines: the shell of the election and the quorum port. What arrives becomes events of the
 * peer; what the peer wants sent, dialed and closed is done once per turn.
 */
import type { Peer } from "../core/peer/peer.ts";
import type { PeerEvent } from "../core/peer/events.ts";
import type { Link } from "../core/zab/link.ts";
import type { Address } from "../net/address.ts";
import { ElectionLinks } from "../net/election_links.ts";
import { QuorumLinks } from "../net/quorum_links.ts";
import type { Runtime } from "../runtime/ports.ts";
import type { EnsembleSettings } from "./config_types.ts";
import type { Logger } from "./logger.ts";

/** For one attempt to connect to a leader. */
const quorumConnectMsMax = 1500;

export interface EnsembleLinesParts {
  readonly runtime: Pick<Runtime, "tcp" | "clock" | "process">;
  readonly peer: Peer;
  readonly ensemble: EnsembleSettings;
  readonly tickMs: number;
  readonly logger: Logger;
  readonly turn: () => void;
}

type Untimed<T> = T extends unknown ? Omit<T, "wallMs" | "monoMs"> : never;

export class EnsembleLines {
  readonly #peer: Peer;
  readonly #clock: Runtime["clock"];
  readonly #election: ElectionLinks;
  readonly #quorum: QuorumLinks;
  readonly #quorumAddresses: readonly Address[];
  readonly #observer: boolean;
  /** Links that the shell knows; those whose `paused` may have changed are looked at each turn. */
  readonly #links = new Set<Link>();
  #stopped = false;

  constructor({ runtime, peer, ensemble, tickMs, logger, turn }: EnsembleLinesParts) {
    this.#peer = peer;
    this.#clock = runtime.clock;
    this.#observer = ensemble.observer;
    const members = ensemble.members;
    const own = members.find(({ sid }) => sid === ensemble.sid);
    const electionAddresses = (member: typeof members[number]): Address[] =>
      member.addresses.map(({ host, electionPort }) => ({ host, port: electionPort }));
    const quorumAddresses = (member: typeof members[number]): Address[] =>
      member.addresses.map(({ host, quorumPort }) => ({ host, port: quorumPort }));
    this.#quorumAddresses = own === undefined ? [] : quorumAddresses(own);
    const { tcp, clock } = runtime;
    const connectMsMax = ensemble.electionConnectMsMax;
    const bindRetries = ensemble.bindRetries === 0 ? Number.POSITIVE_INFINITY : ensemble.bindRetries;
    this.#election = new ElectionLinks({
      tcp,
      clock,
      owner: {
        note: (level, event, message, fields) => logger[level](event, message, fields),
        vote: (from, bytes) => this.#step({ kind: "vote", from, bytes }),
        voterUp: (sid) => this.#step({ kind: "voterUp", sid }),
        voterDown: (sid) => this.#step({ kind: "voterDown", sid }),
        turn,
      },
      sid: ensemble.sid,
      members: members.map((member) => ({ sid: member.sid, addresses: electionAddresses(member) })),
      listenOnAllAddresses: ensemble.listenOnAllAddresses,
      multiAddress: ensemble.multiAddress,
      keepAlive: ensemble.tcpKeepAlive,
      bindRetries,
      connectMsMax,
      initialMsMax: tickMs * ensemble.syncLimit,
    });
    this.#quorum = new QuorumLinks({
      unsentBytesMax: peer.options.lengths.quorumUnsentBytesMax,
      tcp,
      clock,
      owner: {
        note: (level, event, message, fields) => logger[level](event, message, fields),
        accepted: (remote, port) => this.#opened(peer.acceptLink(remote, clock.monotonicMs(), port)),
        dialed: (remote, sid) => this.#opened(peer.dialed(remote, clock.monotonicMs(), sid)),
        linkBytes: (link, bytes) =>
          this.#step({ kind: "linkBytes", link: link.number, bytes, start: 0, end: bytes.length }),
        linkDrained: (link) => this.#step({ kind: "linkDrained", link: link.number }),
        linkClosed: (link) => {
          this.#links.delete(link);
          this.#step({ kind: "linkClosed", link: link.number });
        },
        turn,
      },
      members: members.map((member) => ({
        sid: member.sid,
        role: member.role,
        addresses: quorumAddresses(member),
      })),
      listenOnAllAddresses: ensemble.listenOnAllAddresses,
      keepAlive: ensemble.tcpKeepAlive,
      bindRetries,
      observerMasterPort: ensemble.observerMasterPort,
      observerHosts: ensemble.observer ? [] : this.#quorumAddresses.map(({ host }) => host),
      // A first packet that is lost is sent again after one second, then after two more: a new attempt is sooner.
      connectMsMax: Math.min(connectMsMax, quorumConnectMsMax),
      randomU32: () => runtime.process.randomU32(),
    });
  }

  async start(): Promise<void> {
    // Voters listen from the start: a learner that is quicker than our own decision is held, not refused.
    if (!this.#observer) await this.#quorum.listen(this.#quorumAddresses);
    await this.#election.listen();
    this.#election.connectAll();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([this.#election.stop(), this.#quorum.stop()]);
  }

  #opened(link: Link): Link {
    this.#links.add(link);
    return link;
  }

  #step(event: Untimed<PeerEvent>): void {
    if (this.#stopped) return;
    const { wallMs, monotonicMs } = this.#clock;
    // The union over all kinds of events is lost in the spread, and each caller gave a whole one.
    this.#peer.step({ ...event, wallMs: Math.floor(wallMs()), monoMs: monotonicMs() } as PeerEvent);
  }

  /** Votes, packets, ends and dials that the steps since the last turn asked for. */
  drain(): void {
    if (this.#stopped) return;
    const { votes, linksDirty, linksClosing } = this.#peer.outbox;
    for (const { to, bytes } of votes) this.#election.sendVote(to, bytes);
    votes.length = 0;
    for (const link of linksDirty) {
      link.dirty = false;
      this.#quorum.flush(link);
    }
    linksDirty.length = 0;
    for (const link of linksClosing) this.#quorum.close(link);
    linksClosing.length = 0;
    for (const link of this.#links) this.#quorum.reconcile(link);
    this.#quorum.dial(this.#peer.dialWanted);
    this.#quorum.serveObservers(this.#peer.servesObservers);
  }
}
