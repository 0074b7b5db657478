/**
 * Proxy network: peers on loopback, and between each two of them a small proxy per port and direction.
 *
 * Peer A is told that B lives at the ports of the proxy from A to B, so each connection is known by
 * its two ends. A broken direction holds bytes back and fills the kernel's buffers; what comes through
 * later is what TCP would have sent again. A connection that is opened over a broken direction waits.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { type Direction, directionKey, type Network, type PeerAddress, type Slowness } from "./network.ts";
import { pickPorts } from "./ports.ts";

export class ProxyNetwork implements Network {
  readonly name = "proxies on loopback";
  readonly peers = new Map<number, PeerAddress>();
  readonly #proxies: Proxy[] = [];

  private constructor() {}

  static async open(count: number): Promise<ProxyNetwork> {
    const network = new ProxyNetwork();
    const ports = await pickPorts(count * 3 + count * (count - 1) * 2);
    const next = (): number => ports.shift() as number;
    for (let sid = 1; sid <= count; sid++) {
      network.peers.set(sid, { host: "127.0.0.1", client: next(), quorum: next(), election: next() });
    }
    try {
      for (let from = 1; from <= count; from++) {
        for (let to = 1; to <= count; to++) {
          if (from === to) continue;
          const { quorum, election } = network.peers.get(to) as PeerAddress;
          network.#proxies.push(await Proxy.open("quorum", from, to, next(), quorum));
          network.#proxies.push(await Proxy.open("election", from, to, next(), election));
        }
      }
    } catch (error) {
      await network.close();
      throw error;
    }
    return network;
  }

  memberLines(sid: number): readonly string[] {
    return [...this.peers].map(([other, own]) => {
      const at = (kind: "quorum" | "election"): number =>
        other === sid
          ? own[kind]
          : this.#proxies.find((proxy) => proxy.from === sid && proxy.to === other && proxy.kind === kind)
            ?.port ?? 0;
      return `server.${other}=127.0.0.1:${at("quorum")}:${at("election")}`;
    });
  }

  wrapper(): readonly string[] {
    return [];
  }

  breakOnly(directions: readonly Direction[]): Promise<void> {
    const broken = new Set(directions.map(({ from, to }) => directionKey(from, to)));
    for (const proxy of this.#proxies) {
      proxy.hold(
        broken.has(directionKey(proxy.from, proxy.to)),
        broken.has(directionKey(proxy.to, proxy.from)),
      );
    }
    return Promise.resolve();
  }

  slow(sids: readonly number[], severity: number): Promise<Slowness | null> {
    const delayMs = 5 + severity;
    for (const proxy of this.#proxies) {
      proxy.delay(sids.includes(proxy.from) ? delayMs : 0, sids.includes(proxy.to) ? delayMs : 0);
    }
    return Promise.resolve({ text: `${delayMs} ms on what ${sids.join(" and ")} send` });
  }

  unslow(): Promise<void> {
    for (const proxy of this.#proxies) proxy.delay(0, 0);
    return Promise.resolve();
  }

  close(): Promise<void> {
    for (const proxy of this.#proxies.splice(0)) proxy.close();
    return Promise.resolve();
  }
}

/** One way of a connection: bytes in order, held while it is broken, late while it is slow. */
class Way {
  readonly #to: Socket;
  readonly #from: Socket;
  readonly #queue: { readonly chunk: Uint8Array | null; readonly dueMs: number }[] = [];
  #held: boolean;
  #delayMs: number;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(from: Socket, to: Socket, held: boolean, delayMs: number) {
    this.#from = from;
    this.#to = to;
    this.#held = held;
    this.#delayMs = delayMs;
    from.on("data", (chunk: Uint8Array) => this.#push(chunk));
    from.on("end", () => this.#push(null));
    from.on("close", () => this.#push(null));
    if (held) from.pause();
  }

  set(held: boolean, delayMs: number): void {
    this.#held = held;
    this.#delayMs = delayMs;
    if (held) this.#from.pause();
    else this.#from.resume();
    this.#drain();
  }

  #push(chunk: Uint8Array | null): void {
    this.#queue.push({ chunk, dueMs: performance.now() + this.#delayMs });
    this.#drain();
  }

  #drain(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    while (!this.#held) {
      const first = this.#queue[0];
      if (first === undefined) return;
      const waitMs = first.dueMs - performance.now();
      if (waitMs > 1) {
        this.#timer = setTimeout(() => this.#drain(), waitMs);
        return;
      }
      this.#queue.shift();
      if (first.chunk === null) this.#to.destroy();
      else if (!this.#to.destroyed) this.#to.write(first.chunk);
    }
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#from.destroy();
    this.#to.destroy();
  }
}

interface Joined {
  readonly there: Way;
  readonly back: Way;
}

class Proxy {
  readonly kind: "quorum" | "election";
  readonly from: number;
  readonly to: number;
  readonly port: number;
  readonly #target: number;
  readonly #server: Server;
  readonly #waiting = new Set<Socket>();
  readonly #joined = new Set<Joined>();
  #heldThere = false;
  #heldBack = false;
  #delayThere = 0;
  #delayBack = 0;

  private constructor(
    server: Server,
    kind: "quorum" | "election",
    from: number,
    to: number,
    port: number,
    target: number,
  ) {
    this.#server = server;
    this.kind = kind;
    this.from = from;
    this.to = to;
    this.port = port;
    this.#target = target;
  }

  static open(
    kind: "quorum" | "election",
    from: number,
    to: number,
    port: number,
    target: number,
  ): Promise<Proxy> {
    return new Promise((resolve, reject) => {
      const server = createServer({ pauseOnConnect: true }, (near) => proxy.#accept(near));
      const proxy = new Proxy(server, kind, from, to, port, target);
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => resolve(proxy));
    });
  }

  hold(there: boolean, back: boolean): void {
    this.#heldThere = there;
    this.#heldBack = back;
    this.#apply();
    if (there || back) return;
    for (const near of this.#waiting) this.#join(near);
    this.#waiting.clear();
  }

  delay(there: number, back: number): void {
    this.#delayThere = there;
    this.#delayBack = back;
    this.#apply();
  }

  #apply(): void {
    for (const { there, back } of this.#joined) {
      there.set(this.#heldThere, this.#delayThere);
      back.set(this.#heldBack, this.#delayBack);
    }
  }

  #accept(near: Socket): void {
    near.setNoDelay(true);
    // Its close follows, and nothing depends on why.
    near.on("error", () => {});
    if (!this.#heldThere && !this.#heldBack) return this.#join(near);
    this.#waiting.add(near);
    near.on("close", () => this.#waiting.delete(near));
  }

  #join(near: Socket): void {
    if (near.destroyed) return;
    const far = connect({ host: "127.0.0.1", port: this.#target });
    far.setNoDelay(true);
    far.on("error", () => near.destroy());
    const joined = {
      there: new Way(near, far, this.#heldThere, this.#delayThere),
      back: new Way(far, near, this.#heldBack, this.#delayBack),
    };
    this.#joined.add(joined);
    let open = 2;
    for (const socket of [near, far]) {
      socket.on("close", () => {
        if (--open === 0) this.#joined.delete(joined);
      });
    }
    if (!this.#heldThere) near.resume();
  }

  close(): void {
    this.#server.close();
    for (const near of this.#waiting) near.destroy();
    for (const { there, back } of this.#joined) {
      there.stop();
      back.stop();
    }
  }
}
