/**
 * TCP gate: a port in front of another one, through which a test can let a connection go silent.
 *
 * A cut gate takes bytes and connections and passes nothing on: no end, no reset, as when a cable is
 * pulled. Healing resets what was cut: after so long a network has forgotten those connections.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

export class TcpGate {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;
  /** Connections that were ever made through it. */
  connections = 0;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static open(port: number, target: number): Promise<TcpGate> {
    return new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: false }, (near) => gate.#accept(near, target));
      const gate = new TcpGate(server, port);
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => resolve(gate));
    });
  }

  #accept(near: Socket, target: number): void {
    this.#hold(near);
    if (this.#isCut) return;
    this.connections++;
    const far = connect({ host: "127.0.0.1", port: target });
    this.#hold(far);
    for (const [from, to] of [[near, far], [far, near]] as const) {
      from.on("data", (chunk: Uint8Array) => {
        if (!this.#isCut) to.write(chunk);
      });
      from.on("close", () => {
        if (!this.#isCut) to.destroy();
      });
    }
  }

  #hold(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    // Its close follows and ends the other side; nothing else depends on why.
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
  }

  cut(): void {
    this.#isCut = true;
  }

  heal(): void {
    this.#isCut = false;
    this.reset();
  }

  /** Ends all connections; new ones pass. */
  reset(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.reset();
  }
}
