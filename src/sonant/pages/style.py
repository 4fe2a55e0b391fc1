"""The style of the page: light and dark, narrow and wide; colors have a contrast of 4.5 or more on their ground."""

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1c2024; --dim: #59626b; --line: #d5dae0; --panel: #f5f7f9;
  --accent: #0b57a4; --left: #8f1414; --left-ground: #fde4e4; --put: #0f5526; --put-ground: #dcf3e1; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --text: #e6e9ec; --dim: #a3adb7; --line: #363d44;
  --panel: #1d2226; --accent: #86bdf2; --left: #ffb9b9; --left-ground: #4a1f1f;
  --put: #a9e8b8; --put-ground: #17391f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 1rem/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere; }
header, main, footer { max-width: 70rem; margin: 0 auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 1.5rem 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; } h3 { font-size: 1rem; margin: 0; }
p { margin: .4rem 0; max-width: 48rem; } .dim, footer { color: var(--dim); font-size: .9rem; }
a { color: var(--accent); } nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: .5rem; background: var(--ground); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; margin: .6rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .5rem .75rem; color: var(--dim); font-size: .9rem; }
th, td { padding: .35rem .75rem; text-align: right; white-space: nowrap; border-top: 1px solid var(--line); }
th { font-weight: 600; } thead th { background: var(--panel); vertical-align: bottom; }
th[scope=row], th:first-child { text-align: left; font-weight: 400; white-space: normal; min-width: 9rem; }
th[scope=row] { overflow-wrap: break-word; max-width: 22rem; }
.rate { font-weight: 600; } .interval { color: var(--dim); font-size: .875em; }
.bar { display: inline-block; position: relative; width: 7rem; height: .5rem; margin-left: .6rem; }
.bar i { position: absolute; top: 0; height: .5rem; border-radius: .25rem; background: var(--accent); opacity: .35; }
.bar b { position: absolute; top: -.1rem; width: .18rem; height: .7rem; background: var(--accent); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 0 1rem;
  align-items: start; }
.columns th:first-child { min-width: 6rem; } .columns th, .columns td { padding: .35rem .5rem; }
article { border: 1px solid var(--line); border-radius: .4rem; padding: .75rem; margin: .75rem 0; }
audio { width: 100%; max-width: 28rem; margin: .5rem 0; display: block; }
.system { font-size: .9rem; color: var(--dim); margin-top: .5rem; }
.alignment { font-size: 1.05rem; line-height: 1.9; max-width: none; }
del, ins { padding: .05em .2em; border-radius: .2rem; }
del { color: var(--left); background: var(--left-ground); text-decoration: line-through; }
ins { color: var(--put); background: var(--put-ground); text-decoration: underline; }
details { margin: .4rem 0; } summary { cursor: pointer; font-size: .9rem; color: var(--accent); }
.alternatives th, .alternatives td { vertical-align: baseline; } .alternatives th:nth-child(2) { text-align: left; }
.alternatives td:nth-child(2) { text-align: left; white-space: normal; min-width: 16rem; line-height: 1.9; }
.alternatives sub { color: var(--dim); font-size: .7em; margin-left: .1em; }
.alternatives th:first-child { min-width: 0; width: 2rem; }
del + ins { margin-left: .1em; }
dl { display: grid; grid-template-columns: fit-content(40%) 1fr; gap: .2rem 1rem; }
dd { margin: 0; }
figure { margin: 0; min-width: 0; } .charts { display: flex; flex-wrap: wrap; gap: 1.25rem; }
.bars { display: block; max-width: 100%; height: auto; margin: .4rem 0; } .bars rect { fill: var(--accent); }
.bars text { fill: var(--dim); font-size: 9px; text-anchor: middle; }
@media (max-width: 40rem) { .bar { display: none; } th, td { padding: .35rem .5rem; } }
@media print { nav, audio, .skip { display: none; } }
"""
