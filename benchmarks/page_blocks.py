"""Blocks of a page that a command writes, between comments that name them."""

import re
from collections.abc import Iterable
from pathlib import Path


def write_block(page: Path, name: str, lines: Iterable[str]) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- end of NAME -->`.

    Raises:
        ValueError: the page has no such block.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    block = "\n".join([begin, *lines, end])
    text, found = re.subn(f"{begin}.*{end}", lambda _: block, page.read_text("utf-8"), flags=re.DOTALL)
    if not found:
        raise ValueError(f"{page} has no block between {begin} and {end}.")
    page.write_text(text, "utf-8")
