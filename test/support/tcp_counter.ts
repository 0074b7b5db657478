/**
 * TCP counter: the real TCP port, which remembers the sockets that are open, so that a test can
 * count and cut them.
 */
import type { TcpHandler, TcpPort, TcpSocket } from "../../src/runtime/ports.ts";
import { tcp } from "../../src/runtime/shared/tcp.ts";

export class TcpCounter implements TcpPort {
  readonly open = new Set<TcpSocket>();
  connects = 0;

  listen(
    options: Parameters<TcpPort["listen"]>[0],
    accept: (socket: TcpSocket) => TcpHandler,
  ): ReturnType<TcpPort["listen"]> {
    return tcp.listen(options, (socket) => {
      this.open.add(socket);
      return this.#watch(accept(socket), () => socket);
    });
  }

  async connect(options: Parameters<TcpPort["connect"]>[0], handler: TcpHandler): Promise<TcpSocket> {
    this.connects++;
    let mine: TcpSocket | null = null;
    let closed = false;
    const watched = this.#watch(handler, () => mine, () => closed = true);
    mine = await tcp.connect(options, watched);
    if (!closed) this.open.add(mine);
    return mine;
  }

  /** Cuts the socket that was opened first, or any by its place. */
  cut(place: number): void {
    const sockets = [...this.open];
    sockets[place % sockets.length]?.destroy();
  }

  #watch(handler: TcpHandler, socket: () => TcpSocket | null, then: () => void = () => {}): TcpHandler {
    return {
      data: (bytes) => handler.data(bytes),
      ended: () => handler.ended(),
      drained: () => handler.drained(),
      closed: (cause) => {
        const gone = socket();
        if (gone !== null) this.open.delete(gone);
        then();
        handler.closed(cause);
      },
    };
  }
}
