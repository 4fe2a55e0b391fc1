"""The manners that every verb shares: help, exit codes, messages, and a quick start."""

import errno
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import pytest

import sonant
from sonant import cli
from sonant.errors import (
    AudioNotFound,
    AudioWarning,
    CheckpointMismatch,
    ConfigurationError,
    MissingExtra,
    UnknownName,
)

verbs = pytest.mark.parametrize("verb", cli.VERBS)


def sonant_process(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sonant", *arguments], capture_output=True, text=True, check=False, **options
    )


@pytest.fixture
def verb(monkeypatch) -> Callable[[Callable[..., int | None]], None]:
    """Put a function in place of every verb's."""

    def place(function: Callable[..., int | None]) -> None:
        monkeypatch.setattr(cli, "find_function", lambda _: function)

    return place


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_the_overview_has_a_line_for_every_verb(arguments: list[str], capsys):
    assert cli.main(arguments) == 0
    lines = [line.split(maxsplit=1)[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert lines == [name.split()[0] for name in cli.VERBS]


def test_the_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"sonant {sonant.__version__}\n"


def test_the_overview_is_quick_and_imports_no_torch():
    code = """
import sys
from sonant.cli import main
main(["--help"])
sys.exit(bool({"torch", "numpy", "rich"} & set(sys.modules)))
"""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - began < 1.0  # 0.05 s on an idle machine; the tests' machine is seldom idle


@verbs
def test_every_verb_has_a_whole_help_without_torch(verb: str):
    code = f"""
import sys
from sonant.cli import main
code = main([*{verb.split()!r}, "--help"])
sys.exit(3 if "torch" in sys.modules else code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or "torch was imported"
    assert done.stdout.startswith(f"usage: sonant {verb}")
    assert f"examples:\n  sonant {verb}" in done.stdout


@verbs
def test_every_parameter_of_a_verb_is_explained(verb: str):
    from sonant.cli.command_line import arguments_of

    assert all(about.text for _, about in arguments_of(cli.find_function(verb)))


@verbs
def test_help_after_the_word_help(verb: str, capsys):
    assert cli.main(["help", *verb.split()]) == 0
    assert capsys.readouterr().out.startswith(f"usage: sonant {verb}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["embde"], "Did you mean 'embed'"),
        (["--lyaer"], "no option '--lyaer'"),
        (["models", "shwo", "wavlm-base"], "Did you mean 'models show'"),
        (["models", "--famly", "x"], "Did you mean '--family'"),
        (["models", "--family", "wavml"], "Did you mean 'wavlm'"),
        (["models", "show", "wavlm-lagre"], "Did you mean 'wavlm-large'"),
        (["models", "show"], "required: ID"),
        (["models", "show", "wavlm-base", "hubert-base-ls960"], "more than it takes"),
    ],
)
def test_wrong_use_is_2_with_the_cure_on_stderr(arguments: list[str], words: str, capsys):
    assert cli.main(arguments) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert shown.out == ""
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (AudioNotFound("There is no file a.wav."), 1, "There is no file a.wav."),
        (CheckpointMismatch("two tensors are missing"), 1, "two tensors are missing"),
        (MissingExtra("av", extra="audio", purpose="m4a"), 1, "pip install 'av"),
        (UnknownName("layer", "lsat", ["last"]), 2, "Did you mean 'last'"),
        (ConfigurationError("dim must be even"), 2, "dim must be even"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "out/a"), 1, "No such file or directory: out/a"),
        (FileExistsError(errno.EEXIST, "File exists", "a.txt"), 1, "a.txt: a file is where a folder is needed"),
        (OSError("disk is full"), 1, "disk is full"),
    ],
)
def test_errors_on_purpose_are_one_clean_message(error: Exception, code: int, message: str, verb, capsys, monkeypatch):
    def fail() -> None:
        raise error

    verb(fail)
    monkeypatch.delenv("SONANT_DEBUG", raising=False)
    assert cli.main(["embed"]) == code
    shown = capsys.readouterr()
    assert shown.err.startswith("sonant: ")
    assert message in shown.err
    assert len(shown.err.splitlines()) == 1
    assert shown.out == ""
    monkeypatch.setenv("SONANT_DEBUG", "1")
    with pytest.raises(type(error)):
        cli.main(["embed"])


def test_mistakes_of_ours_keep_their_traceback(verb):
    def fail() -> None:
        raise ZeroDivisionError

    verb(fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(["embed"])


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1)])
def test_the_code_of_the_verb_is_the_code_of_the_program(returned: int | None, code: int, verb):
    verb(lambda: returned)
    assert cli.main(["embed"]) == code


def test_an_interrupt_is_130(verb, capsys):
    def interrupt() -> None:
        raise KeyboardInterrupt

    verb(interrupt)
    assert cli.main(["embed"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_warnings_of_ours_are_one_clean_line_each(verb, capsys):
    def warn() -> None:
        for _ in range(2):
            warnings.warn_explicit("a.wav: odd", AudioWarning, "reader.py", 1)  # from one place, then another
            warnings.warn_explicit("a.wav: odd", AudioWarning, "reader.py", 2)
        warnings.warn_explicit("something else", RuntimeWarning, "other.py", 1)

    verb(warn)
    assert cli.main(["embed"]) == 0
    assert capsys.readouterr().err == "sonant: warning: a.wav: odd\n"
    with pytest.warns(RuntimeWarning, match="something else"):
        cli.main(["embed"])


def test_paths_that_are_not_utf_8_can_be_printed():
    code = """
import sys
from sonant import cli
cli.find_function = lambda _: lambda: print(sys.argv[1])
cli.main(["embed"])
"""
    done = subprocess.run([sys.executable, "-c", code, b"caf\xe9"], capture_output=True, text=True, check=True)
    assert done.stdout == "caf\\udce9\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise there")
def test_a_reader_that_leaves_hears_no_complaint():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "sonant", "--help"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == ""


def test_the_program_runs_as_a_module():
    done = sonant_process("models", "show", "wavlm-base", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["name"] == "microsoft/wavlm-base"
    assert sonant_process("modles").returncode == 2
