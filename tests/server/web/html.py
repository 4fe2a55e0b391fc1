"""HTML as the tests read it: strictly, so that what browsers would mend is found."""

from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
LOADING = {
    "script": "src",
    "img": "src",
    "link": "href",
    "iframe": "src",
    "audio": "src",
    "video": "src",
    "use": "href",
}
NOT_LOADED = {"alternate", "canonical"}  # kinds of links in a head


class Document(HTMLParser):
    """A page, or a part of one.

    Attributes:
        tags: every element, with its attributes, in order.
        faults: what is not well-formed: elements that nobody closed, ids given twice, references that lead nowhere.
        loaded: addresses of what the page loads.
        texts: text by the element that holds it.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.faults: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{name}> is not closed" for name in self._open]
        self._check_references()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> has an attribute twice: {names}")
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self.faults.append(f"</{tag}> in {self._open[-3:]}, line {self.getpos()[0]}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and data.strip():
            self.texts.append((self._open[-1], data.strip()))

    def _check_references(self) -> None:
        ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        self.faults += [f"the id {name!r} is given {ids.count(name)} times" for name in set(ids) if ids.count(name) > 1]
        for tag, attributes in self.tags:
            for name in ("for", "aria-labelledby", "aria-describedby", "aria-controls", "form"):
                if name in attributes and not set(attributes[name].split()) <= set(ids):
                    self.faults.append(f"<{tag} {name}={attributes[name]!r}> leads nowhere")

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def loaded(self) -> list[str]:
        return [
            attributes[LOADING[tag]]
            for tag, attributes in self.tags
            if LOADING.get(tag, "") in attributes and attributes.get("rel") not in NOT_LOADED
        ]

    @property
    def links(self) -> list[str]:
        return [attributes["href"] for attributes in self.all("a") if "href" in attributes]
