"""Code and pages use the words of docs/glossary.md, and one word for one thing."""

import ast
import re
import subprocess
from pathlib import Path
from pkgutil import resolve_name

import pytest

ROOT = Path(__file__).parent.parent
GLOSSARY = ROOT / "docs/glossary.md"

# Expressions that are no longer used, and what is said instead.
REPLACED = {
    r"\breadi(ed|es)\b": "optimized for inference",
    r"\bfates?\b": "say what happens",
    r"\banew\b": "again, a new ...",
    r"\b(some|no|every)body\b": "a user, a client, nothing; or the passive",
    r"\bbetrays?\b": "shows, means",
    r"\b(one|an?) (line|row|object|file|vector|number) an? (recording|frame|model|user|key|layer)\b": "per",
    r"batch.mates?|law of the house": "the other clips of its batch, guarantee",
    r"\bhears?\b": "depends on, has as its input",
    r"\b(foretell|untold|wherever)\b": "predict, unknown, each",
    r"\bheeds?\b": "uses, depends on",
    r"\bdeeds?\b": "action, operation",
    r"\bkey maps?\b": "parameter-name map",
    r"\balphabets?\b": "CTC vocabulary",
    r"\btwins?\b": "padded model, JSON form",
    r"\boddit(y|ies)\b": "note, customization, warning",
    r"\b(whoever|strangers?)\b": "operator, client, visitor",
    r"\bof like length\b": "of similar length",
    r"\bsurroundings\b": "environment, settings",
    r"\b\w*(quanti|normali|optimi|initiali|organi|recogni|summari|tokeni|seriali)s(e|ed|es|ing|ation)\b": "-ize",
    r"\b(catalogue|licence|diaris|colour|behaviour|neighbour|favour|centre|grey|analyse)\w*": "American English",
    r"\b(labell|modell)(ed|ing)\b": "American English",
}

# Whole lines in which such a word is quoted or a name: (file, words of the line).
QUOTED = {
    ("src/sonant/server/routes/audio_text.py", "the URL-safe alphabet"),  # of base64, as RFC 4648 calls it
    ("src/sonant/server/accounts/passwords.py", '"of nobody"'),  # a password
}


def texts() -> list[Path]:
    """The sources and pages that are held to the glossary."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "src/*.py", "docs/*.md", "README.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return [path for name in listed if (path := ROOT / name).exists() and path != GLOSSARY]


def wrong_words(path: Path, text: str) -> list[str]:
    """One line for each expression of `REPLACED` in a text: file, line, what to say."""
    name = str(path.relative_to(ROOT))
    return [
        f"{name}:{number}: {found[0]!r}; say: {instead}"
        for number, line in enumerate(text.splitlines(), start=1)
        for pattern, instead in REPLACED.items()
        for found in re.finditer(pattern, line, re.IGNORECASE)
        if not any(name == file and words in line for file, words in QUOTED)
    ]


def test_words_of_the_glossary_are_used() -> None:
    wrong = [line for path in texts() for line in wrong_words(path, path.read_text(encoding="utf-8"))]
    assert not wrong, "\n".join(["not the words of docs/glossary.md:", *wrong])


def test_docstrings_begin_with_a_noun_or_an_imperative() -> None:
    wrong = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first = (ast.get_docstring(node) or "").partition(" ")[0]
                if first in ("What", "Whether", "Where", "Which", "Who", "Whose", "How", "When", "Why"):
                    wrong.append(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}: {first} ...")
    assert not wrong, "\n".join(wrong)


def test_quotations_are_still_there() -> None:
    for file, words in QUOTED:
        (line,) = [line for line in (ROOT / file).read_text(encoding="utf-8").splitlines() if words in line]
        assert any(re.search(pattern, line, re.IGNORECASE) for pattern in REPLACED), f"{file}: {words!r} is not needed"


@pytest.mark.parametrize("text", ["A readied model.", "quantised", "diarised", "the neighbouring Colours", "key map"])
def test_wrong_words_are_found(text: str) -> None:
    assert wrong_words(ROOT / "README.md", text)


def terms() -> list[tuple[str, str]]:
    """Terms of the glossary with their descriptions."""
    return re.findall(r"^(\S.*)\n: (.+)$", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_glossary_names_what_exists() -> None:
    assert len(terms()) >= 30
    for term, description in terms():
        names = re.findall(r"`(sonant(?:\.\w+)+)`", description)
        assert names, f"{term}: the glossary does not say where it appears in the API"
        for name in names:
            assert resolve_name(name) is not None, f"{term}: {name}"


def test_the_glossary_is_in_alphabetical_order() -> None:
    sorted_by = [re.sub(r"[^a-z0-9 ]", "", term.casefold()) for term, _ in terms()]
    assert sorted_by == sorted(sorted_by)
    text = GLOSSARY.read_text(encoding="utf-8")
    for letter, entries in re.findall(r"^## (\w)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL):
        assert {entry[0].upper() for entry in re.findall(r"^(\S.*)\n: ", entries, re.MULTILINE)} == {letter}


# Abbreviations that are names, of formats, units, machines, toolkits, corpora and models; no terms of speech.
NAMES = frozenset(
    "AMD API AVX2 AVX512 AWS CDN CLI CPU CSV CUDA DEMAND DNSMOS DistilHuBERT EPYC FLAC FastAPI GB GPT GPU GPUs GiB "
    "HTML HTTP IEMOCAP IPv4 JSON KenLM KiB LV MB MiB MMS MP3 MSEB NVIDIA NaN ONNX OpenAI OpenVINO PostgreSQL PyAV "
    "QUESST README SEW SHA SQL SRILM SVG TIMIT TSV URI URL UTF UniSpeech-SAT WAV WSJ WebM X-ARES XARES XLS XLSR "
    "YAML".split()
)


def test_abbreviations_are_in_the_glossary() -> None:
    """Those that three pages use: they are terms of the field, or `NAMES`."""
    pages: dict[str, set[str]] = {}
    for path in (path for path in texts() if path.suffix == ".md"):
        text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        text = re.sub(r"`[^`]*`|\]\([^)]*\)|https?://\S+", "", text)
        for word in re.findall(r"\b[a-z]{0,3}[A-Z][A-Za-z0-9]*(?:-[A-Za-z]+)?[A-Z0-9]\b", text):
            pages.setdefault(word, set()).add(path.name)
    glossary = " ".join(f"{term} {description}" for term, description in terms())
    unknown = {word: sorted(names) for word, names in pages.items() if len(names) > 2 and word not in glossary}
    assert not {word: names for word, names in unknown.items() if word not in NAMES}, "not in docs/glossary.md"


def test_public_classes_have_names_of_their_own() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    several = [f"{name}: {', '.join(files)}" for name, files in places.items() if len(files) > 1]
    assert not several, "\n".join(several)
