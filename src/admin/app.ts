/**
 * App: the admin endpoint as one function from request to response.
 *
 * Made by whoever starts it and imported only then (`await import`): Hono and the metrics registry
 * cost about 5 MB and 10 ms that a server without an admin endpoint need not pay. It owns no state,
 * opens no port and asks for no password: the address it is bound to is its fence, and `guard` the gate.
 */
import { Hono } from "hono";
import type { WordSource } from "../server/four_letter_words.ts";
import type { Logger } from "../server/logger.ts";
import { refusalOf } from "./guard.ts";
import { addMetricsRoute, addRoutes } from "./routes.ts";

export interface AdminSource extends WordSource {
  readonly logger: Pick<Logger, "error">;
}

export interface AdminApp {
  fetch(request: Request): Response | Promise<Response>;
}

/** The whole endpoint, for `settings.admin`. */
export function makeAdminApp(source: AdminSource): AdminApp {
  const app = guarded(source, source.settings.admin.address);
  addRoutes(app, source);
  return app;
}

/** `/metrics` alone, for the port that `settings.metrics` asks for. */
export function makeMetricsApp(source: AdminSource): AdminApp {
  const app = guarded(source, source.settings.metrics?.address ?? "0.0.0.0");
  addMetricsRoute(app, source);
  return app;
}

function guarded(source: AdminSource, boundTo: string): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    const refusal = refusalOf(c.req.raw, boundTo);
    if (refusal !== null) {
      const headers: Record<string, string> = refusal.status === 405 ? { Allow: "GET, HEAD" } : {};
      return new Response(`${refusal.text}\n`, { status: refusal.status, headers: { ...plain, ...headers } });
    }
    await next();
    c.header("Cache-Control", "no-store");
    c.header("X-Content-Type-Options", "nosniff");
    c.header("Referrer-Policy", "no-referrer");
  });
  app.notFound((c) =>
    c.text(`Nothing at ${c.req.path}. There is / and ${source.settings.admin.commandUrl}\n`, 404)
  );
  app.onError((error, c) => {
    const text = error instanceof Error ? error.message : String(error);
    source.logger.error("admin_failed", `Cannot answer ${c.req.method} ${c.req.path}: ${text}`);
    return c.text(`Cannot answer ${c.req.path}: ${text}\n`, 500);
  });
  return app;
}

const plain = { "Content-Type": "text/plain; charset=UTF-8" };
