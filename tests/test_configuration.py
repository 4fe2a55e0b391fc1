"""Nested keys become fields; what does not fit is named with its key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.configuration import changed, fitting, read_yaml
from sonant.errors import ConfigurationError


@dataclass(frozen=True)
class Price:
    amount: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ConfigurationError("negative")


@dataclass(frozen=True)
class Pair:
    low: int = 1
    high: int = 2

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ConfigurationError("low is above high")


@dataclass(frozen=True)
class Shelf:
    name: str
    height: float = 1.0


@dataclass(frozen=True)
class Shop:
    folder: Path = Path("here")
    pair: Pair = Pair()
    price: Price = Price()
    prices: Mapping[str, Price] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    shelves: tuple[Shelf, ...] = ()


def test_every_kind_of_field_is_set() -> None:
    shop = changed(
        Shop(),
        {
            "folder": "~/there",
            "pair": {"low": 3, "high": 4},
            "prices": {"org/a": {"amount": "0.10"}, "org/b": {"amount": 2}, "org/c": None},
            "names": ["a", 7],
            "shelves": [{"name": "top", "height": "2"}, {"name": "bottom"}],
        },
    )
    assert shop.folder == Path.home() / "there"
    assert shop.pair == Pair(3, 4), "both at once: neither alone would do"
    assert shop.prices == {"org/a": Price(Decimal("0.10")), "org/b": Price(Decimal(2)), "org/c": Price()}
    assert shop.names == ("a", "7")
    assert shop.shelves == (Shelf("top", 2.0), Shelf("bottom"))


@given(st.decimals(min_value=0, max_value=1000, places=8))
def test_a_decimal_loses_no_digit(amount: Decimal) -> None:
    assert fitting(str(amount), Decimal, "x") == amount


def test_a_float_becomes_the_decimal_that_was_written() -> None:
    assert fitting(0.1, Decimal, "x") == Decimal("0.1")


def test_a_group_whose_lines_are_all_commented_out_changes_nothing() -> None:
    assert changed(Shop(), {"pair": None, "prices": None}) == Shop()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prise": 1}, "Unknown key 'prise' in 'prise'. Did you mean 'price' or 'prices'? Known here: folder, names,"),
        ({"high": 1}, "Unknown key 'high' in 'high'. Did you mean 'pair.high'? Known here"),
        ({"pair": {"middle": 1}}, "Unknown key 'middle' in 'pair.middle'. Known here: high, low"),
        ({"prices": {"org/a": {"amuont": 1}}}, "'prices.org/a.amuont'. Did you mean 'amount'? Known here: amount"),
        ({"prices": {"org/a": 1}}, "'prices.org/a' names a whole group of settings; name one of them"),
        ({"prices": 1}, "prices=1 does not fit"),
        ({"price": {"amount": "cheap"}}, "price.amount='cheap' does not fit: expected a number"),
        ({"price": {"amount": True}}, "expected a number"),
        ({"names": "a"}, "names='a' does not fit: expected a list of text"),
        ({"shelves": [{"name": "top", "hight": 2}]}, "'shelves.hight'. Did you mean 'height'?"),
        ({"shelves": [{"height": 2}]}, "lacks name"),
        ({"folder": 3}, "expected a path"),
        ({"folder": {"deeper": 3}}, "Known here: nothing further"),
        ({"folder": {}}, "does not fit: expected a path"),
        ({3: 1}, "Unknown key '3'"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict, words: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        changed(Shop(), changes)
    assert words in str(error.value)


def test_a_file_of_comments_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("# pair: {low: 0}\n")
    assert changed(Shop(), read_yaml(tmp_path / "x.yaml")) == Shop()


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "\x00", "{a: 1}: 2"])
def test_a_file_that_holds_no_keys_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"x\.yaml"):
        read_yaml(tmp_path / "x.yaml")
