"""The page: whole by itself, readable in both themes, without scripts, and safe whatever is in the transcripts."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from sonant.decoding.hypotheses import Hypothesis
from sonant.decoding.results import Word
from sonant.evaluation.recognition import Utterance, evaluate_recognition, recognition_page

EVIL = """<script>alert(1)</script> " onerror='alert(2)' </style><img src=x> &lt; \x00\x1b"""
VOID = {"meta", "br", "img"}


class Reader(HTMLParser):
    """Collect the elements of a page, with their attributes; each must be closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def names(self) -> list[str]:
        return [name for name, _ in self.elements]


def page_of(text: str, *, systems: tuple[str, ...] = ("x", "y"), **how) -> str:
    utterances = [
        Utterance(
            name=f"{i} {text}", reference=f"a b {text}", seconds=i + 1.0, speaker=f"s{i} {text}", fields={text: text}
        )
        for i in range(3)
    ]
    texts = [[f"a c {text}", f"{text} b", ""], ["a b", "b", text]]
    report = evaluate_recognition(
        utterances, {f"{name}{text}": each for name, each in zip(systems, texts, strict=False)}, settings={text: text}
    )
    return recognition_page(report, **how)


@pytest.mark.parametrize("systems", [("x",), ("x", "y")])
def test_transcripts_cannot_add_elements(systems: tuple[str, ...]) -> None:
    plain, evil = (
        Reader(page_of("word", systems=systems)),
        Reader(page_of(EVIL, systems=systems)),
    )
    assert not evil.open
    assert not {"script", "img", "iframe", "object", "link", "form"} & set(evil.names())
    assert set(evil.names()) == set(plain.names())
    known = {"href", "src", "class", "id", "style", "tabindex", "role", "scope", "dir", "lang", "name", "content",
             "charset", "http-equiv", "aria-label", "aria-hidden", "controls", "preload"}  # fmt: skip
    assert {name for _, attributes in evil.elements for name in attributes} <= known


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = page_of("word", clips={0: "data:audio/mpeg;base64,AAAA"})
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page
    addresses = [value for _, each in Reader(page).elements for key, value in each.items() if key in ("src", "href")]
    assert all(address.startswith(("#", "data:audio/")) for address in addresses)
    assert "default-src 'none'; style-src 'unsafe-inline'; media-src data:" in page.replace("&#x27;", "'")


def test_it_can_be_read_without_seeing_it() -> None:
    reader = Reader(page_of("word", clips={1: "data:audio/mpeg;base64,AAAA"}))
    headings = [int(name[1]) for name in reader.names() if re.fullmatch("h[1-6]", name)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
    ids = [each["id"] for _, each in reader.elements if "id" in each]
    assert len(ids) == len(set(ids))
    assert not [each for each in ids if " " in each]
    assert {each["href"].removeprefix("#") for _, each in reader.elements if "href" in each} <= set(ids)
    assert reader.names().count("table") == reader.names().count("caption")
    for name, attributes in reader.elements:
        if name == "th":
            assert attributes["scope"] in ("row", "col")
        if name == "audio":
            assert attributes["aria-label"]
        if attributes.get("class") == "scroll":
            assert attributes["tabindex"] == "0", "scrolled by the keyboard"


def test_long_tables_are_cut_and_say_so() -> None:
    utterances = [Utterance(name=str(i), reference="a", speaker=f"s{i}") for i in range(150)]
    page = recognition_page(evaluate_recognition(utterances, {"x": ["b"] * 150}, resamples=10), worst=7)
    assert "the 100 worst of 150; results.json has all" in page
    assert page.count("<article>") == 7
    right = recognition_page(evaluate_recognition(utterances, {"x": ["a"] * 150}, resamples=10))
    assert "No recording has an error." in right


def test_alternatives_of_a_beam_search_are_shown_with_their_scores() -> None:
    def hypothesis(text: str, score: float, lm_score: float | None) -> Hypothesis:
        words = tuple(Word(word, 0.0, 1.0, 0.5, lm_score=lm_score) for word in text.split())
        return Hypothesis(text, words, 0.5, (), score=score, emission_score=-1.25, lm_score=lm_score)

    found = [hypothesis(f"B {EVIL}", -4.5, -3.25), hypothesis("A b", -5.0, None), hypothesis("", -6.0, None)]
    found.append(replace(hypothesis("", -7.0, None), text="a x"))
    report = evaluate_recognition([Utterance(name="x", reference="a b c")], {"s": ["b"]})
    page = recognition_page(report, alternatives={"s": [found]}, normalize=str.lower)
    reader = Reader(page)
    assert not {"script", "img"} & set(reader.names())
    assert reader.names().count("details") == 1
    rows = re.findall(r"<tr>(.*?)</tr>", page[page.index("<details") : page.index("</details")])
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in rows[1:]]
    assert [row[1:] for row in cells] == [
        ["8", "−4.50", "−1.25", "−3.25"], ["1", "−5.00", "−1.25", "–"], ["3", "−6.00", "−1.25", "–"],
        ["2", "−7.00", "−1.25", "–"],
    ]  # fmt: skip
    assert cells[0][0].startswith("<span>B<sub>−3.2</sub></span> ")
    assert cells[1][0] == "<span>A</span> <span>b</span>"
    assert cells[3][0] == "<span>a x</span>"
    assert "the best of them has 1 error" in page
    assert "<details" not in recognition_page(report)
