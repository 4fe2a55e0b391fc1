"""The command line: the table of commands, and their shared behavior.

A command is a typed function with a docstring (see `command_line`). Its module is imported only when it is called, so
that `sonant --help` is fast.
"""

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from errno import ENOSPC
from importlib import import_module
from io import TextIOWrapper
from typing import Any, NamedTuple

from sonant import __version__
from sonant.cli.command_line import VerbFunction, call, overview
from sonant.errors import ConfigurationError, RankError, SonantError, SonantWarning, UnknownName, one_line


class Verb(NamedTuple):
    """The function of a command, and its summary in the overview."""

    function: str  # "module:function"
    summary: str


VERBS: dict[str, Verb] = {
    "embed": Verb("sonant.cli.embed:embed", "turn recordings into vectors"),
    "units": Verb("sonant.cli.units:units", "turn recordings into discrete units"),
    "transcribe": Verb("sonant.cli.transcribe:transcribe", "write down what is said"),
    "verify": Verb("sonant.cli.verify:verify", "say whether two recordings are of one voice"),
    "diarize": Verb("sonant.cli.diarize:diarize", "find out who speaks when"),
    "enhance": Verb("sonant.cli.enhance:enhance", "take noise away from speech"),
    "separate": Verb("sonant.cli.separate:separate", "make a recording of each speaker of a recording"),
    "voices": Verb("sonant.cli.voice_files:list_voices", "list the people who are recognized by their voices"),
    "voices list": Verb("sonant.cli.voice_files:list_voices", "list the people in a file of voices"),
    "voices enroll": Verb("sonant.cli.voices:enroll", "enroll recordings of a person"),
    "voices identify": Verb("sonant.cli.voices:identify", "say whose voice a recording is, or that it is unknown"),
    "voices merge": Verb("sonant.cli.voice_files:merge", "make one person of two"),
    "voices rename": Verb("sonant.cli.voice_files:rename", "rename a person"),
    "voices forget": Verb("sonant.cli.voice_files:forget", "delete a person with all recordings"),
    "voices export": Verb("sonant.cli.voice_files:export", "print all that is stored, as JSON"),
    "voices calibrate": Verb("sonant.cli.voices:calibrate", "calibrate comparisons on recordings of known speakers"),
    "align": Verb("sonant.cli.align:align", "find when each word of a text is said"),
    "classify": Verb("sonant.cli.classify:classify", "say of whole recordings what a head was trained for"),
    "search": Verb("sonant.cli.search:search", "find where a recorded word or phrase is said"),
    "manifest": Verb("sonant.cli.manifest:manifest", "list a folder of recordings, with durations and labels"),
    "pretrain": Verb("sonant.cli.pretrain:pretrain", "train a model on raw speech, without labels"),
    "pretrain curves": Verb("sonant.cli.curves:curves", "plot the metrics of runs of pretraining"),
    "train": Verb("sonant.cli.train:train", "train a model on labels, or a language model on text"),
    "self-train": Verb("sonant.cli.self_train:self_train", "train on recordings with and without transcripts"),
    "evaluate": Verb("sonant.cli.evaluate:evaluate", "measure models on recordings with labels"),
    "evaluate diarization": Verb(
        "sonant.cli.evaluate_diarization:evaluate_diarization", "measure speaker turns against the true ones"
    ),
    "evaluate asr": Verb("sonant.cli.evaluate:evaluate_asr", "measure speech recognition, or compare two systems"),
    "evaluate asv": Verb("sonant.cli.evaluate_asv:evaluate_asv", "measure speaker verification on trials"),
    "evaluate maeb": Verb("sonant.cli.evaluate_maeb:evaluate_maeb", "measure models by the protocols of MAEB"),
    "evaluate superb": Verb("sonant.cli.superb:evaluate_superb", "measure models on the tasks of SUPERB"),
    "analyze": Verb("sonant.cli.analyze:analyze", "find out what each layer of a model knows"),
    "tune-decoder": Verb("sonant.cli.tune_decoder:tune_decoder", "search the weights of a language model in decoding"),
    "lm": Verb("sonant.cli.lm:language_models", "train and measure language models of text"),
    "lm train": Verb("sonant.cli.lm:train", "train an n-gram model"),
    "lm score": Verb("sonant.cli.lm:score", "measure the perplexity of texts"),
    "lm convert": Verb("sonant.cli.lm:convert", "rewrite a language model so that it loads at once"),
    "convert": Verb("sonant.cli.convert:convert", "rewrite a checkpoint in another toolkit's format"),
    "bench": Verb("sonant.cli.bench:bench", "measure speed and memory on this machine, beside other implementations"),
    "serve": Verb("sonant.cli.serve:serve", "serve models over HTTP, with accounts and a web catalog"),
    "users": Verb("sonant.cli.users:list_users", "list the users of a server"),
    "users create": Verb("sonant.cli.users:create_user", "make an account"),
    "users grant": Verb("sonant.cli.users:grant_credit", "give a user credit"),
    "users change": Verb("sonant.cli.users:change_user", "shut a user out, make an administrator, set a password"),
    "users delete": Verb("sonant.cli.users:delete_user", "delete an account"),
    "keys": Verb("sonant.cli.keys:list_keys", "list the API keys of a server"),
    "keys create": Verb("sonant.cli.keys:create_key", "make an API key"),
    "keys revoke": Verb("sonant.cli.keys:revoke_key", "end an API key"),
    "models": Verb("sonant.cli.models:list_models", "list the models that sonant knows"),
    "models show": Verb("sonant.cli.models:show_model", "print the card of one model"),
    "models compare": Verb("sonant.cli.models:compare_models", "print models side by side"),
}


EXIT_CODES = {
    0: "success",
    1: "some inputs failed, or an error stopped the command",
    2: "wrong use: an unknown command, option or value",
    130: "interrupted (Ctrl-C)",
    141: "the program that read the output ended",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; print error messages to stderr."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for paths that are not UTF-8
    try:
        with _short_warnings():
            code = _run(arguments)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # raised by argparse after --help and after wrong use
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        print("sonant: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reading process ended: `sonant models | head -1`
        # Avoid a second error when Python closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except RankError:  # the process that failed first shows its error
        return 1
    except (SonantError, OSError) as error:
        if os.environ.get("SONANT_DEBUG", "0") not in ("", "0"):
            raise
        print(f"sonant: {_message(error)}", file=sys.stderr)
        return 2 if isinstance(error, UnknownName | ConfigurationError) else 1


def find_function(verb: str) -> VerbFunction:
    """Return the Python function of a command."""
    module, _, name = VERBS[verb].function.partition(":")
    function: VerbFunction = getattr(import_module(module), name)
    return function


def _run(arguments: list[str]) -> int:
    match arguments:
        case [] | ["-h" | "--help" | "help"]:
            print(overview({verb: row.summary for verb, row in VERBS.items()}))
            return 0
        case ["--version" | "-V"]:
            print("sonant", __version__)
            return 0
        case ["help", *about]:
            return _run([*about, "--help"])
    verb, rest = _split(arguments)
    below = {name: row.summary for name, row in VERBS.items() if name.startswith(verb + " ")}
    return call(find_function(verb), verb, rest, below=below)


def _split(arguments: list[str]) -> tuple[str, list[str]]:
    """Return the longest command that the arguments begin with, and the remaining arguments."""
    for words in (2, 1):
        verb = " ".join(arguments[:words])
        if verb in VERBS:
            return verb, arguments[words:]
    if arguments[0].startswith("-"):
        raise UnknownName("option", arguments[0], ["--help", "--version"])
    raise UnknownName("command", arguments[0], VERBS)


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Print each of sonant's warnings once, without its line of source."""
    usual, shown = warnings.showwarning, set[str]()

    def show(message: Any, category: type[Warning], *where: Any, **how: Any) -> None:
        if not issubclass(category, SonantWarning):
            usual(message, category, *where, **how)
        elif str(message) not in shown:
            shown.add(str(message))
            print(f"sonant: warning: {message}", file=sys.stderr)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = usual


def _message(error: Exception) -> str:
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename:
        return f"{one_line(str(error.filename))}: a file is where a folder is needed. Name another path."
    if isinstance(error, OSError) and not isinstance(error, SonantError) and error.strerror:
        where = f"{error.strerror}: {one_line(str(error.filename))}" if error.filename else error.strerror
        return f"{where}. Make room, or write to another place." if error.errno == ENOSPC else where
    return str(error)
