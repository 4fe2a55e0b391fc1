"""Changing a recipe from outside: what fits goes in, what does not is named."""

from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Literal

import pytest

from sonant.errors import ConfigurationError, UnknownName
from sonant.recipes import PRETRAINING, pretraining_recipe
from sonant.recipes.overrides import override


@dataclass(frozen=True)
class Part:
    name: str = "a"
    rate: float = 0.1
    mode: Literal["fast", "slow"] = "fast"


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...] = (Part("a"), Part("b"))
    sizes: tuple[int, ...] = (1, 2)
    count: int = 3
    on: bool = False
    limit: int | None = None


def test_values_go_where_the_dots_lead() -> None:
    changes = ["parts.b.rate=1e-3", "parts.0.mode=slow", "sizes=[4, 5, 6]", "count=7", "on=true", "limit=9"]
    changed = override(Whole(), changes)
    assert changed == Whole((Part("a", 0.1, "slow"), Part("b", 0.001)), (4, 5, 6), 7, True, 9)
    assert override(changed, ["limit=null"]).limit is None


@pytest.mark.parametrize(
    "text", ["007", "1.10", "12:30", "2026-02-31", "no", "null", "a #1.jsonl", "a: b", "@x", "*x", "[a] b"]
)
def test_text_is_taken_as_it_is_written(text: str) -> None:
    assert override(Part(), [f"name={text}"]).name == text
    assert override(Part(), [f"name={text!r}"]).name == text  # as YAML quotes it


def test_a_yaml_file_holds_the_same(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("count: 7\nparts:\n  b: {rate: 2}\n")
    assert override(Whole(), [str(tmp_path / "run.yaml")]) == override(Whole(), ["count=7", "parts.b.rate=2"])


def test_values_that_fit_each_other_alone_are_checked_together(tmp_path: Path) -> None:
    run = pretraining_recipe("wavlm_tiny")
    sizes = {"conv_channels": (16, 16), "conv_kernels": (10, 4), "conv_strides": (5, 4)}
    words = [f"model.{name}={list(value)}" for name, value in sizes.items()]
    for order in permutations(words):
        assert override(run, order).model == replace(run.model, **sizes)
    (tmp_path / "a.yaml").write_text("model: {conv_channels: [16, 16], conv_kernels: [10, 4]}")
    assert override(run, [str(tmp_path / "a.yaml"), words[2]]).model == replace(run.model, **sizes)
    with pytest.raises(ConfigurationError, match="conv_strides describe the same layers, but have 2, 2 and 7"):
        override(run, words[:2])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["count=1", "count=2"], Whole(count=2)),
        (["parts.0.rate=1", "parts.a.rate=2", "parts.0.mode=slow"], Whole((Part("a", 2.0, "slow"), Part("b")))),
        (["parts.a.rate=1", "parts.0.rate=2"], Whole((Part("a", 2.0), Part("b")))),
        (["parts.a.name=c", "parts.0.rate=2"], Whole((Part("c", 2.0), Part("b")))),
    ],
)
def test_the_later_change_wins(changes: list[str], expected: Whole) -> None:
    assert override(Whole(), changes) == expected


@pytest.mark.parametrize("changes", [["parts.a=1", "parts.a.rate=2"], ["parts.a.rate=2", "parts.a=1"]])
def test_no_change_hides_a_wrong_one(changes: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"'parts\.a' names a whole group"):
        override(Whole(), changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("cuont=3", r"Did you mean 'count'\? Known here: count, limit, on, parts, sizes"),
        ("rate=1", "Did you mean 'parts.a.rate' or 'parts.b.rate'"),
        ("parts.c.rate=1", "Known here: a, b"),
        ("parts.a.rat=1", "Known here: mode, name, rate"),
        ("count.deeper=1", "nothing further"),
        ("count=many", "expected a whole number"),
        ("limit=many", "expected a whole number or null"),
        ("count=1.5", "expected a whole number"),
        ("on=1", "expected true or false"),
        ("parts.a.rate=fast", "expected a number"),
        ("parts.a.mode=medium", "expected fast or slow"),
        ("sizes=[1, x]", "expected a whole number"),
        ("parts.a=1", "parts.a.name"),
        ("no-equals", "neither"),
        ("missing.yaml", "cannot be read"),
    ],
)
def test_what_does_not_fit_is_named(change: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        override(Whole(), [change])


@pytest.mark.parametrize("name", PRETRAINING)
def test_every_recipe_can_be_made_and_carries_its_name(name: str) -> None:
    assert pretraining_recipe(name).name == name


def test_an_unknown_recipe_lists_the_known() -> None:
    with pytest.raises(UnknownName, match="wavlm_tiny"):
        pretraining_recipe("wavlm_tini")
