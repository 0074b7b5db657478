/**
 * Routes: which path shows what. Handlers read the source of status and keep nothing.
 *
 *   /                       the status page           /health     200 while serving, else 503
 *   /status.json            what the page shows       /metrics    Prometheus
 *   /health/live            200: the process answers  /health/ready    200 while serving writes too, 503 while loading
 *   /health/leader          200 where writes are decided: on a leader, or alone
 *   <commandUrl>            the commands, as links    <commandUrl>/<name>   one command, as JSON
 */
import type { Context, Hono } from "hono";
import type { WordSource } from "../server/four_letter_words.ts";
import { slices } from "../server/slices.ts";
import { answerCommand, commandOf, commands } from "./commands.ts";
import { isCrossSite } from "./guard.ts";
import { jacksonPieces } from "./json.ts";
import { metricsContentType, metricsText } from "./metrics.ts";
import { pageHtml, pagePolicy } from "./page.ts";
import { type HealthJson, healthJson, statusJson } from "./status_json.ts";

export function addRoutes(app: Hono, source: WordSource): void {
  const { commandUrl } = source.settings.admin;
  let policy: Promise<string> | null = null;

  app.get("/", async (c) => {
    policy ??= pagePolicy();
    return c.html(await pageHtml(statusJson(source), commandUrl), 200, {
      "Content-Security-Policy": await policy,
    });
  });
  app.get("/status.json", (c) => c.json(statusJson(source)));
  const health = (path: string, isWell: (health: HealthJson) => boolean) => {
    app.get(path, (c) => {
      const told = healthJson(source);
      return c.json(told, isWell(told) ? 200 : 503);
    });
  };
  const serves = ({ status }: HealthJson) => status === "ok";
  health("/health", serves);
  health("/health/live", () => true);
  health("/health/ready", (told) => serves(told) && told.mode !== "read-only");
  health("/health/leader", (told) => serves(told) && (told.mode === "leader" || told.mode === "standalone"));
  addMetricsRoute(app, source);

  const base = commandUrl.replace(/\/+$/, "");
  const index = (c: Context) => c.html(commandsHtml(base));
  if (base !== "") app.get(base, index);
  app.get(`${base}/`, index);
  app.get(`${base}/:name{.+}`, (c) => {
    const name = c.req.param("name") ?? "";
    if (commandOf(name)?.changes === true && isCrossSite(c.req.raw)) {
      return c.text("Another site asked for a command that changes something. Open it yourself", 403);
    }
    const answer = answerCommand(name, source, new URL(c.req.url).searchParams);
    const left = slices(jacksonPieces(answer), source.clock);
    const first = left.next();
    const json = { "Content-Type": "application/json" };
    if (first.done !== true) return c.body(streamOf(first.value, left, source), 200, json);
    // Told here, so that HEAD tells it too.
    return c.body(first.value, 200, { ...json, "Content-Length": String(first.value.length) });
  });
}

/** A long answer: the next slice is made when the last was taken and others have had their turn. */
function streamOf(
  first: Uint8Array<ArrayBuffer>,
  left: ReturnType<typeof slices>,
  { clock }: WordSource,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start: (controller) => controller.enqueue(first),
    async pull(controller) {
      for (let bytes = 0; bytes === 0;) {
        await new Promise<void>((resolve) => clock.after(0, resolve, true));
        const { done, value } = left.next();
        if (value.length > 0) controller.enqueue(value);
        if (done === true) return controller.close();
        bytes = value.length;
      }
    },
    cancel: () => void left.return(new Uint8Array(0)),
  });
}

export function addMetricsRoute(app: Hono, source: WordSource): void {
  app.get(
    "/metrics",
    async (c) => c.body(await metricsText(source), 200, { "Content-Type": metricsContentType }),
  );
}

/** Links as the original lists them, one a line. The only text that is not ours is the operator's own path. */
function commandsHtml(base: string): string {
  const href = encodeURI(base).replaceAll("'", "%27");
  return commands.map(({ name }) => `<a href="${href}/${name}">${name}</a>\n<br/>\n`).join("");
}
