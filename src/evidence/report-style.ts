/** Of the report: for the screen, in either light, and for paper. */
export const reportStyle = `
:root { --ink: #1c2430; --soft: #5b6675; --line: #d9dee5; --paper: #fff; --wash: #f5f7f9; --good: #1a7f4b; --bad: #b3371f; --mild: #8a6d00; --none: #8792a0; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b4; --line: #333c48; --paper: #14181e; --wash: #1c222a; --good: #4cc38a; --bad: #ff8f73; --mild: #e2c04c; --none: #7d8896; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 3rem 1.5rem 5rem; max-width: 68rem; font: 15px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; color: var(--ink); background: var(--paper); }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.8rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p { margin: .4rem 0; max-width: 46rem; }
.soft, caption { color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .8rem; margin: 1.6rem 0; padding: 0; list-style: none; }
.figures li { background: var(--wash); border-radius: 8px; padding: .8rem 1rem; }
.figures b { display: block; font-size: 1.45rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.figures span { color: var(--soft); font-size: .85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; margin: .6rem 0; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { text-align: left; vertical-align: top; padding: .36rem .7rem .36rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { font-weight: 600; color: var(--soft); white-space: nowrap; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.t { white-space: nowrap; font-variant-numeric: tabular-nums; }
code, .mono { font: .85em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.tag { font-weight: 600; white-space: nowrap; }
.shown { color: var(--good); } .exceptions, .high { color: var(--bad); } .medium { color: var(--mild); } .elsewhere, .low, .noevents { color: var(--none); }
svg.days { width: 100%; height: 46px; display: block; margin: .8rem 0 .2rem; }
svg .full { fill: var(--good); } svg .part { fill: var(--mild); } svg .empty { fill: var(--bad); }
ol.story { list-style: none; margin: .6rem 0; padding: 0 0 0 1rem; border-left: 2px solid var(--line); }
ol.story li { padding: .25rem 0 .25rem .6rem; }
ol.story b { font-weight: 600; }
@media print {
  @page { size: A4; margin: 18mm 16mm; }
  :root { --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --wash: #f3f3f3; --good: #0a5c33; --bad: #8f1f0a; --mild: #6b5400; --none: #555; color-scheme: light; }
  body { padding: 0; max-width: none; font-size: 9.5pt; }
  h2 { break-after: avoid; } tr, li, svg { break-inside: avoid; } thead { display: table-header-group; }
  .wide { overflow: visible; }
}
`;
