/**
 * Page: the status page, one document that needs nothing from anywhere else.
 *
 * Its policy allows exactly the one style and the one script that stand in it (by hash) and requests
 * to its own server, so text of a client that slipped through as markup could still do nothing. The
 * first status is embedded as data; the script is the only one that draws.
 */
import { html, raw } from "hono/html";
import { commands } from "./commands.ts";
import { pageScript } from "./page_script.ts";
import { pageStyle } from "./page_style.ts";

export async function pagePolicy(): Promise<string> {
  const [style, script] = await Promise.all([hashOf(pageStyle), hashOf(pageScript)]);
  return [
    "default-src 'none'",
    `style-src '${style}'`,
    `script-src '${script}'`,
    "connect-src 'self'",
    // The icon is an empty one, so that no browser asks for /favicon.ico.
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}`;
}

/** JSON inside a script element: `<` is the only sign that could end it. */
function embedded(value: unknown): string {
  return JSON.stringify(value).replace(/</g, "\\u003c");
}

const tiles = {
  zxid: "last zxid",
  znodes: "znodes",
  sessions: "sessions",
  connections: "connections",
  watches: "watches",
  ephemerals: "ephemerals",
  data: "paths and data",
  outstanding: "outstanding requests",
};

const ensembleFacts = {
  "e-role": "this member",
  "e-leader": "leader",
  "e-quorum": "voters in step",
  "e-epoch": "epoch, round",
  "e-committed": "committed zxid",
  "e-flight": "in flight",
  "e-elections": "elections",
  "e-away": "not serving, in all",
  "e-sync": "last got level",
  "e-served": "learners brought level",
  "e-ack": "proposal to quorum",
  "e-size": "proposals",
  "e-forwarded": "requests forwarded",
  "e-packets": "quorum packets",
};

const storageFacts = {
  sync: "sync",
  commit: "commit of a batch",
  batch: "batch size",
  log: "log",
  tree: "tree table",
  behind: "tree behind log",
  checkpoint: "last checkpoint",
  dir: "directory",
};

const processFacts = {
  uptime: "uptime",
  memory: "resident memory",
  cpu: "processor",
  runtime: "runtime",
  pid: "process id",
  traffic: "client traffic",
  expired: "sessions expired",
  rejected: "connections refused",
};

function tileHtml([id, label]: [string, string]) {
  return html`
    <div class="card tile">
      <div class="value" id="${id}">–</div>
      <div class="label">${label}</div>
    </div>
  `;
}

function factHtml([id, label]: [string, string]) {
  return html`
    <dt>${label}</dt>
    <dd id="${id}">–</dd>
  `;
}

export function pageHtml(status: unknown, commandUrl: string) {
  // Relative, so that the page also works behind a proxy that puts a path before it.
  const base = commandUrl.replace(/^\/+/, "");
  const links = commands.filter((command) => !command.changes);
  return html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>zoolet</title>
        <link rel="icon" href="data:,">
        <style>${raw(pageStyle)}</style>
      </head>
      <body>
        <header>
          <h1>zoolet</h1>
          <span class="badge" id="mode">–</span>
          <span id="host"></span>
          <span class="soft push"><span id="version"></span> · <span id="live">live</span></span>
        </header>
        <main>
          <div
            id="notes"><noscript><p class="note">This page draws itself with a script. Without one, see <a href="${base}">${commandUrl}</a>.</p></noscript></div>
          <section class="tiles" aria-label="Counts">
            ${Object.entries(tiles).map(tileHtml)}
          </section>
          <section class="card" id="ensemble" hidden>
            <h2>Ensemble</h2>
            <div class="scroll">
              <table>
                <thead>
                  <tr>
                    <th>member</th>
                    <th class="text">part</th>
                    <th class="text">state</th>
                    <th class="text">address</th>
                    <th>behind</th>
                    <th>unsent</th>
                    <th>ack p99</th>
                    <th>got level</th>
                    <th>heard</th>
                    <th>connected</th>
                  </tr>
                </thead>
                <tbody id="members"></tbody>
              </table>
            </div>
            <p class="soft" id="members-note"></p>
            <dl class="facts">
              ${Object.entries(ensembleFacts).map(factHtml)}
            </dl>
          </section>
          <section class="panels">
            <div class="card chart">
              <div class="chart-head"><h2>Requests</h2><span class="soft" id="rate-top"></span></div>
              <div class="tile"><span class="value" id="rate">–</span></div>
              <svg viewBox="0 0 300 100" preserveAspectRatio="none" role="img"
                aria-label="Requests per second over the last three minutes">
                <polygon class="area" id="area" />
                <polyline class="line" id="line" />
              </svg>
            </div>
            <div class="card">
              <h2>Latency</h2>
              <div class="scroll">
                <table>
                  <thead>
                    <tr>
                      <th>stage</th>
                      <th>count</th>
                      <th>avg</th>
                      <th>p50</th>
                      <th>p95</th>
                      <th>p99</th>
                      <th>max</th>
                    </tr>
                  </thead>
                  <tbody id="latency"></tbody>
                </table>
              </div>
              <p class="soft">append: the part of a write that waits for the log</p>
            </div>
          </section>
          <section class="panels">
            <div class="card">
              <h2>Storage</h2>
              <dl>
                ${Object.entries(storageFacts).map(factHtml)}
              </dl>
            </div>
            <div class="card">
              <h2>Process</h2>
              <dl>
                ${Object.entries(processFacts).map(factHtml)}
              </dl>
            </div>
          </section>
          <section class="card">
            <h2>Clients</h2>
            <p class="soft" id="clients-note"></p>
            <div class="scroll">
              <table id="clients-table" hidden>
                <thead>
                  <tr>
                    <th>address</th>
                    <th class="text">session</th>
                    <th class="text">port</th>
                    <th class="text">last op</th>
                    <th>timeout</th>
                    <th>received</th>
                    <th>sent</th>
                    <th>queued</th>
                    <th>avg</th>
                    <th>max</th>
                  </tr>
                </thead>
                <tbody id="clients"></tbody>
              </table>
            </div>
          </section>
        </main>
        <footer>
          <p class="soft">Commands, as JSON</p>
          <nav class="chips" aria-label="Commands">${links.map(({ name }) =>
            html`<a href="${base}/${name}">${name}</a>`
          )}</nav>
          <p class="soft">For machines</p>
          <nav class="chips"
            aria-label="For machines"><a href="metrics">metrics</a><a href="health">health</a><a href="status.json">status.json</a></nav>
        </footer>
        <script type="application/json" id="first">${raw(embedded(status))}</script>
        <script>${raw(pageScript)}</script>
      </body>
    </html>
  `;
}
