/**
 * Quorum links: the connections between a leader and its learners. quorum-protocol 3.4.
 *
 * Accepts who comes, and dials the one server that the core wants to follow until it answers or the
 * core wants another. The core finds the packets; here are sockets, limits and retries alone.
 *
 * Always true: each link that the owner made is told `linkClosed` once, unless `stop` came first; at
 * most one dial is going on; nothing is told while the owner is calling us.
 */
import { must } from "../core/base/assert.ts";
import { quorumLinksMax } from "../core/base/limits.ts";
import type { Link } from "../core/zab/link.ts";
import type { ClockPort, TcpListener, TcpPort, TcpSocket } from "../runtime/ports.ts";
import { type Address, hostPort } from "./address.ts";
import { Dial } from "./dial.ts";
import { type LinkNote, NoteLimit } from "./link_note.ts";
import { listenAll } from "./listen_all.ts";
import { ObserverPort } from "./observer_port.ts";
import { QuorumLine, type QuorumLineEvents } from "./quorum_line.ts";

/** Where a link came in: voters and observers on the one, observers alone on the other. */
export type QuorumPort = "quorum" | "observers";

export interface QuorumOwner extends LinkNote {
  accepted(remote: string, port: QuorumPort): Link;
  /** The dial succeeded, and `sid` is who was dialed. Null: it is wanted no more. */
  dialed(remote: string, sid: number): Link | null;
  linkBytes(link: Link, bytes: Uint8Array): void;
  linkDrained(link: Link): void;
  linkClosed(link: Link): void;
  /** All of one arrival was told: time to send what it caused. */
  turn(): void;
}

export interface QuorumMember {
  readonly sid: number;
  readonly role: "participant" | "observer";
  readonly addresses: readonly Address[];
}

export interface DialTarget {
  readonly sid: number;
  readonly observerMaster: boolean;
}

export interface QuorumLinksOptions {
  /** A line that leaves more than this unread is cut. */
  readonly unsentBytesMax: number;
  readonly tcp: TcpPort;
  readonly clock: ClockPort;
  readonly owner: QuorumOwner;
  readonly members: readonly QuorumMember[];
  readonly listenOnAllAddresses: boolean;
  readonly keepAlive: boolean;
  /** Where followers serve observers; -1 nowhere. */
  readonly observerMasterPort: number;
  /** For one attempt to connect. */
  readonly connectMsMax: number;
  /** 32 random bits: observers spread over the followers. */
  readonly randomU32: () => number;
  /** Our own hosts, where `serveObservers` listens; none on an observer. */
  readonly observerHosts?: readonly string[];
  readonly bindRetries?: number;
  readonly bindPauseMs?: number;
}

/** A leader that was just elected is about to listen: it is asked again at once. */
const refusedPauseMs = 15;
/** No such host, no way there: that takes longer to change. */
const otherPauseMs = 200;
/** Bytes of the shortest first packet, FOLLOWERINFO: who has sent as much is the core's to judge. */
const introductionBytes = 40;
/** Accepted links of one address that have not said as much. */
export const silentPerAddressMax = 32;
/** The core makes room for who comes where its places are taken; those that it closed may linger here. */
const acceptedMax = quorumLinksMax + 128;
/** The other side of a link that we closed is expected to hang up. */
const lingerMs = 1000;

export class QuorumLinks implements QuorumLineEvents {
  readonly #options: QuorumLinksOptions;
  readonly #owner: QuorumOwner;
  /** By the number of the link, oldest first. */
  readonly #lines = new Map<number, QuorumLine>();
  /** Lines that we hung up, with their time limits. */
  readonly #lingering = new Map<QuorumLine, () => void>();
  /** Accepted, and not enough said to be anybody; oldest first. */
  readonly #silent = new Set<QuorumLine>();
  readonly #accepted = new Set<QuorumLine>();
  readonly #faults = new NoteLimit();
  #listeners: TcpListener[] = [];
  #target: DialTarget | null = null;
  #dial: Dial | null = null;
  #cancelRetry: (() => void) | null = null;
  /** Observer masters still to be asked, in random order. */
  #masters: { readonly sid: number; readonly address: Address }[] = [];
  /** Who was asked last. */
  #asked = 0;
  readonly #observerPort: ObserverPort | null;
  #failures = 0;
  #stopped = false;

  constructor(options: QuorumLinksOptions) {
    this.#options = options;
    this.#owner = options.owner;
    const { tcp, clock, owner, observerHosts, observerMasterPort: port } = options;
    const hosts = port > 0 ? observerHosts ?? [] : [];
    this.#observerPort = hosts.length === 0 ? null : new ObserverPort({
      tcp,
      clock,
      note: owner,
      addresses: hosts.map((host) => ({ host, port })),
      allAddresses: options.listenOnAllAddresses,
      keepAlive: options.keepAlive,
      retries: options.bindRetries ?? 3,
      pauseMs: options.bindPauseMs ?? 1000,
      accept: (socket) => this.#accept(socket, "observers"),
    });
  }

  /** Opens and closes the port for observers. Asked after every turn, acts on a change alone. */
  serveObservers(wanted: boolean): Promise<void> {
    return this.#observerPort?.want(wanted && !this.#stopped) ?? Promise.resolve();
  }

  /** Rejects where a port cannot be had, after a few tries. Returns the ports. May be called for several ports. */
  async listen(addresses: readonly Address[]): Promise<readonly number[]> {
    const { tcp, clock, listenOnAllAddresses, keepAlive, bindRetries, bindPauseMs } = this.#options;
    const listeners = await listenAll({
      tcp,
      clock,
      note: this.#owner,
      what: "the quorum port",
      addresses,
      allAddresses: listenOnAllAddresses,
      keepAlive,
      retries: bindRetries ?? 3,
      pauseMs: bindPauseMs ?? 1000,
      isOver: () => this.#stopped,
      accept: (socket) => this.#accept(socket, "quorum"),
    });
    this.#listeners.push(...listeners);
    return listeners.map(({ port }) => port);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#giveUpDial();
    for (const line of this.#lines.values()) line.drop();
    for (const [line, cancel] of this.#lingering) {
      cancel();
      line.drop();
    }
    this.#lines.clear();
    this.#lingering.clear();
    this.#silent.clear();
    this.#accepted.clear();
    await Promise.all([this.serveObservers(false), ...this.#listeners.map((listener) => listener.close())]);
  }

  // ------------------------------------------------------------------------------------- dialing

  /** Whom the core wants to reach now; null: nobody. Asked after every turn, acts on a change alone. */
  dial(target: DialTarget | null): void {
    const now = this.#target;
    if (
      target === null ? now === null : now?.sid === target.sid && now.observerMaster === target.observerMaster
    ) {
      return;
    }
    this.#giveUpDial();
    if (this.#stopped || target === null) return;
    this.#target = { sid: target.sid, observerMaster: target.observerMaster };
    this.#failures = 0;
    this.#try(this.#target);
  }

  #giveUpDial(): void {
    this.#target = null;
    this.#dial?.cancel();
    this.#dial = null;
    this.#cancelRetry?.();
    this.#cancelRetry = null;
  }

  #try(target: DialTarget): void {
    const { tcp, connectMsMax, keepAlive } = this.#options;
    this.#asked = target.sid;
    const addresses = target.observerMaster ? this.#nextMaster() : this.#addressesOf(target.sid);
    const whom = target.observerMaster ? "a follower that serves observers" : `server ${target.sid}`;
    if (addresses.length === 0) {
      this.#owner.note(
        "error",
        "quorum_no_address",
        `Cannot reach server ${target.sid}: no member has this sid`,
        {
          sid: target.sid,
        },
      );
      return;
    }
    this.#dial = new Dial({
      tcp,
      addresses,
      timeoutMs: connectMsMax,
      keepAlive,
      makeHandler: () => new QuorumLine(this),
      failed: (error) => {
        this.#dial = null;
        // The first refusals are usual: a new leader and its learners do not start in the same instant.
        if (++this.#failures % 100 === 20) {
          const where = addresses.map(hostPort).join("|");
          this.#owner.note(
            "warn",
            "quorum_unreachable",
            `Cannot reach ${whom} at ${where} after ${this.#failures} attempts: ${error.message}`,
            { sid: target.sid, address: where, failures: this.#failures },
          );
        }
        const pauseMs = error.code === "ECONNREFUSED" ? refusedPauseMs : otherPauseMs;
        this.#cancelRetry = this.#options.clock.after(pauseMs, () => {
          this.#cancelRetry = null;
          this.#try(target);
        });
      },
    });
  }

  #addressesOf(sid: number): readonly Address[] {
    return this.#options.members.find((member) => member.sid === sid)?.addresses ?? [];
  }

  /** One of the voters' hosts, each once before any comes again. */
  #nextMaster(): readonly Address[] {
    const { members, observerMasterPort, randomU32 } = this.#options;
    if (this.#masters.length === 0) {
      for (const { sid, role, addresses } of members) {
        if (role !== "participant") continue;
        for (const { host } of addresses) {
          this.#masters.push({ sid, address: { host, port: observerMasterPort } });
        }
      }
      for (let i = this.#masters.length - 1; i > 0; i--) {
        const j = randomU32() % (i + 1);
        const last = must(this.#masters[i], "in range");
        this.#masters[i] = must(this.#masters[j], "in range");
        this.#masters[j] = last;
      }
    }
    const next = this.#masters.pop();
    if (next === undefined) return [];
    this.#asked = next.sid;
    return [next.address];
  }

  lineOpened(line: QuorumLine): void {
    this.#dial = null;
    // The wish is fulfilled: the same one, told again, is a new one.
    this.#target = null;
    const link = this.#stopped ? null : this.#owner.dialed(line.remote, this.#asked);
    if (link === null) return line.drop();
    this.#add(line, link);
    this.#owner.turn();
  }

  // ----------------------------------------------------------------------------------- accepting

  #accept(socket: TcpSocket, port: QuorumPort): QuorumLine {
    const line = new QuorumLine(this);
    line.attach(socket);
    if (this.#stopped || !this.#makeRoom(line)) {
      line.drop();
      return line;
    }
    this.#silent.add(line);
    this.#accepted.add(line);
    this.#add(line, this.#owner.accepted(line.remote, port));
    this.#owner.turn();
    return line;
  }

  /** Who says nothing makes room for who comes, so that silence cannot keep members out. */
  #makeRoom(line: QuorumLine): boolean {
    let same = 0;
    let oldest: QuorumLine | null = null;
    for (const other of this.#silent) {
      if (other.host !== line.host) continue;
      oldest ??= other;
      same++;
    }
    if (oldest !== null && same >= silentPerAddressMax) {
      this.#noteFault(oldest, `${same} connections from there say nothing`);
      oldest.destroy();
      this.#silent.delete(oldest);
    }
    if (this.#accepted.size < acceptedMax) return true;
    this.#noteFault(line, `${this.#accepted.size} connections are the most there may be`);
    for (const silent of this.#silent) {
      silent.destroy();
      this.#silent.delete(silent);
      this.#accepted.delete(silent);
      return true;
    }
    return false;
  }

  #noteFault(line: QuorumLine, why: string): void {
    if (!this.#faults.allows(this.#options.clock.monotonicMs())) return;
    this.#owner.note(
      "warn",
      "quorum_link_refused",
      `Closed a quorum connection from ${line.remote}: ${why}`,
      {
        remote: line.remote,
      },
    );
  }

  // --------------------------------------------------------------------------------------- links

  #add(line: QuorumLine, link: Link): void {
    line.link = link;
    this.#lines.set(link.number, line);
  }

  /** Sends what the core wrote to the link since the last turn. */
  flush(link: Link): void {
    const line = this.#lines.get(link.number);
    if (line === undefined) return link.out.clear();
    if (line.flush() <= this.#options.unsentBytesMax) return;
    this.#noteFault(line, `it left ${link.unsentBytes} bytes unread`);
    line.destroy();
  }

  /** Obeys `paused` and `wantsDrain`. */
  reconcile(link: Link): void {
    this.#lines.get(link.number)?.reconcile();
  }

  /** Sends what is there, then hangs up; `linkClosed` follows. */
  close(link: Link): void {
    const line = this.#lines.get(link.number);
    if (line === undefined || this.#lingering.has(line)) return;
    line.end();
    this.#lingering.set(line, this.#options.clock.after(lingerMs, () => line.destroy()));
  }

  lineBytes(line: QuorumLine, link: Link, bytes: Uint8Array): void {
    if (line.receivedBytes >= introductionBytes) this.#silent.delete(line);
    this.#owner.linkBytes(link, bytes);
    this.#owner.turn();
  }

  lineDrained(link: Link): void {
    this.#owner.linkDrained(link);
    this.#owner.turn();
  }

  lineClosed(line: QuorumLine): void {
    this.#silent.delete(line);
    this.#accepted.delete(line);
    this.#lingering.get(line)?.();
    this.#lingering.delete(line);
    const { link } = line;
    if (link === null || !this.#lines.delete(link.number) || this.#stopped) return;
    this.#owner.linkClosed(link);
    this.#owner.turn();
  }
}
