/**
 * The raw session against our server and the original one: what each byte of a handshake does.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { isPasswordNone, RawSession } from "../../src/client/raw_session.ts";
import { bytesOfHex } from "../../src/core/base/bytes.ts";
import { ErrorCode } from "../../src/core/wire/errors.ts";
import { OpCode, Xid } from "../../src/core/wire/opcodes.ts";
import { writeWatchableRequest } from "../../src/core/wire/requests.ts";
import { currentRuntime } from "../../src/runtime/current.ts";
import { everyServer } from "./every_server.ts";
import { makeTempDirectory } from "../support/places.ts";
import type { RunningServer } from "../support/servers.ts";

const runtime = await currentRuntime();

for (const { name, missing, start } of everyServer) {
  describe(`a raw session and ${name}`, { skip: missing ?? false }, () => {
    const place = makeTempDirectory("raw");
    let server: RunningServer;

    before(async () => {
      server = await start({ directory: place.path });
    });
    after(async () => {
      await server?.stop();
      place.remove();
    });

    function open(): Promise<RawSession> {
      return RawSession.open(runtime, { host: "127.0.0.1", port: server.port, limitMs: 5000 });
    }

    it("gets the readOnly byte back exactly when it sent one", async () => {
      for (const readOnly of [false, null]) {
        const raw = await open();
        const reply = await raw.handshake({ readOnly });
        assert.equal(reply?.readOnly, readOnly);
        assert.equal(reply?.password?.length, 16);
        raw.destroy();
      }
    });

    it("takes a session up again with its password and is refused with another", async () => {
      const first = await open();
      const made = await first.handshake();
      assert.ok(made !== null);
      const second = await open();
      const again = await second.handshake({ sessionId: made.sessionId, password: made.password });
      assert.equal(again?.sessionId, made.sessionId);
      await first.untilEnd();
      const third = await open();
      const refused = await third.handshake({ sessionId: made.sessionId, password: new Uint8Array(16) });
      assert.ok(refused !== null);
      assert.deepEqual([refused.timeoutMs, refused.sessionId, isPasswordNone(refused.password)], [
        0,
        0n,
        true,
      ]);
      await third.untilEnd();
      assert.equal(await third.next(), null);
      second.destroy();
    });

    it("sees the close that answers a zxid from the future", async () => {
      const raw = await open();
      assert.equal(await raw.handshake({ zxidSeen: 2 ** 40 }), null);
    });

    it("sends requests and reads replies one by one", async () => {
      const raw = await open();
      await raw.handshake();
      const reply = await raw.request(
        7,
        OpCode.Exists,
        (writer) => writeWatchableRequest(writer, "/nope", false),
      );
      assert.deepEqual([reply?.xid, reply?.err, reply?.body.length], [7, ErrorCode.NoNode, 0]);
      raw.sendRequest(99, OpCode.Ping);
      assert.equal((await raw.next())?.xid, Xid.Ping);
      assert.ok(await raw.isSilentFor(50));
      await assert.rejects(raw.next(50), /Waited 50 ms for a frame: nothing came/);
      raw.sendBytes(bytesOfHex("ffffffff"));
      await raw.untilEnd();
    });

    it("asks four-letter words", async () => {
      assert.equal(await (await open()).word("ruok"), "imok");
    });
  });
}
