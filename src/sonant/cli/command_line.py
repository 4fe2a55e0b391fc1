"""A command line from a Python function: its signature is the syntax, its docstring the help.

    def embed(source: str, *, output: Path, layer: int | Literal["last", "all"] = "last", json: bool = False) -> int:
        '''Turn recordings into vectors.

        A longer text, if there is more to say.

        Args:
            source (FILE|FOLDER|MANIFEST|-): what to read.
            output (-o OUT): where to write.
            layer (N|last|all): which hidden state to keep.
            json: print the answer as JSON.

        Examples:
            sonant embed speech.wav -o speech.npy
        '''

Ordinary parameters are positional, keyword-only ones are options (`max_seconds` becomes `--max-seconds`), `*names` takes
the rest. The brackets after a parameter's name hold a short flag, a word for its value, or both.

Plain argparse rather than jsonargparse: jsonargparse spells options with underscores, needs another package to read
docstrings, prints types such as `Union[int, Literal['last', 'all']]` as help, and takes 0.14 s to import; a signature
with simple types does not need what it can do beyond that.
"""

import argparse
import inspect
import os
import re
import textwrap
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

from sonant.errors import ConfigurationError, UnknownName


def call(function: Callable[..., int | None], verb: str, arguments: Sequence[str], *, below: Mapping[str, str]) -> int:
    """Parse the arguments of one verb, call its function and return the exit code (None counts as 0).

    `below` holds the verbs that extend this one ("models show" extends "models"), each with its summary.
    Leaves by SystemExit after --help and wrong use; raises UnknownName for an option or a verb that does not exist.
    """
    parser = build_parser(function, verb, below=below)
    given, left = parser.parse_known_intermixed_args(list(arguments))
    if left:
        _refuse(left, parser, verb, below)
    positional: list[Any] = []
    options: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        value = getattr(given, parameter.name)
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional.extend(value)
        elif parameter.kind is parameter.KEYWORD_ONLY:
            options[parameter.name] = value
        else:
            positional.append(value)
    return function(*positional, **options) or 0


def build_parser(function: Callable[..., int | None], verb: str, *, below: Mapping[str, str]) -> argparse.ArgumentParser:
    """The argparse parser of one verb."""
    docs = Docs.read(function)
    parser = _Parser(prog=f"sonant {verb}", add_help=False, allow_abbrev=False, formatter_class=_Formatter)
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    for parameter in parameters:
        _add(parser, parameter, docs)
    parser.add_argument("-h", "--help", action="help", help="print this and leave")
    parser.usage = _usage(parser)
    parser.description = "\n\n".join(_fill(paragraph) for paragraph in docs.description)
    epilogue = ["examples:", *(f"  {line}" for line in docs.examples)] if docs.examples else []
    if below:
        epilogue += ["", "see also:", *(f"  sonant {name}: {summary}" for name, summary in below.items())]
    parser.epilog = "\n".join(epilogue).replace("%", "%%")
    return parser


def overview(verbs: Mapping[str, str]) -> str:
    """What `sonant` alone prints."""
    width = max(map(len, verbs))
    lines = [f"  {name:{width}}  {summary}" for name, summary in verbs.items()]
    return "\n".join(
        [
            "Self-supervised speech models: pretrain, load, run.",
            "",
            "usage: sonant COMMAND ...",
            "",
            *lines,
            "",
            "sonant COMMAND --help explains one command; sonant --version prints the version.",
        ]
    )


@dataclass(frozen=True)
class ParameterDocs:
    """What a docstring says of one parameter."""

    text: str = ""
    flag: str | None = None  # "-o"
    word: str | None = None  # "OUT"


@dataclass(frozen=True)
class Docs:
    """A docstring in parts: paragraphs, one entry a parameter, and example commands."""

    description: list[str] = field(default_factory=list)
    parameters: dict[str, ParameterDocs] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, function: Callable[..., Any]) -> "Docs":
        """Take the docstring of a function apart; sections are headed `Args:` and `Examples:`, others are left out."""
        pieces = re.split(r"^(\w+):\n(?=[ ]|\n)", (inspect.getdoc(function) or "") + "\n", flags=re.MULTILINE)
        sections = dict(zip(pieces[1::2], pieces[2::2], strict=True))
        parameters: dict[str, ParameterDocs] = {}
        # An entry starts at the section's own indentation; deeper lines continue it.
        for entry in re.split(r"\n(?=\S)", textwrap.dedent(sections.get("Args", "")).strip()):
            found = re.match(r"\*{0,2}(?P<name>\w+)\s*(?:\((?P<brackets>[^()]*)\))?:\s*(?P<text>.*)", entry, re.DOTALL)
            if found:
                words = (found["brackets"] or "").split()
                flag = words.pop(0) if words and re.fullmatch(r"-\w", words[0]) else None
                text = " ".join(found["text"].split())
                parameters[found["name"]] = ParameterDocs(text, flag, " ".join(words) or None)
        examples = [line.strip() for line in sections.get("Examples", "").splitlines() if line.strip()]
        return cls([part for part in re.split(r"\n\s*\n", pieces[0].strip()) if part], parameters, examples)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Leaves room for long option names, so that most options fit on one line."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=_width())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.format_usage()}{self.prog}: {message}\nSee {self.prog} --help.\n")


def _add(parser: argparse.ArgumentParser, parameter: inspect.Parameter, docs: Docs) -> None:
    """One parameter of the function becomes one argument of the parser."""
    about = docs.parameters.get(parameter.name, ParameterDocs())
    annotation = str if parameter.annotation is parameter.empty else parameter.annotation
    has_default = parameter.default is not parameter.empty
    default = parameter.default if has_default else None
    text = about.text.replace("%", "%%")
    if has_default and default not in (None, False, (), "") and not isinstance(default, bool):
        text += f" (default: {str(default).replace('%', '%%')})"
    option = "--" + parameter.name.strip("_").replace("_", "-")
    if parameter.kind is parameter.KEYWORD_ONLY:
        names = [about.flag, option] if about.flag else [option]
        if annotation is bool:
            action = argparse.BooleanOptionalAction if default else "store_true"
            parser.add_argument(*names, dest=parameter.name, action=action, default=default, help=text)
            return
        word = about.word or _word(annotation, parameter.name)
        convert = _converter(annotation)
        parser.add_argument(
            *names, dest=parameter.name, default=default, required=not has_default, type=convert, metavar=word, help=text
        )
        return
    item, nargs = annotation, "?" if has_default else None
    if parameter.kind is parameter.VAR_POSITIONAL:
        nargs = "*"
    elif get_origin(annotation) in (list, Sequence):
        item, nargs = get_args(annotation)[0], "*" if has_default else "+"
    word = about.word or _word(item, parameter.name)
    parser.add_argument(parameter.name, nargs=nargs, default=default, type=_converter(item), metavar=word, help=text)


def _word(annotation: Any, name: str) -> str:
    """What stands for a value in the help: its choices where there are few, else the parameter's name."""
    if get_origin(annotation) is Literal:
        return "|".join(map(str, get_args(annotation)))
    return name.strip("_").upper()


def _converter(annotation: Any) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return parse(text, annotation)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def parse(text: str, annotation: Any) -> Any:
    """Read one word of a command line as the given type: str, int, float, bool, Path, Literal, a union, a list (with commas).

    Unions are tried in order. Raises ValueError with what was expected.
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in (str, Path, Any):
        return Path(text) if annotation is Path else text
    if annotation in (int, float):
        try:
            return annotation(text)
        except ValueError:
            raise ValueError(f"{text!r} is not {_describe(annotation)}") from None
    if annotation is bool:
        if text.lower() in ("true", "yes", "on", "1"):
            return True
        if text.lower() in ("false", "no", "off", "0"):
            return False
        raise ValueError(f"{text!r} is not {_describe(annotation)}")
    if origin is Literal:
        for choice in inner:
            if text == str(choice):
                return choice
        near = get_close_matches(text, [str(choice) for choice in inner], n=1, cutoff=0.5)
        hint = f". Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{text!r} is not {_describe(annotation)}{hint}")
    if origin in (Union, types.UnionType):
        for member in inner:
            try:
                if member is not type(None):
                    return parse(text, member)
            except ValueError:
                continue
        raise ValueError(f"{text!r} is not {_describe(annotation)}")
    if origin in (list, tuple, Sequence):
        items = [parse(part.strip(), inner[0]) for part in text.split(",")]
        return tuple(items) if origin is tuple else items
    raise TypeError(f"A command line cannot carry a parameter of type {annotation!r}.")


def _describe(annotation: Any) -> str:
    """A type in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        names = [repr(choice) if isinstance(choice, str) else str(choice) for choice in inner]
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    if origin in (Union, types.UnionType):
        return " or ".join(_describe(member) for member in inner if member is not type(None))
    if origin in (list, tuple, Sequence):
        return "several of these with commas between: " + _describe(inner[0])
    return {int: "a whole number", float: "a number", bool: "yes or no"}.get(annotation, "text")


def _refuse(left: Sequence[str], parser: argparse.ArgumentParser, verb: str, below: Mapping[str, str]) -> NoReturn:
    """Say what is wrong with the arguments that found no place."""
    options = [name for action in parser._actions for name in action.option_strings]
    for argument in left:
        if argument.startswith("-") and argument != "-":
            raise UnknownName(f"option of sonant {verb}", argument.partition("=")[0], options)
    if below:
        raise UnknownName("command", f"{verb} {left[0]}", [verb, *below])
    raise ConfigurationError(
        f"sonant {verb} was given {len(left)} argument(s) too many: {' '.join(left)}. Expected: {parser.usage}. "
        "A name with spaces in it needs quotes."
    )


def _usage(parser: argparse.ArgumentParser) -> str:
    """`sonant convert SRC DST --to FORMAT [options]`: what must be given, in full, and no more."""
    words = [parser.prog]
    for action in parser._actions:
        word = str(action.metavar)
        if action.option_strings and action.required:
            words.append(f"{action.option_strings[0]} {word}")
        elif not action.option_strings:
            words.append({None: word, "?": f"[{word}]", "*": f"[{word} ...]", "+": f"{word} ..."}[action.nargs])
    return " ".join([*words, "[options]"]).replace("%", "%%")


def _fill(paragraph: str) -> str:
    """Wrap a paragraph to the terminal; lists and tables (indented or marked lines) stay as they are."""
    lines = paragraph.splitlines()
    if any(line.startswith((" ", "- ", "* ")) for line in lines):
        return paragraph
    return textwrap.fill(" ".join(lines), width=_width())


def _width() -> int:
    return min(get_terminal_size().columns if "COLUMNS" in os.environ or os.isatty(1) else 100, 110)
