"""The page of one model."""

import html as entities
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

import sonant
from sonant.analysis import Estimate
from sonant.analysis.card import write_card
from sonant.models.catalog import CATALOG
from sonant.models.families import TITLES
from sonant.server.settings import ServerSettings
from sonant.server.web.about import SUMMARIES
from sonant.server.web.code_samples import TOOLS, samples
from sonant.server.web.entries import ModelEntry
from tests.analysis.report.made_up import analysis
from tests.server.running import RunningServer, running
from tests.server.web.conftest import HOSTILE, HTML
from tests.server.web.html import Document

PYTHON = ("openai", "sonant")
NODE = ["node", "--input-type=module", "--eval"]
COMMANDS = {"curl": ["bash", "-c"], "openai": [sys.executable, "-c"], "node": NODE, "fetch": NODE}
SPEECH = Path(__file__).parents[3] / "examples" / "speech" / "en-allison-welcome.flac"


def _twin(server: RunningServer, model: str) -> dict:
    return httpx2.get(f"{server.base_url}/models/{quote(model)}?format=json").json()


def test_every_family_is_described() -> None:
    assert set(SUMMARIES) == set(TITLES.values())


def test_every_model_has_a_page(server: RunningServer) -> None:
    with httpx2.Client(base_url=server.base_url, headers=HTML) as client:
        for card in CATALOG.values():
            page = client.get(f"/models/{card.name}")
            assert page.status_code == 200
            assert not Document(page.text).faults
            assert card.name in page.text
            assert card.data in entities.unescape(page.text)


def test_facts_are_those_of_the_card(server: RunningServer) -> None:
    card = CATALOG["facebook/w2v-bert-2.0"]
    model = _twin(server, card.name)["model"]
    assert model["specs"]["parameters"] == card.parameters
    assert model["specs"]["receptive_field"] == card.config.receptive_field == 560
    assert model["specs"]["frame_rate"] == card.frame_rate
    assert model["origin"]["hours"] == card.hours
    assert model["recordings"]["min_seconds"] == 560 / 16000
    assert (model["state"], model["is_hosted"]) == ("unloaded", False)
    assert model["live"] is None


def test_a_served_model_tells_how_it_does(server: RunningServer) -> None:
    model = _twin(server, "sonant/wavlm-tiny")["model"]
    assert model["state"] == "live"
    assert model["specs"]["parameters"] == CATALOG["sonant/wavlm-tiny"].parameters
    assert model["live"]["queue_seconds"] == 0
    assert model["live"]["audio_seconds_per_second"] > 0
    assert model["created"] > 0


def test_prices_are_exact(server: RunningServer) -> None:
    price = _twin(server, "sonant/wavlm-tiny")["model"]["price"]
    assert price == {"per_million_tokens": "0", "per_audio_hour": "0.01", "hour_in_all": "0.01", "currency": "USD"}


def test_numbers_and_their_places(server: RunningServer) -> None:
    tables = {table["benchmark"]: table for table in _twin(server, "microsoft/wavlm-large")["benchmarks"]}
    (superb,) = tables["SUPERB"]["rows"]
    standings = {standing["metric"]: standing for standing in superb["standings"]}
    assert (standings["PR PER"]["text"], standings["PR PER"]["place"], standings["PR PER"]["of"]) == ("3.09", 1, 9)
    assert (standings["IC acc"]["text"], standings["IC acc"]["place"]) == ("99.10", 2)
    assert standings["IC acc"]["higher_is_better"]
    assert not standings["PR PER"]["higher_is_better"]
    page = httpx2.get(f"{server.base_url}/models/microsoft/wavlm-large", headers=HTML).text
    assert superb["source"] in entities.unescape(page)


def test_relations(server: RunningServer) -> None:
    tuned = {each["id"]: each["relation"] for each in _twin(server, "facebook/wav2vec2-base-960h")["related"]}
    assert tuned["facebook/wav2vec2-base"] == "what it was fine-tuned from"
    assert tuned["facebook/wav2vec2-base-100h"] == "fine-tuned from the same"
    origin = {each["id"]: each["relation"] for each in _twin(server, "facebook/wav2vec2-base")["related"]}
    assert origin["facebook/wav2vec2-base-960h"] == "fine-tuned from it"
    assert "similar size" in origin.values()
    assert "facebook/wav2vec2-base" not in origin


def test_short_names_lead_to_the_page(server: RunningServer) -> None:
    response = httpx2.get(f"{server.base_url}/models/wavlm-large")
    assert (response.status_code, response.headers["location"]) == (307, "/models/microsoft/wavlm-large")


@pytest.mark.parametrize("model", ["nobody/nothing", "a/b/c", "..%2f..%2fetc", "models/sonant/wavlm-tiny"])
def test_unknown_models(server: RunningServer, model: str) -> None:
    response = httpx2.get(f"{server.base_url}/models/{model}")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"


def test_a_model_of_ones_own(odd_server: RunningServer) -> None:
    """It is told what can be seen of it, and its name is only ever a name."""
    page = httpx2.get(f"{odd_server.base_url}/models/{quote(HOSTILE)}", headers=HTML)
    assert page.status_code == 200
    assert HOSTILE not in page.text
    document = Document(page.text)
    assert not document.faults
    assert HOSTILE in [text for tag, text in document.texts if tag == "h1"]
    data = _twin(odd_server, HOSTILE)
    assert data["model"]["specs"]["dim"] == 256
    assert data["model"]["origin"] is None
    for sample in data["code"]:
        if sample["tool"] in PYTHON:
            compile(sample["code"], sample["tool"], "exec")


def test_a_model_that_could_not_be_loaded(odd_server: RunningServer) -> None:
    page = httpx2.get(f"{odd_server.base_url}/models/broken", headers=HTML)
    assert page.status_code == 200
    assert not Document(page.text).faults
    assert _twin(odd_server, "broken")["model"]["specs"] is None
    assert str(odd_server.services.settings.data.parent) not in page.text  # no paths of this machine


def test_answers_are_true(server: RunningServer) -> None:
    questions = {each["question"]: each["answer"] for each in _twin(server, "fairseq/wav2vec_large")["questions"]}
    assert "100 a second" in questions["What do I get for a recording?"]
    assert "360,000" in questions["What is a token?"]
    assert "Can I use it here?" in questions
    terms = {each["question"]: each["answer"] for each in _twin(server, "facebook/mms-1b")["questions"]}
    assert "does not allow commercial use" in terms["Under which license are the weights?"]


def test_code_is_written_for_every_model_and_ability(every: list[ModelEntry]) -> None:
    for model in every:
        found = samples(model, "https://speech.example")
        assert [(each.ability, each.tool) for each in found] == list(product(model.abilities, TOOLS))
        for each in found:
            assert not re.search(r"\{(url|name|source|load|dim|frame_rate)", each.code)
            if each.tool in PYTHON:
                compile(each.code, model.id, "exec")


@pytest.mark.slow
def test_copied_code_runs(server: RunningServer, tmp_path: Path) -> None:
    """Every program on the page of a live model, as it stands there; JavaScript where Node and its openai are here."""
    for name in ("speech.wav", "known.wav", "meeting.wav"):
        (tmp_path / name).write_bytes(SPEECH.read_bytes())
    environment = os.environ | {"SONANT_API_KEY": server.user_key}

    def run(command: list[str], code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    lacking = set() if shutil.which("node") else {"node", "fetch"}
    if not lacking and run(NODE, 'import "openai"').returncode:
        lacking = {"node"}
    for sample in _twin(server, "sonant/wavlm-tiny")["code"]:
        assert re.search(rf"{server.base_url}|import sonant", sample["code"])
        if sample["tool"] in lacking:
            continue
        done = run(COMMANDS.get(sample["tool"], [sys.executable, "-c"]), sample["code"])
        assert done.returncode == 0, done.stderr
        if sample["tool"] == "curl":
            assert '"error"' not in done.stdout
            assert '"usage"' in done.stdout


def test_measured_layers_are_shown(server: RunningServer) -> None:
    """Those of the shipped model: the same values on the page, in its JSON form, and in the API."""
    measured = _twin(server, "sonant/wavlm-tiny")["model"]["measured"]
    assert measured["revision"] == sonant.load("sonant/wavlm-tiny", device="cpu").revision
    page = httpx2.get(f"{server.base_url}/models/sonant/wavlm-tiny", headers=HTML).text
    assert page.count("<figure>") == len(measured["curves"]) == 4
    assert "style=" not in page.partition('id="measured"')[2].partition('id="faq"')[0], "the policy forbids it"
    for curve in measured["curves"]:
        assert len(curve["values"]) == len(measured["layer_names"]) == 9
        for each in curve["values"]:
            assert str(Estimate(**each)) in page
    assert entities.escape(measured["command"]) in page
    assert _twin(server, "facebook/w2v-bert-2.0")["model"]["measured"] is None


def test_a_served_folder_shows_its_own_analysis(tmp_path: Path) -> None:
    """With names that are no markup; not if it is of other weights."""
    evil = "</figure><script>alert(1)</script>"
    folder = Path(sonant.models.__file__).parent / "wavlm_tiny"
    made = analysis(9, clips=8, text=evil)
    revision = sonant.load("sonant/wavlm-tiny", device="cpu").revision
    for name, of in (("same", revision), ("other", "sha256:0")):
        shutil.copytree(folder, tmp_path / name)
        write_card(tmp_path / name, replace(made, models=(replace(made.models[0], revision=of),)))
    models = tuple(str(tmp_path / name) for name in ("same", "other"))
    with running(ServerSettings(data=tmp_path / "data", models=models)) as server:
        same, other = (httpx2.get(f"{server.base_url}/models/{name}", headers=HTML).text for name in ("same", "other"))
    assert same.count("<figure>") == 7
    assert "alert(1)" in same
    assert "<script>alert" not in same
    assert not Document(same).faults
    assert 'id="measured"' not in other
