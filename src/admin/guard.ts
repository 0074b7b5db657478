/**
 * Guard: who may ask the admin endpoint at all, before any route is looked at.
 *
 * It has no passwords, so an address only this machine can reach must stay so. A page in a browser
 * here can point a name of its own at 127.0.0.1 (DNS rebinding) and would then read everything: its
 * requests still carry that foreign name as Host, and are refused.
 */

/** A refusal, or null. */
export function refusalOf(request: Request, boundTo: string): { status: number; text: string } | null {
  // The original's way of saying no: 403 to TRACE, 405 to all that is not a question.
  if (request.method === "TRACE") return { status: 403, text: "TRACE is not answered" };
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { status: 405, text: `${request.method} is not answered: use GET` };
  }
  if (!isLoopback(boundTo)) return null;
  const host = hostOf(request);
  if (isLoopback(host)) return null;
  return {
    status: 403,
    text: `The admin endpoint listens on ${boundTo} and was asked for under another name. ` +
      "Ask for it as localhost or 127.0.0.1, or set admin.serverAddress to an address that others may reach",
  };
}

/** Another site's page set this off: an image or a form may point anywhere, without being able to read the answer. */
export function isCrossSite(request: Request): boolean {
  return request.headers.get("sec-fetch-site") === "cross-site";
}

/** Names and addresses that never leave this machine. Browsers resolve `*.localhost` themselves. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  return name === "localhost" || name.endsWith(".localhost") || name === "::1" ||
    /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name);
}

function hostOf(request: Request): string {
  const header = request.headers.get("host");
  if (header === null) return new URL(request.url).hostname;
  return header.trim().replace(/:\d*$/, "");
}
