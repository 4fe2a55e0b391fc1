"""Command lines from Python functions: the signature is the syntax, the docstring the help.

    def embed(source: str, *, output: Path, layer: int | Literal["last", "all"] = "last", json: bool = False) -> int:
        '''Turn recordings into vectors.

        Args:
            source (FILE|FOLDER|MANIFEST|-): what to read.
            output (-o OUT): where to write.
            layer (N|last|all): which hidden state to keep.
            json: print the answer as JSON.

        Examples:
            sonant embed speech.wav -o speech.npy
        '''

Positional parameters are arguments, keyword-only ones options (`max_seconds` is `--max-seconds`); `*names` takes any
number of arguments. Brackets after a parameter's name contain a short flag, a placeholder of its value, or both. A
keyword-only parameter whose type is a dataclass is a set of shared options, one per field, which `Attributes:` of the
class describes.

Built on argparse, not jsonargparse, which has underscores in options, needs another package for docstrings, shows types
such as `Union[int, Literal['last', 'all']]`, and takes 0.14 s to import.
"""  # noqa: D214

import argparse
import inspect
import os
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from shutil import get_terminal_size
from typing import Any, NoReturn, get_args, get_origin

from sonant.cli.values import is_list, parse, placeholder
from sonant.errors import ConfigurationError, UnknownName

VerbFunction = Callable[..., int | None]  # returns the exit code; None counts as 0


def call(function: VerbFunction, verb: str, arguments: Sequence[str], *, below: Mapping[str, str]) -> int:
    """Parse the arguments of one command, call its function and return the exit code.

    `below`: summaries of subcommands, such as "models show" of "models". Raises SystemExit after --help and wrong use,
    UnknownName for an unknown option or command.
    """
    parser = build_parser(function, verb, below=below)
    given, left = parser.parse_known_intermixed_args(_shield(arguments))
    if left:
        _refuse(left, parser, verb, below)
    positional: list[Any] = []
    options: dict[str, Any] = {}
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        kind = parameter.annotation
        if _is_shared(kind):
            shared = inspect.signature(kind).parameters
            options[parameter.name] = kind(**{name: getattr(given, name) for name in shared})
            continue
        value = getattr(given, parameter.name)
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional.extend(value)
        elif parameter.kind is parameter.KEYWORD_ONLY:
            options[parameter.name] = value
        else:
            positional.append(value)
    return function(*positional, **options) or 0


def _shield(arguments: Sequence[str]) -> list[str]:
    """Mark arguments after `--`, which argparse would parse as options if options and arguments are mixed."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    return [*arguments[:end], *(SHIELD + argument for argument in arguments[end + 1 :])]


def build_parser(function: VerbFunction, verb: str, *, below: Mapping[str, str]) -> "Parser":
    """Return the parser of one command."""
    docs = Docs.read(function)
    parser = Parser(verb)
    for parameter, about in arguments_of(function):
        parser.add(parameter, about)
    parser.finish()
    parser.description = "\n\n".join(_fill(paragraph) for paragraph in docs.description)
    sections = [["commands:", *_table(below)]] if below else []
    if docs.examples:
        sections.append(["examples:", *(f"  {line}" for line in docs.examples)])
    parser.epilog = "\n\n".join(map("\n".join, sections)).replace("%", "%%")
    return parser


def overview(verbs: Mapping[str, str]) -> str:
    """Return the output of `sonant` without arguments."""
    return "\n".join(
        [
            "Self-supervised speech models: pretrain, train, run, evaluate, serve.",
            "",
            "usage: sonant COMMAND ...",
            "",
            *_table(verbs),
            "",
            "sonant COMMAND --help explains one command; sonant --version prints the version.",
        ]
    )


def _table(verbs: Mapping[str, str]) -> list[str]:
    """Return a line for each command and its summary."""
    width = max(map(len, verbs))
    return [f"  {name:{width}}  {summary}" for name, summary in verbs.items()]


@dataclass(frozen=True)
class ParameterDocs:
    """The documentation of one parameter in a docstring."""

    text: str = ""
    flag: str | None = None  # "-o"
    word: str | None = None  # "OUT"


@dataclass(frozen=True)
class Docs:
    """The parts of a docstring: paragraphs, parameters, and example commands."""

    description: list[str] = field(default_factory=list)
    parameters: dict[str, ParameterDocs] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, function: Callable[..., Any]) -> "Docs":
        """Parse the docstring of a function or class; other sections are ignored."""
        pieces = re.split(r"^(\w+):\n(?=[ ]|\n)", (inspect.getdoc(function) or "") + "\n", flags=re.MULTILINE)
        sections = dict(zip(pieces[1::2], pieces[2::2], strict=True))
        described = sections.get("Args") or sections.get("Attributes", "")
        parameters: dict[str, ParameterDocs] = {}
        # An entry starts at the section's own indentation; deeper lines continue it.
        for entry in re.split(r"\n(?=\S)", textwrap.dedent(described).strip()):
            found = re.match(r"\*{0,2}(?P<name>\w+)\s*(?:\((?P<brackets>[^()]*)\))?:\s*(?P<text>.*)", entry, re.DOTALL)
            if found:
                words = (found["brackets"] or "").split()
                flag = words.pop(0) if words and re.fullmatch(r"-\w", words[0]) else None
                text = " ".join(found["text"].split())
                parameters[found["name"]] = ParameterDocs(text, flag, " ".join(words) or None)
        examples = [line.strip() for line in sections.get("Examples", "").splitlines() if line.strip()]
        return cls([part for part in re.split(r"\n\s*\n", pieces[0].strip()) if part], parameters, examples)


def _is_shared(annotation: Any) -> bool:
    """Return whether a type is a set of shared options."""
    return is_dataclass(annotation)


def arguments_of(function: VerbFunction) -> Iterator[tuple[inspect.Parameter, ParameterDocs]]:
    """Yield each parameter of a function, and each field of one that is a dataclass, with its documentation."""
    docs = Docs.read(function).parameters
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        kind = parameter.annotation
        if _is_shared(kind):
            bases = [base for base in reversed(kind.__mro__) if _is_shared(base)]
            shared = {name: about for base in bases for name, about in Docs.read(base).parameters.items()}
            for each in inspect.signature(kind, eval_str=True).parameters.values():
                yield each, shared.get(each.name, ParameterDocs())
        else:
            yield parameter, docs.get(parameter.name, ParameterDocs())


SHIELD = "\0"  # cannot occur in arguments


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """A formatter for long option names, which prints the placeholder once: `-o, --output OUT`."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=_width())

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        return f"{', '.join(action.option_strings)} {action.metavar}"


class _Gather(argparse.Action):
    """The action of a list option that may be given several times, whose values are concatenated."""

    def __call__(self, _: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:  # noqa: ARG002
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, values if before is self.default else before + values)


class Parser(argparse.ArgumentParser):
    """A parser of a function's parameters."""

    def __init__(self, verb: str) -> None:
        super().__init__(prog=f"sonant {verb}", add_help=False, allow_abbrev=False, formatter_class=_Formatter)
        self.options: list[str] = []
        self._words = [self.prog]  # of the usage line: required arguments only
        self._positional = self.add_argument_group("arguments")
        self._optional = self.add_argument_group("options")

    @property
    def arguments(self) -> dict[str, argparse.Action]:
        """Arguments and options by the names of the function's parameters, and `help`."""
        return {action.dest: action for action in self._actions}

    def add(self, parameter: inspect.Parameter, docs: ParameterDocs) -> None:
        """Add an argument for one parameter of the function."""
        annotation = str if parameter.annotation is parameter.empty else parameter.annotation
        text = docs.text.replace("%", "%%")
        if not isinstance(parameter.default, bool) and parameter.default not in (parameter.empty, None, (), ""):
            default = f"{parameter.default:g}" if isinstance(parameter.default, float) else str(parameter.default)
            text += f" (default: {default.replace('%', '%%')})"
        if parameter.kind is parameter.KEYWORD_ONLY:
            self._add_option(parameter, annotation, docs, text)
        else:
            self._add_positional(parameter, annotation, docs, text)

    def finish(self) -> None:
        """Add --help and the usage line, after the last parameter."""
        self._optional.add_argument("-h", "--help", action="help", help="print this and leave")
        self.options += ["-h", "--help"]
        self.usage = " ".join([*self._words, "[options]"]).replace("%", "%%")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.format_usage()}{self.prog}: {message}\nSee {self.prog} --help.\n")

    def _add_option(self, parameter: inspect.Parameter, annotation: Any, docs: ParameterDocs, text: str) -> None:
        name = "--" + parameter.name.strip("_").replace("_", "-")
        names = [docs.flag, name] if docs.flag else [name]
        self.options += names
        if annotation is bool:
            action = argparse.BooleanOptionalAction if parameter.default is True else "store_true"
            added = self._optional.add_argument(
                *names, dest=parameter.name, action=action, default=parameter.default, help=text
            )
            self.options += [option for option in added.option_strings if option not in names]
            return
        word = docs.word or placeholder(annotation, parameter.name)
        required = parameter.default is parameter.empty
        default = None if required else parameter.default
        self._optional.add_argument(
            *names,
            dest=parameter.name,
            action=_Gather if is_list(annotation) else "store",
            type=_converter(annotation, default),
            default=default,
            required=required,
            metavar=word,
            help=text,
        )
        if required:
            self._words.append(f"{names[0]} {word}")

    def _add_positional(self, parameter: inspect.Parameter, annotation: Any, docs: ParameterDocs, text: str) -> None:
        has_default = parameter.default is not parameter.empty
        item, nargs = annotation, "?" if has_default else None
        if parameter.kind is parameter.VAR_POSITIONAL:
            nargs = "*"
        elif get_origin(annotation) in (list, Sequence):
            item, nargs = get_args(annotation)[0], "*" if has_default else "+"
        word = docs.word or placeholder(item, parameter.name)
        default = parameter.default if has_default else None
        self._positional.add_argument(
            parameter.name, nargs=nargs, type=_converter(item, default), default=default, metavar=word, help=text
        )
        self._words.append({None: word, "?": f"[{word}]", "*": f"[{word} ...]", "+": f"{word} ..."}[nargs])


def _converter(annotation: Any, default: Any = None) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        if text == default:  # argparse converts defaults that are text
            return text
        try:
            return parse(text.removeprefix(SHIELD), annotation)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _refuse(left: Sequence[str], parser: Parser, verb: str, below: Mapping[str, str]) -> NoReturn:
    """Raise the error for arguments that fit no parameter."""
    for argument in left:
        if argument.startswith("-") and argument != "-":
            raise UnknownName(f"option of sonant {verb}", argument.partition("=")[0], parser.options)
    if below:
        raise UnknownName("command", f"{verb} {left[0]}", [verb, *below])
    raise ConfigurationError(
        f"sonant {verb} was given more than it takes: {' '.join(left).replace(SHIELD, '')}. Expected: {parser.usage}. "
        "A name with spaces in it needs quotes."
    )


def _fill(paragraph: str) -> str:
    """Wrap a paragraph to the terminal; lists and tables (indented or marked lines) stay as they are."""
    lines = paragraph.splitlines()
    if any(line.startswith((" ", "- ", "* ")) for line in lines):
        return paragraph
    return textwrap.fill(" ".join(lines), width=_width())


def _width() -> int:
    return min(get_terminal_size().columns if "COLUMNS" in os.environ or os.isatty(1) else 100, 110)
