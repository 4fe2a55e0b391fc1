"""The style of the page of an analysis, beside that of all pages."""

# Blue, vermilion, green, purple, ochre and gray, after Okabe and Ito: told apart with any color vision, and each with
# a contrast of 3 or more on the ground of its theme. `low` and `high` are the ends of a quantity.
ANALYSIS_STYLE = """
:root { --c0: #0072b2; --c1: #c84e00; --c2: #00825e; --c3: #a64d8a; --c4: #8f6b00; --c5: #4d5359; --other: #767e86;
  --first: #0b57a4; --second: #b34700; --low: #2b4c9b; --high: #c98a00; }
@media (prefers-color-scheme: dark) { :root { --c0: #56b4e9; --c1: #ff8c42; --c2: #2fc79a; --c3: #e39cc6;
  --c4: #f0d264; --c5: #d3d8dd; --other: #79828b; --first: #86bdf2; --second: #ffa366; --low: #5b7fe0;
  --high: #ffd75e; } }
.m0 { --c: var(--first); } .m1 { --c: var(--second); }
.key { margin-right: 1.25rem; } .key::before { content: ""; display: inline-block; width: .8rem; height: .8rem;
  margin-right: .4rem; background: var(--c); border-radius: 50%; vertical-align: -.05rem; }
.key.m1::before { border-radius: 0; }
h3.m0, h3.m1 { color: var(--c); margin-top: 1rem; }
.said { font-size: 1.05rem; padding-left: 1.2rem; max-width: 48rem; } .said li { margin: .35rem 0; }
pre { overflow-x: auto; background: var(--panel); border: 1px solid var(--line); border-radius: .4rem;
  padding: .6rem .75rem; margin: .6rem 0; font-size: .875rem; }
code { font-family: ui-monospace, monospace; } td code { font-size: .85em; }
.presets th, .presets td { text-align: left; vertical-align: top; }
.presets td:last-child { white-space: normal; min-width: 16rem; } .presets th:first-child { min-width: 5rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: 1.25rem; }
figcaption { line-height: 1.35; min-height: 1.35rem; }
figcaption span { color: var(--dim); font-size: .85rem; }
svg:not(.bars) { display: block; width: 100%; height: auto; overflow: visible; }
[data-steps] text { fill: var(--dim); font-size: 11px; paint-order: stroke; stroke: var(--ground); stroke-width: 3px; }
.middle { text-anchor: middle; } .end { text-anchor: end; }
line.grid { stroke: var(--line); } line.chance { stroke: var(--dim); stroke-dasharray: 1.5 3.5; stroke-width: 1.5; }
line.logmel { stroke: var(--dim); stroke-dasharray: 7 4; stroke-width: 1.5; }
polygon { fill: var(--c); opacity: .16; } polyline { fill: none; stroke: var(--c); stroke-width: 2; }
.m1 polyline { stroke-dasharray: 7 3; }
.less { fill: var(--ground); stroke: var(--c); stroke-width: 1.5; } .good, .best { fill: var(--c); }
.best { stroke: var(--ground); stroke-width: 1.5; }
.cell { fill: var(--c); } .cursor { fill: none; stroke: var(--text); stroke-width: 1.5; pointer-events: none; }
.readout { display: block; min-height: 2.9rem; font-size: .875rem; line-height: 1.4; padding-top: .2rem; }
.readout span { display: block; } .readout .m0, .readout .m1 { color: var(--c); }
.controls { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: center; margin: .75rem 0; }
fieldset { border: 0; padding: 0; margin: 0; display: flex; gap: .25rem .9rem; flex-wrap: wrap; }
legend { float: left; margin-right: .9rem; color: var(--dim); padding: 0; }
label { cursor: pointer; } select, input { font: inherit; accent-color: var(--accent); }
select { background: var(--ground); color: var(--text); border: 1px solid var(--line); border-radius: .3rem;
  padding: .2rem .4rem; max-width: 14rem; }
.planes { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 1.25rem; }
.planes figure { max-width: 36rem; } .planes strong { color: var(--c); }
.plane { border: 1px solid var(--line); border-radius: .4rem; background: var(--panel); cursor: crosshair;
  margin: .3rem 0; touch-action: manipulation; }
.planes label { display: flex; gap: .5rem; align-items: center; } .layer { flex: 1; min-width: 0; }
.layer-name { min-width: 2.2rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.points path { stroke: var(--panel); stroke-width: 2; fill: var(--other); transition: transform .35s ease; }
.points path.off { opacity: .08; } .chosen { fill: none; stroke: var(--text); stroke-width: 5; pointer-events: none; }
.k0 { fill: var(--c0) !important; } .k1 { fill: var(--c1) !important; } .k2 { fill: var(--c2) !important; }
.k3 { fill: var(--c3) !important; } .k4 { fill: var(--c4) !important; } .k5 { fill: var(--c5) !important; }
.kx { fill: var(--other); }
.legend { display: flex; flex-wrap: wrap; gap: .3rem .4rem; margin: .6rem 0; max-height: 13rem; overflow-y: auto; }
.legend button { font: inherit; font-size: .875rem; color: var(--text); background: none; cursor: pointer;
  border: 1px solid var(--line); border-radius: 1rem; padding: .1rem .6rem .1rem .4rem; display: flex; gap: .35rem;
  align-items: center; max-width: 100%; text-align: left; }
.legend button[aria-pressed=true] { border-color: var(--accent); background: var(--panel);
  box-shadow: inset 0 0 0 1px var(--accent); }
.legend svg { width: .9rem; height: .9rem; flex: none; } .legend small { color: var(--dim); }
.ramp { width: 14rem; max-width: 50%; height: .8rem; border-radius: .4rem; align-self: center;
  background: linear-gradient(90deg in oklab, var(--low), var(--high)); }
@media (prefers-reduced-motion: reduce) { .points path { transition: none; } }
@media print { .controls, .layer, #sound { display: none; } }
"""
