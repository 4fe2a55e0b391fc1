"""docs/performance.md says what docs/performance/*.json says."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmark import synthetic

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("performance", DOCS / "performance.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(script: ModuleType):
    if not script.CPU.exists():
        pytest.skip("nothing has been measured yet")
    assert script.PAGE.read_text(encoding="utf-8") == script.written(), "run: python docs/performance.py"


def test_a_page_from_results(script: ModuleType):
    gpu = {"gpu": {"device": "Test GPU", "torch": "2.13", "Embedding": [{"shape": "base", "audio s / s": 1234.5}]}}
    page = script.page(synthetic.results(), gpu)
    for title in ("Single clips", "Long clips", "Batches", "Reduced precision", "Memory", "How to reproduce"):
        assert f"\n## {title}\n" in page
    assert "| WavLM Base | one clip of 10 s | sonant, bfloat16 | 5.00 | 0.99912 (state 11) | 0.999800 |" in page
    assert "| WavLM Base | one clip of 10 s | sonant | transformers | 2.2 | 2.50 | 5.00 | yes |" in page
    assert "| WavLM Base | 16 clips of 2 to 15 s | sonant | transformers, padded | 6 | 5.00 | 50.00 | no |" in page
    assert "Test GPU, torch 2.13" in page
    assert "| base | 1234 |" in page


def test_sections_without_numbers_are_left_out(script: ModuleType):
    results = synthetic.results()
    results.corpus, results.memory, results.profiles, results.left_out, results.missing = [], [], [], [], {}
    page = script.page(results, {})
    assert not any(f"## {title}" in page for title in ("On a GPU", "Memory", "What the time goes into", "What was not"))
