"""A function's signature and docstring become a command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.cli.command_line import Docs, build_parser, call
from sonant.cli.values import parse
from sonant.errors import ConfigurationError, UnknownName

received: list[Any] = []


@pytest.fixture(autouse=True)
def _forget():
    received.clear()


def embed(
    sources: Sequence[str],
    *,
    output: Path,
    layer: int | list[int] | Literal["last", "all"] = "last",
    pool: Literal["mean", "max"] | None = None,
    batch_seconds: float = 60.0,
    progress: bool = True,
    json: bool = False,
) -> int:
    """Turn recordings into vectors.

    A share of 100 % is kept, and this sentence is long enough that it has to be broken somewhere in a
    terminal of eighty columns.

    Args:
        sources (FILE|FOLDER|-): what to read;
            as many as there are.
        output (-o OUT): where to write.
        layer (N|last|all): which hidden state.
        batch_seconds: speech in a batch: 100 % of it.

    Examples:
        sonant embed a.wav -o a.npy
        sonant embed folder -o out --layer 4,5
    """
    received.append((sources, output, layer, pool, batch_seconds, progress, json))
    return 1 if json else 0


def pretrain(recipe: str, *overrides: str, seed: int | None = None) -> None:
    """Train.

    Args:
        overrides (KEY=VALUE): changes.

    Examples:
        sonant pretrain tiny data=folder
    """
    received.append((recipe, overrides, seed))


def show(name: str = "all") -> None:
    """Show one or all."""
    received.append(name)


def gather(*, model: list[str] | None = None, sizes: tuple[int, ...] = (1, 2)) -> None:
    """Gather."""
    received.append((model, sizes))


@dataclass(frozen=True, kw_only=True)
class Loading:
    """Options of loading.

    Attributes:
        device (-d NAME): where to compute.
    """

    device: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Running(Loading):
    """Options of running.

    Attributes:
        window_seconds: how long a window is.
    """

    window_seconds: float = 60.0


def diarize(source: str, *, json: bool = False, options: Running) -> None:
    """Diarize.

    Args:
        source: what.
        json: as JSON.
    """
    received.append((source, json, options))


def run(function: Any, line: str, below: dict[str, str] | None = None) -> int:
    return call(function, function.__name__, line.split(), below=below or {})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a -o b", (["a"], Path("b"), "last", None, 60.0, True, False)),
        ("- --output b --layer 7", (["-"], Path("b"), 7, None, 60.0, True, False)),
        ("a -o b --layer -1", (["a"], Path("b"), -1, None, 60.0, True, False)),
        ("-o b a --layer 4,5 c --no-progress", (["a", "c"], Path("b"), [4, 5], None, 60.0, False, False)),
        ("a -o b --layer=all --pool max", (["a"], Path("b"), "all", "max", 60.0, True, False)),
        ("-o b --batch-seconds 2.5 -- -odd.wav", (["-odd.wav"], Path("b"), "last", None, 2.5, True, False)),
    ],
)
def test_a_line_becomes_a_call(line: str, expected: tuple):
    assert run(embed, line) == 0
    assert received == [expected]


def test_the_exit_code_is_what_the_function_returns():
    assert run(embed, "a -o b --json") == 1
    assert run(pretrain, "tiny") == 0


def test_overrides_may_stand_between_options():
    run(pretrain, "tiny data=x --seed 3 steps=10")
    assert received == [("tiny", ("data=x", "steps=10"), 3)]


def test_a_positional_with_a_default_may_be_left_out():
    run(show, "")
    run(show, "one")
    assert received == ["all", "one"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", (None, (1, 2))),
        ("--model a", (["a"], (1, 2))),
        ("--model a --sizes 3 --model b,c --sizes 4", (["a", "b", "c"], (3, 4))),
    ],
)
def test_a_list_given_again_grows(line: str, expected: tuple):
    run(gather, line)
    run(gather, line)  # the first call left nothing behind
    assert received == [expected, expected]


def test_a_dataclass_makes_an_option_of_each_field_its_bases_included(capsys):
    run(diarize, "a -d cpu --window-seconds 5 --json --device cuda")
    run(diarize, "b")
    assert received == [
        ("a", True, Running(device=["cpu", "cuda"], window_seconds=5.0)),
        ("b", False, Running()),
    ]
    with pytest.raises(SystemExit):
        run(diarize, "--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert "-d, --device NAME where to compute." in shown
    assert "--window-seconds SECONDS how long a window is. (default: 60)" in shown
    with pytest.raises(UnknownName, match="Did you mean '--device'"):
        run(diarize, "a --devcie cpu")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a -o b --layer lsat", ["--layer", "'lsat'", "Did you mean 'last'", "whole number", "'all'"]),
        ("a -o b --layer 1,x", ["'1,x'", "list"]),
        ("a -o b --batch-seconds long", ["'long'", "a number"]),
        ("a -o b --pool men", ["Did you mean 'mean'"]),
        ("a", ["-o/--output"]),
        ("-o b", ["FILE|FOLDER|-"]),
        ("a -o", ["-o/--output", "expected one argument"]),
    ],
)
def test_wrong_use_exits_with_2_and_says_why(line: str, words: list[str], capsys):
    with pytest.raises(SystemExit) as stop:
        run(embed, line)
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("usage: sonant embed FILE|FOLDER|- ... -o OUT [options]\n")
    assert all(word in message for word in words), message
    assert not received


@pytest.mark.parametrize("option", ["--lyaer", "--lyaer=3", "--layr"])
def test_an_unknown_option_suggests_near_ones(option: str):
    with pytest.raises(UnknownName, match=r"option of sonant embed.*Did you mean '--layer'"):
        run(embed, f"a -o b {option}")


def test_options_cannot_be_shortened():
    """`--js` would change its meaning on the day a verb gets a second option that begins so."""
    with pytest.raises(UnknownName, match="--json"):
        run(embed, "a -o b --js")


def test_one_argument_too_many():
    with pytest.raises(ConfigurationError, match=r"more than it takes: two.*sonant show \[NAME\]"):
        run(show, "one two")


def test_a_leftover_word_may_be_a_verb_below():
    with pytest.raises(UnknownName, match="Did you mean 'show card'"):
        run(show, "one crad", below={"show card": ""})
    with pytest.raises(UnknownName, match="'show crad'"):
        run(show, "one crad", below={"show card": ""})


def test_the_help_says_it_all(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        run(embed, "--help")
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for part in (
        "usage: sonant embed FILE|FOLDER|- ... -o OUT [options]",
        "Turn recordings into vectors.\n\nA share of 100 % is kept,",
        "what to read; as many as there are.",
        "  -o, --output OUT ",
        "--layer N|last|all",
        "which hidden state. (default: last)",
        "--pool mean|max",
        "--batch-seconds SECONDS",
        "100 % of it. (default: 60)",
        "--progress, --no-progress",
        "examples:\n  sonant embed a.wav -o a.npy\n  sonant embed folder -o out --layer 4,5\n",
    ):
        assert part in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_docstring_is_taken_apart():
    docs = Docs.read(embed)
    assert docs.description[0] == "Turn recordings into vectors."
    assert docs.parameters["output"].flag == "-o"
    assert docs.parameters["output"].word == "OUT"
    assert docs.parameters["batch_seconds"].text == "speech in a batch: 100 % of it."
    assert len(docs.examples) == 2
    assert Docs.read(pretrain).parameters["overrides"].word == "KEY=VALUE"
    assert Docs.read(lambda: None) == Docs()


def test_verbs_below_are_pointed_at():
    assert "commands:\n  show card  one card" in build_parser(show, "show", below={"show card": "one card"}).epilog


@given(
    st.integers() | st.floats(allow_nan=False) | st.sampled_from(["last", "all"]) | st.lists(st.integers(), min_size=2)
)
def test_what_is_written_is_read_back(value: object):
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    assert parse(text, int | float | list[int] | Literal["last", "all"]) == value


@given(st.text().filter(lambda text: text.lower() not in ("yes", "no", "true", "false")))
def test_any_other_text_is_refused_in_words(text: str):
    with pytest.raises(ValueError, match=r"does not fit\. Expected yes or no\."):
        parse(text, bool)


def test_a_type_that_no_command_line_can_carry_is_the_authors_mistake():
    with pytest.raises(TypeError, match="complex"):
        parse("1", complex)
