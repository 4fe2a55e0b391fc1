"""Adapters by language: the one that is asked for, with its own vocabulary; saved whole; what is wrong is told."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import sonant
from sonant.checkpoints import differing, load_checkpoint, save_checkpoint
from sonant.errors import (
    CheckpointError,
    CheckpointMismatch,
    ConfigurationError,
    ModelWarning,
    UnknownName,
    UnsafeCheckpoint,
)
from tests.heads import write_ctc
from tests.mms import LETTERS, vocabulary, write_mms

NOISE = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mms(tmp_path_factory.mktemp("mms"))


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "mms"))


def test_each_language_has_its_own_vocabulary(folder: Path) -> None:
    encoder = sonant.load(folder)
    assert encoder.language == "eng"
    assert encoder.languages == tuple(LETTERS)
    assert load_checkpoint(folder).heads["ctc"].metadata["vocabulary"] == list(vocabulary("eng"))
    for language in LETTERS:
        head = load_checkpoint(folder, language=language).heads["ctc"]
        assert head.metadata["vocabulary"] == list(vocabulary(language))
        assert head.tensors["weight"].shape[0] == len(vocabulary(language))


def test_two_letters_name_a_language_where_they_mean_one(folder: Path) -> None:
    encoder = sonant.load(folder, language="fr")
    assert encoder.language == "fra"
    encoder.set_language("ur")
    assert encoder.language == "urd-script_arabic"
    assert sonant.transcribe(NOISE, model=encoder, language="de") == sonant.load(folder, language="deu").transcribe(
        NOISE
    )
    adapter = encoder.heads["ctc"]
    encoder.set_language("de")
    assert encoder.heads["ctc"] is adapter  # as it was: it may have been trained
    table = json.loads((folder / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({**table, "urd-script_latin": table["eng"]}))
    shutil.copy(folder / "adapter.eng.safetensors", folder / "adapter.urd-script_latin.safetensors")
    with pytest.raises(UnknownName, match="It may mean urd-script_arabic or urd-script_latin: name one"):
        sonant.load(folder, language="ur")
    for unknown in ("it", "zh", "xx", "f"):
        with pytest.raises(UnknownName, match=f"no language of .* '{unknown}'"):
            encoder.set_language(unknown)


def test_switching_leaves_the_rest_alone_and_comes_back_to_the_bit(folder: Path) -> None:
    encoder = sonant.load(folder)
    before = {name: tensor.clone() for name, tensor in encoder.model.state_dict().items()}
    places = {name: tensor.data_ptr() for name, tensor in encoder.model.state_dict().items()}
    text = encoder.transcribe(NOISE).text
    encoder.set_language("deu")
    changed = differing(before, encoder.model.state_dict())
    assert changed == sorted(name for name in before if ".adapter." in name)
    assert set(encoder.transcribe(NOISE).text) <= {" ", *LETTERS["deu"]}
    encoder.set_language("eng")
    assert not differing(before, encoder.model.state_dict())
    assert places == {name: tensor.data_ptr() for name, tensor in encoder.model.state_dict().items()}
    assert encoder.transcribe(NOISE).text == text


def test_a_task_of_the_language_before_is_not_run_on_the_head_of_another(folder: Path) -> None:
    encoder = sonant.load(folder)
    sink = encoder.head_pipeline("transcription").make_sink(SimpleNamespace(seconds=lambda: 1.0))
    encoder.set_language("fra")
    with pytest.raises(ConfigurationError, match="switched to another language"):
        sink.append(torch.zeros(1, 5, encoder.dim))


def test_what_was_trained_comes_back(folder: Path, tmp_path: Path) -> None:
    encoder = sonant.load(folder)
    with torch.no_grad():
        encoder.model.encoder.layers[0].adapter.inner.weight.mul_(2)
        encoder.heads["ctc"].linear.bias.add_(1)
    trained = encoder.model.encoder.layers[0].adapter.inner.weight.clone()
    bias = encoder.heads["ctc"].linear.bias.clone()
    encoder.set_language("fra")
    assert not torch.equal(encoder.model.encoder.layers[0].adapter.inner.weight, trained)
    encoder.save_pretrained(tmp_path / "saved")
    encoder.set_language("eng")
    for model in (encoder, sonant.load(tmp_path / "saved", language="eng")):
        assert torch.equal(model.model.encoder.layers[0].adapter.inner.weight, trained)
        assert torch.equal(model.heads["ctc"].linear.bias, bias)


def test_an_unknown_language_is_told_with_those_near_it(folder: Path) -> None:
    with pytest.raises(UnknownName, match=r"language of .*mms 'fre'\. Did you mean 'fra'.*Known: deu, eng"):
        sonant.load(folder, language="fre")
    encoder = sonant.load(folder)
    with pytest.raises(UnknownName, match="Did you mean 'urd-script_arabic'"):
        encoder.set_language("urd")
    assert encoder.language == "eng"


def test_many_languages_are_not_all_listed(folder: Path) -> None:
    table = {f"l{number:04d}": vocabulary("eng") for number in range(1_100)}
    (folder / "vocab.json").write_text(json.dumps(table | {"eng": vocabulary("eng")}))
    for language in table:
        (folder / f"adapter.{language}.safetensors").hardlink_to(folder / "adapter.eng.safetensors")
    with pytest.raises(UnknownName, match="It has 1101 languages") as caught:
        sonant.load(folder, language="tlh")
    assert len(str(caught.value)) < 400


def test_a_language_of_a_model_without_adapters_is_refused(tmp_path: Path) -> None:
    write_ctc(tmp_path)
    with pytest.raises(ConfigurationError, match="no adapters by language"):
        sonant.load(tmp_path, language="eng")
    encoder = sonant.load(tmp_path)
    assert (encoder.language, encoder.languages) == (None, ())
    with pytest.raises(ConfigurationError, match="no adapters by language"):
        encoder.set_language("eng")
    with pytest.raises(ConfigurationError, match="Give that folder"):
        sonant.load(tmp_path / "model.safetensors", language="eng")


@pytest.mark.parametrize("default", [None, "eng"])
def test_the_language_of_the_weights_is_that_of_the_tokenizer_else_english(tmp_path: Path, default: str | None) -> None:
    encoder = sonant.load(write_mms(tmp_path, default=default))
    assert encoder.language == "eng"
    assert encoder.transcribe(NOISE).text


def test_a_tokenizer_of_another_language_than_the_weights_is_told(tmp_path: Path) -> None:
    write_mms(tmp_path, default="fra")
    assert sonant.load(tmp_path, language="fra").language == "fra"
    with pytest.warns(ModelWarning, match=r"are not those of .*adapter\.fra\.safetensors"):
        sonant.load(tmp_path)
    (tmp_path / "adapter.fra.safetensors").unlink()
    with pytest.warns(ModelWarning, match="does not name all 16 tokens of the head"):
        sonant.load(tmp_path)


@pytest.mark.parametrize("start", ["eng", "deu"])
def test_saved_with_every_adapter(folder: Path, tmp_path: Path, start: str) -> None:
    checkpoint = load_checkpoint(folder, language=start)
    assert save_checkpoint(tmp_path / "again", checkpoint, to="hf").aside == ()
    for language in LETTERS:
        one, other = (load_checkpoint(place, language=language) for place in (folder, tmp_path / "again"))
        assert not differing(one.backbone_state, other.backbone_state)
        assert not differing(one.heads["ctc"].tensors, other.heads["ctc"].tensors)
        assert one.heads["ctc"].metadata["vocabulary"] == other.heads["ctc"].metadata["vocabulary"]
    model = transformers.Wav2Vec2ForCTC.from_pretrained(tmp_path / "again")
    assert model.config.vocab_size == len(vocabulary(start))
    model.load_adapter("fra")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "again")
    assert tokenizer.target_lang == start


def test_saved_into_its_own_folder(folder: Path) -> None:
    encoder = sonant.load(folder, language="fra")
    text = encoder.transcribe(NOISE).text
    encoder.save_pretrained(folder)
    again = sonant.load(folder)
    assert (again.language, again.languages) == ("fra", tuple(LETTERS))
    assert again.transcribe(NOISE).text == text
    again.set_language("deu")


def test_another_model_saved_there_takes_the_adapters_away(folder: Path, tmp_path: Path) -> None:
    sonant.load(write_ctc(tmp_path / "other")).save_pretrained(folder)
    assert not list(folder.glob("adapter.*"))


def test_a_format_of_one_language_says_what_it_leaves(folder: Path, tmp_path: Path) -> None:
    with pytest.warns(ModelWarning, match="adapters of the others are not written"):
        save_checkpoint(tmp_path / "ours", load_checkpoint(folder, language="fra"), to="sonant")
    again = sonant.load(tmp_path / "ours")
    assert again.language == "fra"
    assert again.transcribe(NOISE).text == sonant.load(folder, language="fra").transcribe(NOISE).text


def test_a_folder_without_the_adapter_of_its_own_weights(folder: Path) -> None:
    (folder / "adapter.eng.safetensors").unlink()
    encoder = sonant.load(folder)
    text = encoder.transcribe(NOISE).text
    assert encoder.languages == tuple(LETTERS)
    encoder.set_language("fra")
    encoder.set_language("eng")
    assert encoder.transcribe(NOISE).text == text
    assert sonant.load(folder, language="eng").transcribe(NOISE).text == text


def test_a_vocabulary_without_an_adapter_is_no_language(folder: Path) -> None:
    (folder / "adapter.fra.safetensors").unlink()
    with pytest.raises(UnknownName, match="Known: deu, eng, urd-script_arabic"):
        sonant.load(folder, language="fra")


class TestDamage:
    """One adapter, broken in one way each."""

    def change(self, folder: Path, **tensors: torch.Tensor | None) -> None:
        path = folder / "adapter.fra.safetensors"
        state = load_file(path) | tensors
        save_file({name: tensor for name, tensor in state.items() if tensor is not None}, path)

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"lm_head.weight": None}, r"Missing \(1\): lm_head\.weight"),
            ({"lm_head.bias": torch.zeros(3)}, r"Wrong shape \(1\): lm_head\.bias"),
            (
                {"wav2vec2.encoder.layers.2.adapter_layer.norm.bias": None},
                r"Missing \(1\): encoder\.layers\.\*\.adapter",
            ),
            ({"wav2vec2.encoder.layers.3.adapter_layer.norm.bias": torch.zeros(32)}, r"Left over \(1\)"),
            ({"wav2vec2.encoder.layers.0.adapter_layer.linear_1.weight": torch.zeros(5, 32)}, r"Wrong shape \(1\)"),
            ({"wav2vec2.encoder.layers.0.attention.k_proj.bias": torch.zeros(32)}, r"Left over \(1\)"),
        ],
    )
    def test_tensors(self, folder: Path, change: dict[str, torch.Tensor | None], match: str) -> None:
        self.change(folder, **change)
        with pytest.raises(CheckpointMismatch, match=match):
            sonant.load(folder, language="fra")
        encoder = sonant.load(folder)
        before = encoder.transcribe(NOISE).text
        with pytest.raises(CheckpointMismatch, match=match):
            encoder.set_language("fra")
        assert encoder.transcribe(NOISE).text == before

    def test_a_pickle_that_calls_something(self, folder: Path) -> None:
        class Call:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return print, ("called",)

        torch.save({"lm_head.weight": Call()}, folder / "adapter.deu.bin")
        with pytest.raises(UnsafeCheckpoint):
            sonant.load(folder, language="deu")

    def test_a_name_that_leads_elsewhere(self, folder: Path) -> None:
        table = json.loads((folder / "vocab.json").read_text())
        (folder / "vocab.json").write_text(json.dumps(table | {"../../x": table["fra"]}))
        with pytest.raises(UnknownName):
            sonant.load(folder, language="../../x")

    def test_layers_that_were_taken_out(self, folder: Path) -> None:
        encoder = sonant.load(folder)
        del encoder.model.encoder.layers[2]
        with pytest.raises(ConfigurationError, match="they were changed since"):
            encoder.set_language("fra")

    def test_no_vocabulary(self, folder: Path) -> None:
        (folder / "vocab.json").unlink()
        with pytest.raises(CheckpointError, match="needs its vocab"):
            sonant.load(folder).transcribe(NOISE)
        with pytest.raises(UnknownName, match="No vocabulary"):
            sonant.load(folder, language="fra")
