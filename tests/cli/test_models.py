"""`sonant models` and `sonant models show`."""

import json

import pytest

from sonant.cli import main
from sonant.models.catalog import CATALOG, FAMILIES


def answer(capsys, *arguments: str) -> str:
    assert main(list(arguments)) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    return shown.out


def test_the_list_names_every_model_once_a_line(capsys):
    heading, *lines = answer(capsys, "models").splitlines()
    assert heading.startswith("model")
    assert [line.split()[0] for line in lines] == list(CATALOG)


def test_the_list_into_a_pipe_is_plain(capsys):
    shown = answer(capsys, "models")
    assert "\x1b" not in shown
    assert all(line == line.rstrip() for line in shown.splitlines())


@pytest.mark.parametrize("family", FAMILIES)
def test_one_family(family: str, capsys):
    rows = json.loads(answer(capsys, "models", "--family", family, "--json"))
    assert [row["name"] for row in rows] == [name for name, card in CATALOG.items() if card.family == FAMILIES[family]]
    assert {row["family"] for row in rows} == {FAMILIES[family]}


def test_the_list_as_json_has_the_numbers(capsys):
    rows = json.loads(answer(capsys, "models", "--json"))
    assert [row["name"] for row in rows] == list(CATALOG)
    large = next(row for row in rows if row["name"] == "microsoft/wavlm-large")
    assert large["parameters"] == 315_453_120
    assert (large["layers"], large["dim"], large["frame_rate"], large["normalize"]) == (24, 1024, 50.0, True)
    assert large["hours"] == 94_000


@pytest.mark.parametrize("name", CATALOG)
def test_a_card_as_json(name: str, capsys):
    card = json.loads(answer(capsys, "models", "show", name, "--json"))
    assert card["name"] == name
    assert card["config"]["num_layers"] == card["layers"] == CATALOG[name].config.num_layers
    assert set(card["presets"]) == {"speaker", "content", "emotion", "semantic"}
    assert set(card["load"]) == {"python", "shell", "transformers"}
    assert len(card["results"]) == len(CATALOG[name].results)
    assert card["paper"]["url"].startswith("https://arxiv.org/")


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("name", CATALOG)
def test_a_card_in_a_terminal_fits_its_width(name: str, width: int, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich's sign for a terminal
    monkeypatch.setenv("COLUMNS", str(width))
    shown = plain(answer(capsys, "models", "show", name))
    assert max(map(len, shown.splitlines())) <= width
    card = CATALOG[name]
    flat = " ".join(shown.split())
    assert f"{card.parameters:,}" in flat
    assert f'sonant.load("{name}")' in flat
    for note in card.notes:
        assert note in flat
    for result in card.results:
        assert result.condition in flat
        assert result.source in flat


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_list_fits_the_terminal(width: int, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    lines = plain(answer(capsys, "models")).splitlines()
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines[1 : 1 + len(CATALOG)]] == list(CATALOG)


def test_numbers_of_a_card_are_those_of_the_catalogue(capsys):
    shown = answer(capsys, "models", "show", "wavlm-large")
    assert "ASR WER 3.51" in shown
    assert "0.590  0.650  1.328  [1]" in shown
    assert "[2] UniSpeech's README" in shown


def test_a_fine_tuned_model_without_results_points_to_its_origin(capsys):
    assert "see facebook/hubert-xlarge-ll60k" in answer(capsys, "models", "show", "hubert-xlarge-ls960-ft")


def test_the_shipped_model_is_on_no_hub(capsys):
    assert "sonant convert sonant/wavlm-tiny" in answer(capsys, "models", "show", "wavlm-tiny")


def plain(text: str) -> str:
    """Without the terminal's colours."""
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)
