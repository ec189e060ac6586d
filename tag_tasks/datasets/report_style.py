"""The report's style sheet: quiet, wide enough for a screen, and whole on paper."""

STYLE = """
:root { --ink: #1d2530; --soft: #66717f; --rule: #e3e7ec; --accent: #2f6f8f; --wash: #f5f7f9; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 880px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { margin: 0; font-size: 28px; line-height: 1.2; letter-spacing: -.01em; }
h2 { margin: 0 0 14px; font-size: 17px; }
header p, footer p, .nothing { color: var(--soft); }
header p { overflow-wrap: anywhere; }
header { border-bottom: 2px solid var(--ink); padding-bottom: 6px; }
section { margin-top: 36px; break-inside: avoid; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 14px; }
.card { display: flex; flex-direction: column; padding: 14px; background: var(--wash); border-radius: 6px; }
.label, .note { color: var(--soft); font-size: 13px; }
.figure { font-size: 26px; font-weight: 600; line-height: 35px; font-variant-numeric: tabular-nums; }
.figure { overflow-wrap: anywhere; } .long { font-size: 18px; }
svg { display: block; width: 100%; height: auto; font: 11px system-ui, sans-serif; }
.bar { fill: var(--accent); } .partial { opacity: .45; } .area { fill: var(--accent); opacity: .14; }
.ring { fill: #fff; stroke: var(--accent); stroke-width: 2; }
.legend { margin: 6px 0 0; color: var(--soft); font-size: 13px; }
.line { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
.grid { stroke: var(--rule); } .scale { fill: var(--soft); } .name, .value { fill: var(--ink); font-size: 12px; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 10px; border-bottom: 1px solid var(--rule); text-align: right; overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 500; font-size: 13px; }
th:first-child, td:first-child { padding-left: 0; text-align: left; }
thead { display: table-header-group; } tr { break-inside: avoid; }
footer { margin-top: 40px; border-top: 1px solid var(--rule); font-size: 13px; }
@page { size: A4; margin: 16mm; }
@media print {
  body { font-size: 11pt; } main { max-width: none; padding: 0; }
  .card, .bar, .area, .ring { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
