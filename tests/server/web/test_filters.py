"""The searches that an address holds: what they let through, and that they survive the way into an address and back."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.errors import UnknownName
from sonant.models.catalog import CATALOG
from sonant.server.web.entries import ModelEntry
from sonant.server.web.filters import FILTERS, FIRST, ORDERS, CatalogSearch, licenses

CHOICES = [(each.name, choice.value) for each in FILTERS for choice in each.choices]
searches = st.builds(
    CatalogSearch,
    q=st.lists(st.text("aew2v /ü&<\"'+%", min_size=1).map(str.strip).filter(bool), max_size=3)
    .map(" ".join)
    .map(lambda text: " ".join(text.split())),
    chosen=st.fixed_dictionaries(
        {}, optional={each.name: st.sampled_from([choice.value for choice in each.choices]) for each in FILTERS}
    ),
    sort=st.sampled_from([order.value for order in ORDERS]),
    fmt=st.sampled_from(["cards", "table"]),
    show=st.sampled_from(["first", "all"]),
)


@given(searches)
def test_addresses_say_it_all(search: CatalogSearch) -> None:
    assert CatalogSearch.read(dict(parse_qsl(urlsplit(search.address).query))) == search


@given(searches)
def test_what_is_found_fits(every: list[ModelEntry], search: CatalogSearch) -> None:
    found = search.of(every)
    assert {entry.id for entry in found} == {entry.id for entry in every if search.fits(entry)}
    assert len(found) == len({entry.id for entry in found})
    shown = search.shown(found)
    hosted = [entry for entry in found if entry.is_hosted]
    assert [entry for entry in found if entry in shown] == shown  # in the same order
    assert set(map(id, hosted)) <= set(map(id, shown))
    assert len(shown) == len(found) if search.show == "all" else len(shown) <= len(hosted) + FIRST


@given(searches, st.sampled_from(CHOICES))
def test_one_filter_more_finds_no_more(every: list[ModelEntry], search: CatalogSearch, choice: tuple[str, str]) -> None:
    name, value = choice
    narrower = CatalogSearch(q=search.q, chosen={**search.chosen, name: value})
    if name not in search.chosen:
        assert {entry.id for entry in narrower.of(every)} <= {entry.id for entry in search.of(every)}


@given(searches)
def test_order_changes_nothing_but_the_order(every: list[ModelEntry], search: CatalogSearch) -> None:
    plain = CatalogSearch(q=search.q, chosen=search.chosen)
    assert sorted(entry.id for entry in search.of(every)) == sorted(entry.id for entry in plain.of(every))


def _ids(every: list[ModelEntry], **asked: str) -> set[str]:
    return {entry.id for entry in CatalogSearch.read(asked).of(every)}


def test_filters_agree_with_the_table(every: list[ModelEntry]) -> None:
    cards = CATALOG.values()
    assert _ids(every, family="hubert") == {card.name for card in cards if card.family == "HuBERT"}
    assert _ids(every, size="large") == {card.name for card in cards if 200e6 <= card.parameters < 500e6}
    assert _ids(every, language="many") == {card.name for card in cards if "languages" in card.languages}
    assert _ids(every, task="transcription") == {card.name for card in cards if "with CTC" in (card.labels or "")}
    assert _ids(every, task="verification") == {card.name for card in cards if "verification" in (card.labels or "")}
    assert _ids(every, task="embeddings") == {card.name for card in cards if card.labels is None}
    assert _ids(every, license="by-nc") == {card.name for card in cards if card.license == "CC BY-NC 4.0"}
    assert _ids(every, status="live") == {"sonant/wavlm-tiny"}
    assert _ids(every, status="soon") == set()
    assert len(_ids(every, status="unloaded")) == len(CATALOG) - 1


@pytest.mark.parametrize("name", ["family", "size", "license"])
def test_every_model_has_a_place_in_each_filter(every: list[ModelEntry], name: str) -> None:
    choices = [choice for each in FILTERS if each.name == name for choice in each.choices]
    assert set().union(*(_ids(every, **{name: choice.value}) for choice in choices)) == set(CATALOG)


def test_remarks_are_no_licenses(every: list[ModelEntry]) -> None:
    """The card says of WavLM's weights one license, and of its authors' code another."""
    assert {tuple(licenses(entry)) for entry in every if entry.id.startswith("microsoft/")} == {("CC BY-SA 3.0",)}


def test_all_words_must_be_found(every: list[ModelEntry]) -> None:
    assert _ids(every, q="VoxPopuli large") == {
        entry.id for entry in every if entry.origin and "VoxPopuli" in entry.origin.data and "large" in entry.id
    } | {entry.id for entry in every if entry.origin and "VoxPopuli" in entry.origin.data and "Large" in entry.title}
    assert _ids(every, q="WAVLM") == _ids(every, q="wavlm") >= _ids(every, family="wavlm")
    assert _ids(every, q="no such thing") == set()


def test_orders(every: list[ModelEntry]) -> None:
    smallest = [entry.specs.parameters for entry in CatalogSearch(sort="smallest").of(every) if entry.specs]
    assert smallest == sorted(smallest)
    largest = [entry.specs.parameters for entry in CatalogSearch(sort="largest").of(every) if entry.specs]
    assert largest == smallest[::-1]
    hours = [entry.origin.hours or 0 for entry in CatalogSearch(sort="hours").of(every) if entry.origin]
    assert hours == sorted(hours, reverse=True)
    assert CatalogSearch().of(every)[0].state == "live"


@pytest.mark.parametrize("asked", [{"family": "dogs"}, {"sort": "color"}, {"fmt": "xml"}, {"status": "LIVE"}])
def test_unknown_values_are_told(asked: dict[str, str]) -> None:
    with pytest.raises(UnknownName, match="Known: "):
        CatalogSearch.read(asked)


def test_empty_values_ask_for_nothing() -> None:
    assert CatalogSearch.read({"q": " ", "family": "", "sort": "", "fmt": "", "utm": "x"}) == CatalogSearch()
