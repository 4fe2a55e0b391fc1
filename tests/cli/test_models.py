"""`sonant models`, `sonant models show` and `sonant models compare`."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

import sonant
from sonant.cli import main
from sonant.models.catalog import CATALOG, find
from sonant.models.families import TITLES


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


@pytest.mark.parametrize("family", TITLES)
def test_one_family(family: str, capsys):
    rows = json.loads(answer(capsys, "models", "--family", family, "--json"))
    assert [row["name"] for row in rows] == [name for name, card in CATALOG.items() if card.family == TITLES[family]]
    assert {row["family"] for row in rows} == {TITLES[family]}


def test_help_names_every_family(capsys):
    assert "|".join(TITLES) in "".join(answer(capsys, "models", "--help").split())


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
    assert card["layers"] == CATALOG[name].config.num_layers
    assert card["config"] == json.loads(json.dumps(asdict(CATALOG[name].config)))
    assert set(card["presets"]) == {"speaker", "content", "emotion", "semantic"}
    assert {"python", "shell"} <= set(card["load"]) <= {"python", "shell", "transformers"}
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
    source = name if card.address is None else card.address.rpartition("/")[2].replace(".tar", ".pt")
    assert f'sonant.load("{source}"' in flat
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


def test_numbers_of_a_card_are_those_of_the_catalog(capsys):
    shown = answer(capsys, "models", "show", "wavlm-large")
    assert "ASR WER 3.51" in shown
    assert "0.590  0.650  1.328  [1]" in shown
    assert "[2] UniSpeech's README" in shown


def test_a_fine_tuned_model_without_results_points_to_its_origin(capsys):
    assert "see facebook/hubert-xlarge-ll60k" in answer(capsys, "models", "show", "hubert-xlarge-ls960-ft")


def test_the_shipped_model_is_on_no_hub(capsys):
    assert "sonant convert sonant/wavlm-tiny" in answer(capsys, "models", "show", "wavlm-tiny")


def test_a_file_that_is_on_no_hub_says_where_it_lies(capsys):
    card = json.loads(answer(capsys, "models", "show", "wav2vec_large", "--json"))
    assert card["address"] == "https://dl.fbaipublicfiles.com/fairseq/wav2vec/wav2vec_large.pt"
    assert card["load"]["python"] == 'encoder = sonant.load("wav2vec_large.pt")'
    assert card["address"] in answer(capsys, "models", "show", "wav2vec_large")


def test_the_bert_on_codes_is_loaded_with_what_makes_the_codes(capsys):
    load = json.loads(answer(capsys, "models", "show", "bert_kmeans", "--json"))["load"]
    assert load["shell"] == "tar -xf bert_kmeans.tar"
    assert load["python"] == 'encoder = sonant.load("bert_kmeans.pt", tokenizer="vq-wav2vec_kmeans.pt")'


@pytest.mark.parametrize("card", [card for card in CATALOG.values() if card.address], ids=lambda card: card.short_name)
def test_asking_for_a_file_that_is_on_no_hub_says_where_it_lies(card, tmp_path, capsys):
    recording = tmp_path / "a.wav"
    recording.touch()
    assert main(["embed", str(recording), "-o", str(tmp_path / "a.npy"), "--model", card.name]) == 1
    assert card.address in capsys.readouterr().err


THREE = ("wavlm-large", "hubert-large-ll60k", "fairseq/vq-wav2vec")


def test_a_comparison_as_json(capsys):
    shown = json.loads(answer(capsys, "models", "compare", *THREE, "--json"))
    assert [model["name"] for model in shown["models"]] == [find(name).name for name in THREE]
    assert [model["presets"]["speaker"]["layer"] for model in shown["models"]] == [6, 6, 3]
    results = {(row["benchmark"], row["condition"], row["metric"]): row for row in shown["results"]}
    every = {
        (result.benchmark, result.condition, metric)
        for name in THREE
        for result in find(name).results
        for metric in result.scores
    }
    assert set(results) == every
    sid = results["SUPERB", "frozen, weighted sum of layers", "SID acc"]
    assert sid["values"] == {"microsoft/wavlm-large": 95.25, "facebook/hubert-large-ll60k": 90.33, THREE[2]: 38.80}
    assert sid["best"] == 95.25
    assert results["LibriSpeech WER", "fine-tuned on 100 h, Transformer language model", "test-other"]["best"] == 3.9
    assert results["LibriCSS WER", "continuous separation", "0S"]["best"] is None  # one model alone has it


def test_a_comparison_in_a_pipe_has_one_line_a_fact(capsys):
    lines = answer(capsys, "models", "compare", *THREE).splitlines()
    rows = {line.partition("  ")[0]: line.split()[-3:] for line in lines if "  " in line}
    assert rows["parameters"] == ["M", "30.9", "M"]
    assert rows["ASV EER"] == ["4.04*", "5.98", "10.38"]
    assert rows["QbE MTWV"] == ["0.0827*", "0.0353", "0.0410"]
    assert lines[0].split() == [find(name).name for name in THREE]
    assert sum("VoxPopuli 24,000 h" in line for line in lines) == 1
    hour = next(line for line in lines if line.startswith("fine-tuned on 1 h, Transformer"))
    assert hour.split()[-7:] == "2.9 / 5.1* 2.9 / 5.4 -".split()
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("width", [100, 160])
def test_a_comparison_of_three_fits_a_terminal(width: int, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    shown = plain(answer(capsys, "models", "compare", *THREE))
    assert max(map(len, shown.splitlines())) <= width
    for name in THREE:
        for result in find(name).results:
            assert all(f"{score:g}" in shown for score in result.scores.values())


def test_labeled_speech_grows_downwards_whichever_model_has_what(capsys):
    shown = answer(capsys, "models", "compare", "wavlm-large", "wav2vec2-large-lv60")
    amounts = re.findall(r"^fine-tuned on (\d+ \w+), (?:no|4-gram|Transformer) language", shown, re.MULTILINE)
    assert list(dict.fromkeys(amounts)) == ["10 min", "1 h", "10 h", "100 h", "960 h"]
    assert amounts == sorted(amounts, key=["10 min", "1 h", "10 h", "100 h", "960 h"].index)


def test_models_without_published_numbers_can_be_compared(capsys):
    shown = answer(capsys, "models", "compare", "wavlm-tiny", "wav2vec2-xls-r-1b")
    assert "none of them is in our tables" in shown
    assert "*" not in shown


@pytest.mark.parametrize("names", [[], ["wavlm-base"], ["wavlm-base", "microsoft/wavlm-base"]])
def test_one_model_is_no_comparison(names: list[str], capsys):
    assert main(["models", "compare", *names]) == 2
    assert "two models" in capsys.readouterr().err or not names


def plain(text: str) -> str:
    """Without the terminal's colors."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_measurements_of_the_layers_are_printed(capsys) -> None:
    """Those of the shipped model, and those in a folder."""
    shown = answer(capsys, "models", "show", "wavlm-tiny")
    assert "Measured by layer" in shown
    assert "89.4 [82.9, 94.1] %" in shown
    card = json.loads(answer(capsys, "models", "show", "wavlm-tiny", "--json"))["measured"]
    assert card["models"][0]["curves"][0]["values"][0]["value"] == 0.894
    assert json.loads(answer(capsys, "models", "show", "wavlm-large", "--json"))["measured"] is None
    folder = Path(sonant.models.__file__).parent / "wavlm_tiny"
    assert "Measured by layer" in answer(capsys, "models", "show", str(folder))
    assert json.loads(answer(capsys, "models", "show", str(folder), "--json"))["measured"] == card
