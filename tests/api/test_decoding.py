"""Decoders reach recordings: a batch decodes as each alone, windows as one stream, and jobs know their decoder."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import sonant
from sonant.api import SpeechEncoder, decoder_tuning
from sonant.api.decoder_tuning import tune_decoder
from sonant.checkpoints.transformer_lm import TextModel, save_transformer_lm
from sonant.data.text_tokenizers import SPECIALS, UnitTokenizer
from sonant.decoding.prefix_beam import BeamSearch, PrefixBeamDecoder
from sonant.decoding.rescoring import Rescoring, rescore
from sonant.errors import ConfigurationError, ManifestError, SonantWarning
from sonant.extraction.decoder_options import DecoderOptions
from sonant.extraction.language_models import read_text_scorer
from sonant.layers.packed import Packed
from tests.arpa import write_lm
from tests.heads import write_ctc
from tests.models.language_models import small_lm

RATE = 16_000
SMALL = {"beam": 4, "beam_tokens": 4}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> SpeechEncoder:
    return sonant.load(write_ctc(tmp_path_factory.mktemp("ctc")))


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [0.1 * rng.standard_normal(round(seconds * RATE), np.float32) for seconds in (0.5, 0.3, 0.4)]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory, encoder: SpeechEncoder, clips: list[np.ndarray]) -> Path:
    """A manifest, with what the model writes by the beam as transcripts."""
    folder = tmp_path_factory.mktemp("recordings")
    rows = []
    for number, (clip, said) in enumerate(zip(clips, encoder.transcribe(clips, **SMALL), strict=True)):
        soundfile.write(folder / f"{number}.wav", clip, RATE, subtype="FLOAT")
        rows.append({"path": f"{number}.wav", "text": said.text})
    (folder / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "all.jsonl"


@pytest.fixture(scope="module")
def lm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Transformer of characters."""
    tokenizer = UnitTokenizer([*SPECIALS, *"etaonihs"], "characters")
    folder = tmp_path_factory.mktemp("transformer") / "lm"
    save_transformer_lm(TextModel(small_lm(len(tokenizer)), tokenizer, "characters", "lower", "test"), folder)
    return folder


def test_a_batch_decodes_as_each_alone_and_as_the_beam_on_its_emissions(
    encoder: SpeechEncoder, clips: list[np.ndarray]
) -> None:
    together = encoder.transcribe(clips, n_best=3, **SMALL)
    for clip, found in zip(clips[:2], together, strict=False):
        alone = encoder.transcribe(clip, n_best=3, **SMALL)
        assert [each.text for each in found.alternatives] == [each.text for each in alone.alternatives]
        assert len(found.alternatives) == 3
        assert (found.text, found.words) == (found.alternatives[0].text, found.alternatives[0].words)
        assert found.duration_seconds == len(clip) / RATE
        emission = torch.from_numpy(encoder.emissions(clip))
        search = PrefixBeamDecoder(encoder.ctc_vocabulary, BeamSearch(n_best=3, **SMALL))
        (expected,) = search.decode(Packed.pack([emission]), frame_rate=encoder.frame_rate)
        assert [each.text for each in expected] == [each.text for each in alone.alternatives]
        assert [each.score for each in expected] == pytest.approx([each.score for each in alone.alternatives], rel=1e-4)
        decode = encoder.transcript_decoder(DecoderOptions())
        assert decode([(emission, 1.0)])[0].text == encoder.transcribe(clip).text
    assert encoder.transcript_decoder(DecoderOptions(**SMALL))([]) == []


def test_keywords_of_a_request_share_what_was_read(
    encoder: SpeechEncoder, clips: list[np.ndarray], tmp_path: Path
) -> None:
    how = {"lm": write_lm(tmp_path / "lm.arpa", ["A", "B"]), "hot_words": ("TEA",), **SMALL}
    emission = torch.from_numpy(encoder.emissions(clips[0]))
    base = encoder.transcript_decoder(DecoderOptions(**how))
    before = base([(emission, 1.0)])
    (found,) = base.with_keywords(["HAT"], 2)([(emission, 1.0)])
    (expected,) = encoder.transcript_decoder(DecoderOptions(**how | {"hot_words": ("TEA", "HAT")}, n_best=2))(
        [(emission, 1.0)]
    )
    assert found == expected
    assert base([(emission, 1.0)]) == before
    greedy = encoder.transcript_decoder(DecoderOptions())
    assert len(greedy.with_keywords([], 3)([(emission, 1.0)])[0].alternatives) == 3


def test_the_beam_goes_over_windows_as_one_stream(encoder: SpeechEncoder, clips: list[np.ndarray]) -> None:
    """An emission of windows is that of their middles, and is decoded once."""
    wave, cut = np.concatenate(clips), {"window_seconds": 0.8, "overlap_seconds": 0.2}
    emission = torch.from_numpy(encoder.emissions(wave, **cut))
    (expected,) = encoder.transcript_decoder(DecoderOptions(**SMALL))([(emission, len(wave) / RATE)])
    assert encoder.transcribe(wave, **cut, **SMALL) == expected
    assert len(emission) == len(encoder.emissions(wave))


def test_a_job_writes_alternatives_and_refuses_another_decoder(
    encoder: SpeechEncoder, recordings: Path, tmp_path: Path
) -> None:
    greedy, output = tmp_path / "greedy", tmp_path / "out"
    encoder.write_transcripts(recordings, greedy, format="json")
    assert "alternatives" not in json.loads((greedy / "0.json").read_text())
    assert "decoder" not in json.loads((greedy / "settings.json").read_text())
    encoder.write_transcripts(recordings, output, format="json", n_best=2, **SMALL)
    row = json.loads((output / "1.json").read_text())
    assert [set(each) for each in row["alternatives"]] == 2 * [{"text", "confidence", "score", "emission_score"}]
    assert row["alternatives"][0]["text"] == row["text"]
    with pytest.raises(ConfigurationError, match=r"decoder\.beam: there 4, now 5"):
        encoder.write_transcripts(recordings, output, format="json", n_best=2, beam=5, beam_tokens=4)
    lms = [write_lm(tmp_path / f"{number}.arpa", ["A", "B"][: number + 1]) for number in (0, 1)]
    encoder.write_transcripts(recordings, tmp_path / "lm", lm=lms[0], unknown_score=-9.0, **SMALL)
    with pytest.raises(ConfigurationError, match=r"decoder\.lm: there 'sha256:"):
        encoder.write_transcripts(recordings, tmp_path / "lm", lm=lms[1], unknown_score=-9.0, **SMALL)


def test_words_of_a_language_model_that_the_model_cannot_write(
    encoder: SpeechEncoder, clips: list[np.ndarray], tmp_path: Path
) -> None:
    lower = write_lm(tmp_path / "lower.arpa", ["The", "cat"])
    with pytest.raises(ConfigurationError, match=r"None of the 2 words .* such as 'The'.* upper case"):
        encoder.transcribe(clips[0], lm=lower)
    mixed = write_lm(tmp_path / "mixed.arpa", ["A", "cat", "sat"])
    with pytest.warns(SonantWarning, match=r"2 of the 3 words .* cannot be spelled"):
        encoder.transcribe(clips[0], lm=mixed, **SMALL)


@pytest.mark.parametrize("words", [["ha", "tone"], ["a", "e", "h", "t", "|"]])
def test_a_language_model_of_the_other_case_counts_as_one_of_this(
    words: list[str], encoder: SpeechEncoder, clips: list[np.ndarray], tmp_path: Path
) -> None:
    """The vocabulary writes capitals alone."""
    lower = write_lm(tmp_path / "lower.arpa", words)
    upper = write_lm(tmp_path / "upper.arpa", [word.upper() for word in words])
    expected = encoder.transcribe(clips[0], lm=upper, **SMALL)
    assert encoder.transcribe(clips[0], lm=lower, **SMALL) == expected
    assert expected != encoder.transcribe(clips[0], **SMALL)


def test_a_transformer_ranks_texts_again_and_scores_words_of_a_lexicon(
    encoder: SpeechEncoder, clips: list[np.ndarray], tmp_path: Path, lm_folder: Path
) -> None:
    plain = encoder.transcribe(clips[0], n_best=4, **SMALL).alternatives
    how = {"rescoring_lm": lm_folder, "rescoring_lm_weight": 0.5, "rescoring_word_score": 2.0}
    found = encoder.transcribe(clips[0], n_best=2, **how, **SMALL).alternatives
    scorer = read_text_scorer(lm_folder)
    expected = rescore([plain], scorer, Rescoring(lm_weight=0.5, word_score=2.0))[0][:2]
    assert [each.text for each in found] == [each.text for each in expected]
    assert [each.score for each in found] == pytest.approx([each.score for each in expected], rel=1e-4)
    (tmp_path / "words.txt").write_text("HAT\nTEN\nSON\n")
    said = encoder.transcribe(clips[0], lm=lm_folder, lexicon=tmp_path / "words.txt", **SMALL)
    assert {word.text for word in said.words} <= {"HAT", "TEN", "SON"}
    with pytest.raises(ConfigurationError, match="rescoring_lm_weight=1.0 was given, which has no effect without"):
        encoder.transcribe(clips[0], rescoring_lm_weight=1.0)


def test_tuning_goes_on_where_it_was_stopped(
    encoder: SpeechEncoder, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = write_lm(tmp_path / "lm.arpa", ["A", "B"])
    options = DecoderOptions(lm=lm, unknown_score=-1.0, **SMALL)
    monkeypatch.setattr(decoder_tuning, "plot_trials", lambda *_: None)
    whole = tune_decoder(encoder, recordings, tmp_path / "whole", options, trials=3)
    tune_decoder(encoder, recordings, tmp_path / "parts", options, trials=1)
    parts = tune_decoder(encoder, recordings, tmp_path / "parts", options, trials=3)
    assert whole.trials == parts.trials
    assert len({tuple(trial.values.values()) for trial in whole.trials}) == 3
    assert whole.best.errors == min(trial.errors for trial in whole.trials)
    assert (tmp_path / "whole/trials.jsonl").read_text() == (tmp_path / "parts/trials.jsonl").read_text()
    found = encoder.transcribe(sonant.data.read_manifest(recordings), decoder=whole.path)
    references = [json.loads(line)["text"] for line in recordings.read_text().splitlines()]
    errors = sonant.evaluation.error_counts(references, [each.text for each in found])
    assert sum(each.errors for each in errors) == whole.best.errors
    (tmp_path / "whole/emissions.f32").unlink()
    assert tune_decoder(encoder, recordings, tmp_path / "whole", options, trials=3).greedy == whole.greedy
    with pytest.raises(ConfigurationError, match="results of a run with other settings"):
        tune_decoder(encoder, recordings, tmp_path / "whole", replace(options, lm_weight=1.0), trials=3)
    changed = recordings.with_name("0.wav")
    before = changed.read_bytes()
    changed.write_bytes(recordings.with_name("1.wav").read_bytes())
    with pytest.raises(ConfigurationError, match="audio: there 'sha256:"):
        tune_decoder(encoder, recordings, tmp_path / "whole", options, trials=3)
    changed.write_bytes(before)
    corrected = recordings.with_name("corrected.jsonl")
    corrected.write_text(recordings.read_text().replace(f'"{references[0]}"', '"NEW WORDS"'))
    with pytest.raises(ConfigurationError, match="results of a run with other settings"):
        tune_decoder(encoder, corrected, tmp_path / "whole", options, trials=3)


def test_tuning_of_rescoring_decodes_once(
    encoder: SpeechEncoder, recordings: Path, tmp_path: Path, lm_folder: Path
) -> None:
    """And its errors are those of decoding with the weights that it found."""
    options = DecoderOptions(rescoring_lm=lm_folder, **SMALL)
    tuned = tune_decoder(encoder, recordings, tmp_path / "out", options, trials=5)
    assert set(tuned.best.values) == {"rescoring_lm_weight", "rescoring_word_score"}
    found = encoder.transcribe(sonant.data.read_manifest(recordings), decoder=tuned.path)
    references = [json.loads(line)["text"] for line in recordings.read_text().splitlines()]
    errors = sonant.evaluation.error_counts(references, [each.text for each in found])
    assert sum(each.errors for each in errors) == tuned.best.errors


def test_what_cannot_be_tuned(encoder: SpeechEncoder, recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing to search"):
        tune_decoder(encoder, recordings, tmp_path, DecoderOptions(word_score=0.0))
    with pytest.raises(ConfigurationError, match="n_best=5 hypotheses were asked for of a beam of 2"):
        tune_decoder(encoder, recordings, tmp_path / "early", DecoderOptions(beam=2, n_best=5))
    assert not (tmp_path / "early").exists()
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    (tmp_path / "bad.jsonl").write_text('{"path": "bad.wav", "text": "A"}\n')
    with pytest.raises(ManifestError, match=r"None of the 1 recordings can be used.*bad\.wav"):
        tune_decoder(encoder, tmp_path / "bad.jsonl", tmp_path / "out", DecoderOptions(beam=2))
