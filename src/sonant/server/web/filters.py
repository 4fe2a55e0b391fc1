"""The search of the catalog: words, filters and order, all in the address of the page."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Literal, NamedTuple, get_args
from urllib.parse import urlencode

from sonant.errors import UnknownName
from sonant.models.families import TITLES
from sonant.server.web.entries import ModelEntry

CatalogView = Literal["cards", "table"]
CatalogExtent = Literal["first", "all"]
FIRST = 12  # models that are not hosted, on a page


class FilterOption(NamedTuple):
    """One value of a filter."""

    value: str
    label: str
    fits: Callable[[ModelEntry], bool]


class Filter(NamedTuple):
    """One filter."""

    name: str
    label: str
    choices: tuple[FilterOption, ...]


class SortOrder(NamedTuple):
    """A sort order; a key of None keeps served models first."""

    value: str
    label: str
    key: Callable[[ModelEntry], tuple[float | str, ...]] | None


def _of_size(least: float, most: float) -> Callable[[ModelEntry], bool]:
    return lambda entry: entry.specs is not None and least <= entry.specs.parameters < most


def _of_family(family: str) -> Callable[[ModelEntry], bool]:
    return lambda entry: entry.family == family


def _made_for(ability: str) -> Callable[[ModelEntry], bool]:
    return lambda entry: ability in entry.heads


def _in_state(*states: str) -> Callable[[ModelEntry], bool]:
    return lambda entry: entry.state in states


def _under(name: str) -> Callable[[ModelEntry], bool]:
    return lambda entry: name in licenses(entry)


def licenses(entry: ModelEntry) -> list[str]:
    """Return the licenses of the weights of an entry."""
    text = re.sub(r"\(.*?\)", "", entry.origin.license) if entry.origin else ""
    return [name for name in ("Apache-2.0", "MIT", "CC BY-SA 3.0", "CC BY-NC 4.0") if name in text.partition(";")[0]]


def _is_english(entry: ModelEntry) -> bool:
    return entry.origin is not None and "English" in entry.origin.languages


def _is_multilingual(entry: ModelEntry) -> bool:
    return entry.origin is not None and "languages" in entry.origin.languages


FILTERS = (
    Filter("family", "Family", tuple(FilterOption(key, name, _of_family(name)) for key, name in TITLES.items())),
    Filter(
        "language",
        "Language",
        (FilterOption("english", "English", _is_english), FilterOption("many", "Many languages", _is_multilingual)),
    ),
    Filter(
        "license",
        "License",
        (
            FilterOption("apache", "Apache-2.0", _under("Apache-2.0")),
            FilterOption("mit", "MIT", _under("MIT")),
            FilterOption("by-sa", "CC BY-SA 3.0", _under("CC BY-SA 3.0")),
            FilterOption("by-nc", "CC BY-NC 4.0 (non-commercial)", _under("CC BY-NC 4.0")),
        ),
    ),
    Filter(
        "size",
        "Size",
        (
            FilterOption("tiny", "under 50 M", _of_size(0, 50e6)),
            FilterOption("base", "50 to 200 M", _of_size(50e6, 200e6)),
            FilterOption("large", "200 to 500 M", _of_size(200e6, 500e6)),
            FilterOption("huge", "500 M and more", _of_size(500e6, float("inf"))),
        ),
    ),
    Filter(
        "task",
        "Made for",
        (
            FilterOption("transcription", "Transcripts", _made_for("transcription")),
            FilterOption("verification", "Verifying speakers", _made_for("verification")),
            FilterOption("diarization", "Who speaks when", _made_for("diarization")),
            FilterOption("classification", "Labels of recordings", _made_for("classification")),
            FilterOption("enhancement", "Taking away noise", _made_for("enhancement")),
            FilterOption("separation", "Separating speakers", _made_for("separation")),
            FilterOption("embeddings", "Embeddings only", lambda entry: entry.heads == ("embeddings",)),
        ),
    ),
    Filter(
        "status",
        "Status",
        (
            FilterOption("live", "Live", _in_state("live")),
            FilterOption("loading", "Loading", _in_state("loading")),
            FilterOption("soon", "Coming soon", _in_state("coming_soon")),
            FilterOption("unloaded", "Not loaded here", _in_state("unloaded")),
            FilterOption("error", "Error", _in_state("error")),
        ),
    ),
)


def _parameters(entry: ModelEntry) -> float:
    return entry.specs.parameters if entry.specs else 0


def _hours(entry: ModelEntry) -> float:
    return (entry.origin.hours or 0) if entry.origin else 0


ORDERS = (
    SortOrder("", "Served first", None),
    SortOrder("votes", "Most wanted", lambda entry: (-entry.votes,)),
    SortOrder("smallest", "Smallest", lambda entry: (_parameters(entry),)),
    SortOrder("largest", "Largest", lambda entry: (-_parameters(entry),)),
    SortOrder("hours", "Most speech heard", lambda entry: (-_hours(entry),)),
    SortOrder("name", "Name", lambda entry: (entry.id.rpartition("/")[2].lower(), entry.id)),
)


@dataclass(frozen=True, kw_only=True)
class CatalogSearch:
    """A search of the catalog.

    Attributes:
        q: words that must all be found.
        chosen: selected value by filter.
        sort: value of one of ORDERS.
        fmt: view, cards or a table.
        show: of a page, all models, or the hosted ones and the `FIRST` of the others.
    """

    q: str = ""
    chosen: Mapping[str, str] = field(default_factory=dict)
    sort: str = ""
    fmt: CatalogView = "cards"
    show: CatalogExtent = "first"

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> "CatalogSearch":
        """Parse query parameters; empty ones are ignored. Raises UnknownName."""
        chosen = {}
        for each in FILTERS:
            if value := parameters.get(each.name, ""):
                known = [choice.value for choice in each.choices]
                chosen[each.name] = _known(each.name, value, known)
        sort = _known("order", parameters.get("sort", ""), [order.value for order in ORDERS])
        fmt = _known("form", parameters.get("fmt") or "cards", get_args(CatalogView))
        show = _known("extent", parameters.get("show") or "first", get_args(CatalogExtent))
        return cls(
            q=" ".join(parameters.get("q", "").split()),
            chosen=chosen,
            sort=sort,
            fmt="table" if fmt == "table" else "cards",
            show="all" if show == "all" else "first",
        )

    @property
    def query(self) -> str:
        """The query string, without empty parameters and defaults."""
        named = {"q": self.q, **self.chosen, "sort": self.sort, "fmt": self.fmt, "show": self.show}
        return urlencode({name: value for name, value in named.items() if value not in ("", "cards", "first")})

    @property
    def address(self) -> str:
        return f"/?{self.query}" if self.query else "/"

    def shown_as(self, fmt: CatalogView) -> "CatalogSearch":
        return replace(self, fmt=fmt)

    @property
    def in_full(self) -> "CatalogSearch":
        """The same search, whose page has all models."""
        return replace(self, show="all")

    @property
    def with_all(self) -> "CatalogSearch":
        """The same search without words and filters."""
        return replace(self, q="", chosen={})

    @property
    def is_narrow(self) -> bool:
        """Return whether the search has words or filters."""
        return bool(self.q or self.chosen)

    def fits(self, entry: ModelEntry) -> bool:
        """Return whether a model matches the search."""
        text = _text(entry)
        return all(word in text for word in self.q.lower().split()) and all(
            choice.fits(entry)
            for each in FILTERS
            for choice in each.choices
            if self.chosen.get(each.name) == choice.value
        )

    def of(self, entries: Iterable[ModelEntry]) -> list[ModelEntry]:
        """Return the matching models in the requested order."""
        found = [entry for entry in entries if self.fits(entry)]
        key = next(order.key for order in ORDERS if order.value == self.sort)
        return found if key is None else sorted(found, key=key)

    def shown(self, found: Iterable[ModelEntry]) -> list[ModelEntry]:
        """Select the models for the page from those found."""
        others = count()
        return [entry for entry in found if self.show == "all" or entry.is_hosted or next(others) < FIRST]


def _known(kind: str, value: str, known: Iterable[str]) -> str:
    known = list(known)
    if value not in known:
        raise UnknownName(kind, value, filter(None, known))
    return value


def _text(entry: ModelEntry) -> str:
    """Return the searchable text of an entry."""
    parts = [entry.id, entry.title, entry.family, *entry.heads]
    if entry.origin:
        parts += [entry.origin.data, entry.origin.languages, entry.origin.labels or ""]
    return " ".join(parts).lower()
