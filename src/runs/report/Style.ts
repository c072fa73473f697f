import * as Palette from "../view/Palette.ts"

/** How a report looks: light and dark with the reader's system, on paper, and on a narrow screen. */
export const css = `
${Palette.css}* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", Arial, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p { margin: .5rem 0; }
.soft, figcaption, caption { color: var(--soft); }
figcaption { font-size: .9rem; }
.verdict { padding-left: 1.25rem; }
.state { font-weight: 600; }
.warning { border-left: 4px solid var(--series-2); padding: .25rem .75rem; background: var(--fill); }
a { color: inherit; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; margin: .75rem 0; }
:focus-visible { outline: 3px solid var(--series-1); outline-offset: 2px; }
.scroll { overflow-x: auto; }
table { overflow-wrap: normal; border-collapse: collapse; margin: .5rem 0; font-size: .9rem; }
caption { text-align: left; padding: .25rem 0; }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { border-bottom: 2px solid var(--line); }
thead .n { white-space: nowrap; }
tbody th { font-weight: 500; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.n { text-align: right; }
td:not(.n) { overflow-wrap: anywhere; min-width: 5rem; }
td.n { font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1rem 0; }
svg { max-width: 100%; height: auto; display: block; }
svg[width="640"] { min-width: 30rem; }
svg text { fill: var(--ink); font: 12px system-ui, "DejaVu Sans", Arial, sans-serif; stroke: none; }
svg .strong { font-weight: 600; }
svg .edge { fill: none; stroke: var(--ink); stroke-width: 1.5; }
svg .box { fill: var(--fill); stroke: var(--soft); }
pre { overflow-x: auto; background: var(--fill); padding: .75rem; font: .8rem/1.4 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: normal; }
details { margin: .25rem 0; }
details { position: relative; }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
@page { margin: 14mm; }
@media print {
  :root { color-scheme: light; } body { max-width: none; padding: 0; font-size: 10pt; print-color-adjust: exact; }
  nav, summary { display: none; } figure, table, .warning { break-inside: avoid; } h2, h3, .part > summary { break-after: avoid; }
  pre { white-space: pre-wrap; font-size: 7.5pt; } .scroll { overflow: visible; } table { font-size: 8pt; }
  .part::details-content { content-visibility: visible; display: block; } .part > summary { display: block; list-style: none; font-weight: 600; }
}
`
