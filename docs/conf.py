"""Sphinx: MyST pages beside this file, API pages written from the docstrings at every build."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from api_pages import write_api_pages
from command_reference import write_command_page
from server_reference import write_server_page
from superb_tables import write_superb_tables

import sonant
from recipes import write_tables

project = "sonant"
copyright = "The sonant developers"
author = "The sonant developers"
version = release = sonant.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
nb_execution_mode = "off"  # outputs are those in the notebooks: docs/run_notebooks.py
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"sonant {version}"
html_theme_options = {"navigation_with_keys": True}

toc_object_entries = False  # every page would copy thousands of names into its menu: most of the time of a build
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_use_type_comments = False
autodoc_type_aliases = {  # named, not spelled out: they are unions of a dozen types
    name: name for name in ("AudioInput", "AudioInputs", "Container", "Given", "Answers", "OneAnswer", "ManyAnswers")
}
autodoc_inherit_docstrings = False
autodoc_mock_imports = ["triton", "mteb", "mseb"]  # what is written for them is described without them, too
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes of dataclasses are documented once, as members
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100

SECTION = re.compile(r"^(Args|Arguments|Attributes|Examples?|Keyword Args|Note|Raises|Returns|Warning|Yields):$")
FIELD = re.compile(r"^:(?P<kind>ivar|param) (?P<names>[^\s,:]+(?:, [^\s,:]+)+): (?P<text>.*)$")
LIST_ITEM = re.compile(r"^\s*([-*+]|\d+[.)])\s")


def plain_text_to_rest(_app, _what, _name, _obj, _options, lines: list[str]) -> None:
    """Our docstrings are plain text with `code` in them; reST would trip over their stars, bars and drawings."""
    written: list[str] = []
    literal = section = False
    before = ""
    for line in lines:
        indented = line.startswith(" ")
        if line.strip() and not indented:
            literal, section = False, bool(SECTION.match(line)) or bool(LIST_ITEM.match(line))
        elif indented and not literal and not section and not before.strip():
            written += ["::", ""]  # an indented paragraph is a drawing or a sample of code
            literal = True
        written.append(line if literal else escape(line))
        before = line
    lines[:] = written


def escape(line: str) -> str:
    """Double the backticks, and take the meaning from what reST would read as markup outside of them."""
    if LIST_ITEM.match(line):
        mark, rest = line[: (end := LIST_ITEM.match(line).end())], line[end:]
        return mark + escape(rest)
    pieces = re.split(r"(`+[^`]+`+)", line)
    pieces[0::2] = [re.sub(r"(?<!\\)([*|])", r"\\\1", re.sub(r"(\w)_(?!\w)", r"\1\\_", text)) for text in pieces[0::2]]
    pieces[1::2] = [f"``{code.strip('`')}``" for code in pieces[1::2]]
    return "".join(pieces)


def fields_of_one_name(_app, _what, _name, _obj, _options, lines: list[str]) -> None:
    """Repeat what is said of several names, as in `low, high: ...`, for each: Sphinx takes the first for a type."""
    written: list[str] = []
    while lines:
        line = lines.pop(0)
        found = FIELD.match(line)
        more = []
        while found and lines and lines[0].startswith(" "):
            more.append(lines.pop(0))
        names = found["names"].split(", ") if found else []
        for name in names:
            written += [f":{found['kind']} {name}: {found['text']}", *more]
        written += [] if names else [line]
    lines[:] = written


def setup(app) -> None:
    write_api_pages(Path(__file__).parent / "api")
    write_command_page(Path(__file__).parent / "api" / "cli.md")
    write_server_page(Path(__file__).parent / "api" / "server.md")
    write_tables(Path(__file__).parent / "api" / "recipes.inc")
    write_superb_tables(Path(__file__).parent / "api")
    app.connect("autodoc-process-docstring", plain_text_to_rest, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", fields_of_one_name, priority=600)  # after it
