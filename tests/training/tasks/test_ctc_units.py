"""Units of transcripts: models trained on each are served, and transformers reads the same text in what they write."""

import json
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

import sonant
from sonant.checkpoints import Checkpoint, Head, load_checkpoint, save_pretrained
from sonant.data.subwords import Subwords
from sonant.decoding.ctc import BestPath, path_transcript
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.results import Transcript
from sonant.errors import ConfigurationError, ManifestError
from sonant.extraction.text_units import Bytes
from sonant.extraction.vocabularies import vocabulary_of
from sonant.models import WavLMConfig, build
from sonant.recipes.tasks import task_run
from sonant.tasks import CTCHead
from sonant.training.tasks import CTCTask, TaskRun, train_task
from tests.shapes import TINY
from tests.training.tasks.test_ctc import write_words
from tests.training.tasks.tones import write_model

LEXICON = "".join(f"{word} {' '.join(f'{letter.upper()}H' for letter in word)}\n" for word in ("ab", "ba", "a", "b"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for part, words in (("train", ["ab ba", "b a", "ab", "ba b a", "a é", "ab ab"]), ("dev", ["ab", "é a"])):
        manifest = write_words(folder / part, len(words))
        rows = [json.loads(line) | {"text": text} for line, text in zip(manifest.open(), words, strict=True)]
        manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "lexicon.txt").write_text(f"{LEXICON}\né EH\nab never used\n")
    write_model(folder / "model", WavLMConfig(**TINY))
    return folder


def short_run(corpus: Path, output: Path, **changes: Any) -> TaskRun:
    settings = {
        "model": str(corpus / "model"),
        "data": str(corpus / "train"),
        "dev": str(corpus / "dev"),
        "output": str(output),
        "batching": {"batch_seconds": 8, "max_seconds": 4},
        "training": {"steps": 2, "validate_every": 2},
        "trackers": [],
    }
    return task_run("ctc", [settings, changes])


def settings_of(vocabulary: str, corpus: Path) -> dict[str, Any]:
    more = {"phones": {"lexicon": str(corpus / "lexicon.txt")}, "subwords": {"num_subwords": 12}}
    return {"vocabulary": vocabulary, **more.get(vocabulary, {})}


@pytest.mark.parametrize("vocabulary", ["characters", "phones", "subwords", "bytes"])
def test_what_is_trained_is_read_by_transformers_and_trained_further(
    vocabulary: str, corpus: Path, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    settings = settings_of(vocabulary, corpus)
    folder = train_task(short_run(corpus, tmp_path, task=settings))
    saved = load_checkpoint(folder).heads["ctc"]
    theirs = transformers.AutoModelForCTC.from_pretrained(folder)
    assert torch.equal(theirs.lm_head.weight, saved.tensors["weight"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    vocabulary_ = vocabulary_of(saved, "it")
    assert len(tokenizer) == len(vocabulary_.tokens)

    given = {"subwords": str(folder / "tokenizer.model")} if vocabulary == "subwords" else {}
    units = CTCTask(**settings | given).units("ab ab é")
    numbers = [vocabulary_.tokens.index(unit) for unit in units]
    found = decoded(numbers, vocabulary_)
    assert found.text == ("AH BH AH BH EH" if vocabulary == "phones" else "ab ab é")
    assert [word.text for word in found.words] == found.text.split()
    assert [word.start_seconds for word in found.words] == sorted({word.start_seconds for word in found.words})
    path = [number for unit in numbers for number in (unit, unit, vocabulary_.blank)]
    assert tokenizer.decode(numbers if vocabulary == "bytes" else path) == found.text  # ByT5's collapses nothing

    further = {"vocabulary": "checkpoint"}
    again = train_task(short_run(corpus, tmp_path, name="further", model=str(folder), task=further))
    validated = [json.loads(line) for line in (again.parent / "metrics.jsonl").open()][-1]
    assert any(name.endswith("per" if vocabulary == "phones" else "wer") for name in validated), validated
    for name in ("lexicon.txt", "vocab.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model"):
        assert (folder / name).is_file() == (again / name).is_file()
        assert not (folder / name).is_file() or (folder / name).read_bytes() == (again / name).read_bytes()
    sonant.load(folder).save_pretrained(tmp_path / "copy")
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "copy" / path.name).read_bytes(), path.name
    trained = load_checkpoint(again).heads["ctc"].tensors["weight"]
    assert 0 < float((trained - saved.tensors["weight"]).abs().max()) < 0.01


def test_a_head_with_an_lstm_is_served_and_trained_further(corpus: Path, tmp_path: Path) -> None:
    changes = {"layer": "weighted", "task": {"lstm_dim": 6}}
    folder = train_task(short_run(corpus, tmp_path, **changes))
    saved = load_checkpoint(folder).heads["ctc"].tensors
    head = CTCHead.from_tensors(saved)
    assert head.lstm is not None
    assert (head.lstm.layers.num_layers, head.lstm.dim, head.linear.in_features) == (2, 12, 12)
    clips = [np.random.default_rng(seed).normal(size=size).astype(np.float32) for seed, size in ((0, 9000), (1, 5000))]
    encoder = sonant.load(folder)
    together, alone = encoder.emissions(clips), [encoder.emissions(clip) for clip in clips]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)

    further = changes | {"task": {"vocabulary": "checkpoint"}, "model": str(folder), "name": "further"}
    again = load_checkpoint(train_task(short_run(corpus, tmp_path, **further))).heads["ctc"].tensors
    assert again.keys() == saved.keys()
    assert 0 < float((again["lstm.weight_hh_l1"] - saved["lstm.weight_hh_l1"]).abs().max()) < 0.01
    with pytest.raises(ConfigurationError, match=r"lora\.save=apart was given .*lstm_dim=6"):
        train_task(short_run(corpus, tmp_path, task={"lstm_dim": 6}, lora={"rank": 2, "save": "apart"}))
    with pytest.raises(ConfigurationError, match="Leave one of the two out"):
        CTCTask(lstm_dim=6, vocabulary="checkpoint")


def test_subwords_of_a_run_that_did_not_begin_are_made_again(tmp_path: Path) -> None:
    checkpoint = Checkpoint(WavLMConfig(**TINY), {})
    labels = ["ab ba", "b a", "ba b a"]

    def tokens(size: int, *, resumed: bool) -> int:
        task = CTCTask(vocabulary="subwords", num_subwords=size)
        return len(
            task.fitted(labels, checkpoint=checkpoint, model="it", folder=tmp_path, resumed=resumed).classes(labels)
        )

    assert tokens(9, resumed=False) == tokens(8, resumed=True) == 9
    assert tokens(8, resumed=False) == 8


@pytest.mark.parametrize(
    ("vocabulary", "label", "unread"),
    [("characters", "a|b", "|"), ("characters", "▁a", "▁")]
    + [("phones", f"AH {token}", token) for token in ("<pad>", "<s>", "[UNK]", "▁", "▁K", "<0x41>")],
)
def test_what_would_be_read_as_something_else_is_refused(
    vocabulary: Literal["characters", "phones"], label: str, unread: str
) -> None:
    with pytest.raises(ManifestError, match=f"contains {re.escape(repr(unread))}"):
        CTCTask(vocabulary=vocabulary).classes(["a", label])
    assert "|" in CTCTask(vocabulary="phones").classes(["AH | K"])


def decoded(numbers: list[int], vocabulary: CTCVocabulary) -> Transcript:
    """Decode tokens, each of two frames and followed by a blank."""
    path = np.array([number for token in numbers for number in (token, token, vocabulary.blank)])
    return path_transcript(
        BestPath(path, np.ones(len(path), np.float32)), vocabulary, frame_rate=1.0, duration_seconds=0.0
    )


def test_bytes_make_characters_and_those_of_no_character_are_dropped() -> None:
    vocabulary = CTCVocabulary.of(Bytes().tokens(()))
    text = "né 你 x"
    numbers = [3 + byte for byte in text.encode()]
    found = decoded(numbers, vocabulary)
    assert found.text == text
    assert [(word.start_seconds, word.end_seconds) for word in found.words] == [(0, 8), (12, 20), (24, 26)]
    broken = [3 + byte for byte in b"a\xe4\xbd b\xff\x80c \xe4"]
    assert decoded(broken, vocabulary).text == "a bc"


def test_units_that_cannot_be_spelled_are_listed_by_count(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("a AH\nb BH\n")
    for task, message in (
        ({"vocabulary": "phones", "lexicon": str(tmp_path / "short.txt")}, "'no phones of ab' in 3, 'no phones of ba'"),
        ({"vocabulary": "subwords", "subwords": str(subwords_of(["ab ba"], tmp_path))}, "'no piece for é' in 1"),
    ):
        with pytest.raises(ManifestError, match=message):
            train_task(short_run(corpus, tmp_path, task=task))
    rows = [json.loads(line) for line in (corpus / "train/manifest.jsonl").open()]
    rows = [row | {"path": str(corpus / "train" / row["path"]), "text": f"{row['text']} 7"} for row in rows]
    (tmp_path / "digits.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {"vocabulary": "bytes", "digits": "refuse"}
    with pytest.raises(ManifestError, match="'digit 7' in 6"):
        train_task(short_run(corpus, tmp_path, data=str(tmp_path / "digits.jsonl"), task=task))


def subwords_of(texts: list[str], folder: Path) -> Path:
    Subwords.train(texts, folder / "small.model", size=7, kind="unigram")
    return folder / "small.model"


def test_a_checkpoint_must_spell_the_transcripts(corpus: Path, tmp_path: Path) -> None:
    task = {"vocabulary": "checkpoint"}
    with pytest.raises(ConfigurationError, match="has no CTC head"):
        train_task(short_run(corpus, tmp_path, task=task))
    config = WavLMConfig(**TINY)
    for tokens, message in (
        (["<pad>", "<unk>", "|", "a", "é"], "'b' in 5"),
        (["<pad>", "<unk>", "a", "b", "é"], "'a space' in 5"),
        (["<pad>", "<unk>", "▁ab", "a", "b"], "can be spelled in many ways, and there is no tokenizer.model"),
    ):
        head = Head({"weight": torch.zeros(5, config.dim), "bias": torch.zeros(5)}, {"vocabulary": tokens})
        save_pretrained(build(config), tmp_path / "model", heads={"ctc": head})
        with pytest.raises((ManifestError, ConfigurationError), match=message):
            train_task(short_run(corpus, tmp_path, model=str(tmp_path / "model"), task=task))


def test_a_lexicon_that_has_changed_is_refused(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_text((corpus / "lexicon.txt").read_text())
    run = short_run(corpus, tmp_path, task={"vocabulary": "phones", "lexicon": str(tmp_path / "lexicon.txt")})
    train_task(run)
    (tmp_path / "lexicon.txt").write_text((corpus / "lexicon.txt").read_text().replace("a AH", "a BH"))
    with pytest.raises(ConfigurationError, match="began with another lexicon.txt"):
        train_task(run)


def test_settings_that_have_no_use_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="task.vocabulary=characters has no use for it"):
        CTCTask(lexicon="lexicon.txt")
    (tmp_path / "bad.txt").write_text("A AH\nB\n")
    with pytest.raises(ConfigurationError, match="line 2: 'B' has no phones"):
        CTCTask(vocabulary="phones", lexicon=str(tmp_path / "bad.txt")).units("A")
