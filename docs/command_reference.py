"""Writes the page of the command line from the parsers, at every build: it cannot be out of date."""

import argparse
import inspect
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path

from sonant.cli import EXIT_CODES, VERBS, find_function
from sonant.cli.command_line import Docs, build_parser

SHARED = "sonant.cli.options"  # its options are those of many commands


def write_command_page(path: Path) -> None:
    """Write every command with its arguments, options, defaults and examples."""
    path.write_text(command_page(), encoding="utf-8")


def command_page() -> str:
    """Return what `write_command_page` writes."""
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    return INTRODUCTION.format(codes=codes, verbs=overview()) + "\n\n".join(map(section, VERBS)) + "\n"


def overview() -> str:
    return "\n".join(f"| [`sonant {verb}`](#{anchor(verb)}) | {row.summary} |" for verb, row in VERBS.items())


def anchor(verb: str) -> str:
    return "sonant-" + verb.replace(" ", "-")


def section(verb: str) -> str:
    """One command; `sonant voices enroll` stands below `sonant voices`."""
    function = find_function(verb)
    parser, docs = build_parser(function, verb, below={}), Docs.read(function)
    parts = [f"{'###' if ' ' in verb else '##'} `sonant {verb}`", f"```text\n{parser.usage}\n```"]
    parts += [paragraph if is_plain(paragraph) else f"```text\n{paragraph}\n```" for paragraph in written(docs)]
    own, shared = [], []
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        kind = parameter.annotation
        names = list(inspect.signature(kind).parameters) if is_dataclass(kind) else [parameter.name]
        of_many = is_dataclass(kind) and kind.__module__ == SHARED
        (shared if of_many else own).extend(described(parser.arguments[name]) for name in names)
    parts += own
    if shared:
        summary = "Options of the model and of the work, as other commands have them"
        parts += [f"<details><summary>{summary}</summary>", *shared, "</details>"]
    if docs.examples:
        parts.append("```console\n" + "\n".join(f"$ {line}" for line in docs.examples) + "\n```")
    return "\n\n".join(parts)


def written(docs: Docs) -> Iterator[str]:
    for paragraph in docs.description:
        yield markdown(" ".join(paragraph.split())) if is_plain(paragraph) else paragraph


def is_plain(paragraph: str) -> bool:
    """Lists and tables, whose lines are indented or marked, stay as they are."""
    return not any(line.startswith((" ", "- ", "* ")) for line in paragraph.splitlines())


def described(action: argparse.Action) -> str:
    """An argument or option with what it means, as an entry of a definition list."""
    names = ", ".join(f"`{name}`" for name in action.option_strings)
    word = "" if action.nargs == 0 or not action.metavar else f"`{action.metavar}`"
    needed = action.required and action.option_strings
    term = " ".join(filter(None, [names, word, "(required)" if needed else ""]))
    return f"{term}\n: {markdown((action.help or '').replace('%%', '%')) or '–'}"


def markdown(text: str) -> str:
    """Options and names of files as code; nothing else is markup."""
    text = re.sub(r"([\\*_<>\[\]$|#])", r"\\\1", text)
    return re.sub(r"(?<![\w`-])(-{1,2}[a-z](?:[\w-]|\\_)*)", lambda found: f"`{found[1]}`".replace("\\", ""), text)


INTRODUCTION = """# Command line

Written from the parsers of the commands, with every build of these pages. `sonant COMMAND --help` prints the same.

Options may stand before or after arguments; what follows `--` is an argument. An option that takes a list may be given
several times, or once with commas between the values.

| exit code | means |
|---|---|
{codes}

`SONANT_DEBUG=1` in the environment shows the traceback of an error in place of its message.

| command | does |
|---|---|
{verbs}

"""
