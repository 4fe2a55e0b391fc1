"""The sources of a recipe's settings, printed."""

from dataclasses import asdict

from rich.console import RenderableType
from rich.text import Text

from sonant.cli.console import make_console, print_parts
from sonant.cli.json_output import print_json
from sonant.recipes.sources import KINDS, Run, SettingSource, grouped, sourced


def print_sources(recipe: str, run: Run, *, as_json: bool) -> None:
    """Print every setting of a run of a recipe with its source."""
    rows = sourced(recipe, run)
    if as_json:
        print_json({row.name: {"value": row.value} | asdict(row.source) for row in rows}, indent=2)
        return
    parts: list[RenderableType] = [Text(recipe, style="bold")]
    for key, values, source in grouped(rows):
        parts += [Text.assemble(("\n" + key, "bold"), f"  {values}"), Text(f"  {source.kind}: {source.where}", "dim")]
        if source.otherwise:
            parts.append(Text(f"  otherwise: {source.otherwise}{_how(source)}", "dim"))
    used = {row.source.kind for row in rows}
    parts += ["", *(Text(f"{kind}: {means}", "dim") for kind, means in KINDS.items() if kind in used)]
    print_parts(make_console(), parts)


def _how(source: SettingSource) -> str:
    return f"; to follow it: {' '.join(source.changes)}" if source.changes else ""
