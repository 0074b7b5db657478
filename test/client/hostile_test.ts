/**
 * The client against servers that lie, stall and break off. None of it may hurt the client: each
 * connection ends with a cause a person can read, and the session goes on or ends as it should.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Client, connect } from "../../src/client/client.ts";
import type { WatchEvent } from "../../src/client/types.ts";
import { ZkError } from "../../src/client/zk_error.ts";
import { bytesOfHex } from "../../src/core/base/bytes.ts";
import { ErrorCode } from "../../src/core/wire/errors.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { currentRuntime } from "../../src/runtime/current.ts";
import type { TcpSocket } from "../../src/runtime/ports.ts";
import { Random } from "../support/random.ts";
import { sleep, within } from "../support/places.ts";

const runtime = await currentRuntime();

/** Told each frame of a connection; the first is the handshake. */
type Behaviour = (socket: TcpSocket, frame: Reader, index: number, connection: number) => void;

interface Liar {
  readonly port: number;
  readonly connections: () => number;
  close(): Promise<void>;
}

async function startLiar(behave: Behaviour): Promise<Liar> {
  let connections = 0;
  const sockets = new Set<TcpSocket>();
  const options = { host: "127.0.0.1", port: 0, backlog: -1, keepAlive: false };
  const listener = await runtime.tcp.listen(options, (socket) => {
    const connection = connections++;
    let index = 0;
    let rest = new Uint8Array(0);
    sockets.add(socket);
    return {
      data(bytes) {
        const all = new Uint8Array(rest.length + bytes.length);
        all.set(rest);
        all.set(bytes, rest.length);
        rest = all;
        while (rest.length >= 4) {
          const length = new Reader(rest).i32();
          if (rest.length < 4 + length) break;
          behave(socket, new Reader(rest, 4, 4 + length), index++, connection);
          rest = rest.slice(4 + length);
        }
      },
      ended: () => socket.destroy(),
      drained() {},
      closed: () => void sockets.delete(socket),
    };
  });
  return {
    port: listener.port,
    connections: () => connections,
    async close() {
      for (const socket of sockets) socket.destroy();
      await listener.close();
    },
  };
}

const hello = (timeoutMs = 0x2710): Uint8Array =>
  bytesOfHex(
    `00000025 00000000 ${timeoutMs.toString(16).padStart(8, "0")} 01000008a0730000 00000010` +
      "cf25f6ffb0442f4bc52a1715797c88a4 00",
  );

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

/** A header-only reply. */
function reply(xid: number, err = 0): Uint8Array {
  return bytesOfHex(`00000010 ${hex(xid)} 0000000000000005 ${hex(err)}`);
}

async function against(
  behave: Behaviour,
  use: (client: Client, liar: Liar) => Promise<void>,
  options: Partial<Parameters<typeof connect>[1]> = {},
): Promise<void> {
  const liar = await startLiar(behave);
  const client = connect(runtime, { servers: `127.0.0.1:${liar.port}`, timeoutMs: 4000, ...options });
  try {
    await within(8000, "the test", use(client, liar));
  } finally {
    client.abandon();
    await liar.close();
  }
}

function refusal(code: number, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ZkError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

describe("the client and a server that lies", () => {
  const handshakes: [string, Uint8Array | null, RegExp][] = [
    ["closes at once", null, /closed the connection before it answered the handshake/],
    ["answers too little", bytesOfHex("00000004 00000000"), /a handshake of 4 bytes is not ZooKeeper's/],
    ["announces a frame without end", bytesOfHex("7fffffff"), /a frame of 2147483647 bytes was announced/],
    [
      "speaks another protocol",
      new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"),
      /a frame of 1213486160 bytes/,
    ],
    ["only reads", bytesOfHex("00000010 00000000 0000000000000000 ffffff89"), /only reads at the moment/],
  ];
  for (const [what, bytes, cause] of handshakes) {
    it(`that ${what} is tried again, and the cause is told`, async () => {
      await against((socket) => {
        if (bytes === null) socket.destroy();
        else socket.write(bytes.slice());
      }, async (client, liar) => {
        await assert.rejects(client.ready(400), refusal(ErrorCode.ConnectionLoss, cause));
        assert.ok(liar.connections() >= 2);
        assert.ok(liar.connections() < 20, "with a pause in between");
      });
    });
  }

  it("that never answers the handshake is given up after its share of the timeout", async () => {
    await against(() => {}, async (client) => {
      await assert.rejects(
        client.ready(700),
        refusal(ErrorCode.ConnectionLoss, /no answer to the handshake within 500 ms/),
      );
    }, { timeoutMs: 500 });
  });

  it("that answers with another xid is cut off, and the request has no result", async () => {
    await against((socket, frame, index, connection) => {
      if (index === 0) socket.write(hello());
      else socket.write(reply(connection === 0 ? 77 : frame.i32()));
    }, async (client) => {
      const lost = assert.rejects(
        client.delete("/a"),
        refusal(ErrorCode.ConnectionLoss, /a reply came for xid 77 where xid 1 was next/),
      );
      await lost;
      await client.ready();
      await client.delete("/b");
      assert.equal(client.connections, 2);
    });
  });

  const garbage: [string, string, RegExp][] = [
    [
      "a reply to another request",
      "00000010 00000009 0000000000000000 00000000",
      /xid 9 where xid 1 was next/,
    ],
    ["a reply shorter than its header", "00000003 000000", /shorter than its header/],
    [
      "a watch event cut short",
      "00000014 ffffffff 0000000000000000 00000000 00000003",
      /watch event could not be read/,
    ],
    ["a length below zero", "80000000", /a frame of -2147483648 bytes/],
  ];
  for (const [what, bytes, cause] of garbage) {
    it(`that sends ${what} is cut off and connected to again`, async () => {
      await against((socket, _frame, index, connection) => {
        if (index > 0) return;
        socket.write(hello());
        if (connection === 0) setTimeout(() => socket.write(bytesOfHex(bytes)), 50);
      }, async (client) => {
        await client.ready();
        const lost = client.delete("/a");
        await assert.rejects(lost, refusal(ErrorCode.ConnectionLoss, cause));
        await client.ready();
        assert.equal(client.connections, 2);
      });
    });
  }

  it("that sends a body too short fails that request alone", async () => {
    await against((socket, frame, index) => {
      socket.write(index === 0 ? hello() : reply(frame.i32()));
    }, async (client) => {
      await assert.rejects(client.getData("/a"), refusal(ErrorCode.MarshallingError, /could not be read/));
      await client.delete("/a");
      assert.equal(client.connections, 1);
    });
  });

  it("that falls silent is asked by ping and left after two thirds of the timeout", async () => {
    const seen: number[] = [];
    await against((socket, frame, index, connection) => {
      if (index === 0) socket.write(hello(600));
      else if (connection === 0) {
        frame.i32();
        seen.push(frame.i32());
      }
    }, async (client, liar) => {
      await client.ready();
      for (let i = 0; i < 100 && liar.connections() < 2; i++) await sleep(20);
      await client.ready();
      assert.ok(seen.includes(OpCode.Ping));
      assert.ok(client.connections >= 2);
    }, { timeoutMs: 600 });
  });

  it("that sends frames byte by byte is understood", async () => {
    await against((socket, frame, index) => {
      const bytes = index === 0 ? hello() : reply(frame.i32());
      for (const byte of bytes) socket.write(new Uint8Array([byte]));
    }, async (client) => {
      await client.delete("/a");
    });
  });

  it("that sends an event and a reply in one piece is heard in that order", async () => {
    const event = "0000001e ffffffff ffffffffffffffff 00000000 00000003 00000003 00000002 2f61";
    const heard: WatchEvent[] = [];
    await against((socket, frame, index) => {
      if (index === 0) return socket.write(hello());
      const xid = frame.i32();
      socket.write(bytesOfHex(`${event} 00000010 ${hex(xid)} 0000000000000005 00000000`));
    }, async (client) => {
      await client.delete("/a");
      assert.deepEqual(heard, [{ type: 3, state: 3, path: "/a", zxid: -1 }]);
    }, { onEvent: (event) => heard.push(event) });
  });

  it("that sends noise of any kind never does more than cost the connection", async () => {
    const random = new Random(20_261_120);
    await against((socket, _frame, index) => {
      if (index === 0) socket.write(hello());
      const bytes = new Uint8Array(4 + random.below(60));
      for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256);
      bytes.set([0, 0, 0, bytes.length - 4]);
      if (random.below(2) === 0) bytes.set([0xff, 0xff, 0xff, random.below(2) === 0 ? 0xff : 0xfe], 4);
      socket.write(bytes);
    }, async (client) => {
      for (let i = 0; i < 60; i++) {
        await Promise.race([
          client.getChildren("/a").catch((error: unknown) => assert.ok(error instanceof ZkError)),
          sleep(30),
        ]);
      }
      assert.ok(client.connections > 1);
    }, { reconnectMsMax: 5 });
  });
});
