/**
 * Page, style: plain CSS in one string. Colours are variables, once for light and once for dark, and
 * the grid folds from three columns to one, so that the page reads on a phone as on a wall.
 */
export const pageStyle = `
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #ffffff; --line: #e1e5ea; --text: #1b2430; --soft: #5d6b7a;
  --accent: #2563c9; --good: #15803d; --bad: #b42318; --warn-ground: #fff4e0; --warn: #8a4b00;
  --fill: #2563c926;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12161c; --card: #1a2029; --line: #2b3440; --text: #e5eaf0; --soft: #97a4b3;
    --accent: #74a7f7; --good: #4cc38a; --bad: #ff7b72; --warn-ground: #3a2a10; --warn: #ffc870;
    --fill: #74a7f722;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main, header, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .4rem .9rem; padding-top: 1.4rem; padding-bottom: 1rem; }
h1 { font-size: 1.35rem; margin: 0; letter-spacing: -.01em; }
h2 { font-size: .95rem; margin: 0 0 .7rem; }
a { color: var(--accent); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; }
.badge { padding: .12rem .65rem; border-radius: 99px; border: 1px solid currentColor; font-size: .85rem; font-weight: 600; color: var(--soft); }
.badge.good { color: var(--good); }
.badge.bad { color: var(--bad); }
.soft { color: var(--soft); font-size: .87rem; }
.push { margin-left: auto; }
.note { background: var(--warn-ground); color: var(--warn); border-radius: .6rem; padding: .6rem .9rem; margin: 0 0 .9rem; }
.tiles { display: grid; grid-template-columns: repeat(2, 1fr); gap: .75rem; margin-bottom: .75rem; }
@media (min-width: 44rem) { .tiles { grid-template-columns: repeat(4, 1fr); } }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: .75rem; margin-bottom: .75rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .7rem; padding: .85rem 1rem; min-width: 0; }
.tile .value { font-size: 1.4rem; font-weight: 600; line-height: 1.25; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.tile .label { color: var(--soft); font-size: .82rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: right; padding: .32rem .55rem; white-space: nowrap; border-bottom: 1px solid var(--line); }
tbody tr:last-child td { border-bottom: 0; }
th { color: var(--soft); font-weight: 500; font-size: .82rem; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
@media (max-width: 36rem) {
  main, header, footer { padding-left: .8rem; padding-right: .8rem; }
  table { font-size: .82rem; }
  th, td { padding-left: .3rem; padding-right: .3rem; }
}
@media (max-width: 26rem) {
  .card { padding: .75rem .8rem; }
  .tile .value { font-size: 1.2rem; }
  table { font-size: .76rem; }
  th { font-size: .74rem; }
  th, td { padding-left: .18rem; padding-right: .18rem; }
}
td.text, th.text { text-align: left; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .3rem 1rem; margin: 0; font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
#ensemble { margin-bottom: .75rem; }
#ensemble dl { margin-top: .8rem; }
@media (min-width: 44rem) { dl.facts { grid-template-columns: auto 1fr auto 1fr; } dl.facts dt:nth-of-type(even) { padding-left: 1.5rem; } }
.good { color: var(--good); } .bad { color: var(--bad); } .waits { color: var(--warn); }
tr.self td { background: var(--fill); }
code { font-family: ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; font-size: .9em; }
svg { display: block; width: 100%; flex: 1 1 5.5rem; min-height: 5.5rem; height: 5.5rem; }
.chart { display: flex; flex-direction: column; }
svg .line { fill: none; stroke: var(--accent); stroke-width: 2; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
svg .area { fill: var(--fill); stroke: none; }
.chart-head { display: flex; justify-content: space-between; align-items: baseline; }
.chips { display: flex; flex-wrap: wrap; gap: .4rem; }
.chips a { border: 1px solid var(--line); background: var(--card); border-radius: 99px; padding: .1rem .65rem; font-size: .84rem; }
footer { padding-top: .4rem; padding-bottom: 2rem; }
.card > p:last-child { margin-bottom: 0; }
footer p { margin: .9rem 0 .4rem; }
.stale .value, .stale dd, .stale td { opacity: .45; }
`;
