"""The report's style sheet: quiet, wide enough for a screen, legible on a phone, and whole on paper."""

STYLE = """
:root { --ink: #1d2530; --soft: #5c6773; --rule: #e3e7ec; --accent: #2f6f8f; --wash: #f5f7f9; }
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
.label, .note, .legend { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.figure { font-size: 26px; font-weight: 600; line-height: 35px; font-variant-numeric: tabular-nums; }
.figure { overflow-wrap: anywhere; } .long { font-size: 18px; }
svg { width: 100%; height: auto; font: 13px system-ui, sans-serif; }
.wide { display: block; } .narrow { display: none; }
.bar { fill: var(--accent); } .partial { opacity: .45; } .area { fill: var(--accent); opacity: .14; }
.ring { fill: #fff; stroke: var(--accent); stroke-width: 2; }
.legend { margin: 6px 0 0; } .cards + .legend { margin-top: 14px; }
.line { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
.grid { stroke: var(--rule); } .scale { fill: var(--soft); } .name { fill: var(--ink); }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 10px; border-bottom: 1px solid var(--rule); text-align: right; }
th { color: var(--soft); font-weight: 500; font-size: 13px; }
th:first-child, td:first-child { padding-left: 0; text-align: left; overflow-wrap: anywhere; }
td:not(:first-child) { white-space: nowrap; }
thead { display: table-header-group; } tr { break-inside: avoid; }
footer { margin-top: 40px; border-top: 1px solid var(--rule); font-size: 13px; }
@media screen and (max-width: 759px) {
  main { padding: 24px 16px 40px; } h1 { font-size: 24px; }
  .wide { display: none; } .narrow { display: block; max-width: 480px; font-size: 12.5px; }
  th, td { padding: 6px 0 6px 10px; font-size: 13px; } th { font-size: 12px; }
}
@media screen and (max-width: 519px) {
  .cards { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; } .card { padding: 10px; }
  .figure { font-size: 19px; line-height: 28px; } .long { font-size: 15px; }
}
@page { size: A4; margin: 16mm; }
@media print {
  body { font-size: 11pt; } main { max-width: none; padding: 0; }
  .card, .bar, .area, .ring { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
