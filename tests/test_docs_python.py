"""The Python of the pages runs: the blocks of each page in order, in one namespace, beside the files that they name.

Models of the hub are small ones with random weights in folders of the same names; nothing is downloaded.
"""

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

import sonant
from sonant.checkpoints import Checkpoint, Head, save_checkpoint, save_pretrained
from sonant.decoding.hypotheses import Hypothesis
from sonant.models import BackboneConfig, HuBERTConfig, WavLMConfig, build, wav2vec
from sonant.pretraining import fit_kmeans
from sonant.server.settings import ServerSettings
from tests.arpa import write_lm
from tests.checkpoints import tiny
from tests.checkpoints.table import lora
from tests.checkpoints.test_discrete_bert import roberta, save
from tests.codes import WORDS, discrete_bert, vq_wav2vec
from tests.heads import write_classifier, write_ctc, write_frame_classifier, write_masks, write_xvector
from tests.mms import write_mms
from tests.models.language_models import TEXTS, write_gpt2
from tests.server.running import running
from tests.shapes import SMALL
from tests.test_docs import DOCS, Block, blocks, pages

RATE = 16_000
EMOTIONS = {"a": "calm", "b": "angry", "c": "calm"}
RECORDINGS = (
    *("a.wav", "b.wav", "c.wav", "b.flac", "speech.wav", "talk.wav", "talk.flac"),
    *("yesterday.wav", "today.wav", "yes.wav", "discours.flac", "meeting.wav"),
)


@dataclass(frozen=True)
class Page:
    """What the blocks of a page need beside recordings.

    Attributes:
        files: path to the function that writes it.
        names: makes what the page takes for given, by name.
        instead: text that cannot run here, or not in a test's time, and what runs in its place.
        packages: without which the page cannot run.
        check: looks at the names when the page has run.
    """

    files: dict[str, Callable[[Path], object]] = field(default_factory=dict)
    names: Callable[[], dict[str, Any]] = dict
    instead: dict[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    check: Callable[[dict[str, Any]], None] = lambda names: None


def recordings(folder: Path) -> None:
    """Real speech under the names that pages use."""
    examples = sorted((DOCS.parent / "examples/speech").glob("*.flac"))
    waves = [soundfile.read(path, dtype="float32", frames=2 * RATE)[0] for path in examples]
    for number, name in enumerate(RECORDINGS):
        soundfile.write(folder / name, waves[number % len(waves)], RATE)
    soundfile.write(folder / "call.wav", np.stack(waves[:2], axis=1), RATE)
    soundfile.write(folder / "talk.m4a", waves[0], RATE, format="WAV")  # contents decide, not names


def corpus(path: Path) -> None:
    """A folder of short recordings of two speakers, with a manifest."""
    path.mkdir(parents=True)
    rows = []
    for speaker in ("en-allison", "ru-ivrvoice"):
        wave = soundfile.read(DOCS.parent / f"examples/speech/{speaker}-queue.flac", dtype="float32")[0]
        for number in range(8):
            soundfile.write(path / f"{speaker}{number}.wav", wave[number * RATE // 2 :][: RATE // 2], RATE)
            rows.append({"path": f"{speaker}{number}.wav", "speaker": speaker})
    (path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def speech(path: Path, name: str) -> None:
    """A whole example recording under the name that a page uses."""
    shutil.copy(DOCS.parent / f"examples/speech/{name}.flac", path)


def model(config: BackboneConfig, path: Path, **heads: Head) -> None:
    torch.manual_seed(0)
    save_pretrained(build(config).eval(), path, heads=heads)


def wavlm_file(path: Path, to: str) -> None:
    """In the format of a toolkit."""
    config = WavLMConfig(**SMALL | {"num_heads": 8})
    save_checkpoint(path, Checkpoint(config, build(config).state_dict()), to=to)


def hubert_file(path: Path) -> None:
    """In the format of fairseq."""
    config = HuBERTConfig(**SMALL)
    save_checkpoint(path, Checkpoint(config, build(config).state_dict()), to="fairseq")


def lightning_file(path: Path) -> None:
    """A HuBERT in a container, without its config.json."""
    config = HuBERTConfig(**SMALL | {"num_heads": 12, "dim": 768, "num_layers": 1})
    save_checkpoint(path.with_suffix(""), Checkpoint(config, build(config).state_dict()), to="hf")
    state = load_file(path.with_suffix("") / "model.safetensors")
    torch.save({"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}}, path)


def hubert_with_projection(path: Path) -> None:
    weight = {"final_proj.weight": torch.randn(256, 32), "final_proj.bias": torch.zeros(256)}
    model(HuBERTConfig(**SMALL | {"num_layers": 9}), path, pretraining=Head(weight))


def adapter(path: Path, base: str) -> None:
    """A LoRA of `base`, which is written too."""
    hubert = tiny.theirs("hubert")
    hubert.save_pretrained(base)
    lora.write(path, lora.adapt(hubert, 1.5, prefix="base_model.model.hubert."), base_model_name_or_path=base)


def fairseq_bert(path: Path) -> None:
    bert = discrete_bert()
    save(path, bert, roberta(bert))


def cluster_centers(path: Path) -> None:
    frames = torch.randn(200, sonant.load("sonant/wavlm-tiny").dim)
    fit_kmeans(lambda: [frames], 8).save(path, {})


def clips() -> dict[str, torch.Tensor]:
    return {name: torch.randn(samples) for name, samples in (("first", 900), ("second", 1_600), ("third", 400))}


def words_and_codes() -> dict[str, Any]:
    codes = [WORDS[torch.randint(len(WORDS), (40,))] for _ in range(8)]
    return {"words": WORDS, "codes": codes, "texts": [f"speech number {number} says little" for number in range(8)]}


def labeled_list(path: Path) -> None:
    path.write_text("path,emotion\n" + "".join(f"../{name}.wav,{label}\n" for name, label in EMOTIONS.items()))


def texts(path: Path) -> None:
    path.write_text("\n".join(TEXTS))


def transcribed_list(path: Path) -> None:
    rows = (f"{name}.wav,Hello there.,{gender}\n" for name, gender in (("a", "f"), ("b", "m")))
    path.write_text("path,text,gender\n" + "".join(rows))


def same_as_transformers(names: dict[str, Any]) -> None:
    """Check that what docs/coming_from.md calls equal is, and that the shorter recording of a padded batch is not."""

    def close(ours: str | np.ndarray, theirs: torch.Tensor) -> None:
        ours = torch.as_tensor(names[ours] if isinstance(ours, str) else ours)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4, check_dtype=False)

    close("frames", names["last"])
    close("every_state", torch.cat(names["hidden"]))
    close("layer3", names["third"])
    close("vector", names["pooled"])
    close("summed", names["mixed"])
    close(np.stack(names["vectors"]), torch.stack(names["embeddings"]))
    assert names["transcript"].text == " ".join(names["text"].split()) != ""
    spans, times = names["spans"], names["times"]
    assert [word for word, *_ in spans] == [word for word, *_ in times]
    assert np.allclose([ends for _, *ends in spans], [ends for _, *ends in times])
    (first, second), batch = names["several"], names["batch"]
    close(first, batch[0])
    shorter = batch[1, : len(second)]
    assert (torch.as_tensor(second) - shorter).norm() > 0.01 * shorter.norm()
    inputs = names["extractor"](names["waves"][1], sampling_rate=RATE, return_tensors="pt")
    with torch.no_grad():
        close(second, names["again"](**inputs).last_hidden_state[0])


SERVED = Page(
    files={
        "models/my-recognizer": write_ctc,
        "models/my-classifier": write_classifier,
        "models/my-enhancer": partial(write_masks, kind="enhancement"),
        "models/my-separator": partial(write_masks, kind="separation"),
    }
)

PAGES = {
    "audio.md": Page(
        files={"upload.wav": lambda path: path.write_bytes(b"RIFF")},
        names=lambda: {
            "np": np,
            "array": np.zeros(44_100, np.float32),
            "encoder": sonant.load("sonant/wavlm-tiny"),
            "upload": "speech.wav",
        },
    ),
    "manifests.md": Page(
        files={
            "recordings/ann/1.wav": partial(speech, name="en-allison-busy"),
            "recordings/ann/1.txt": lambda path: path.write_text("BUSY"),
            "recordings/bob/2.wav": partial(speech, name="en-allison-queue"),
        },
        names=lambda: {"encoder": sonant.load("sonant/wavlm-tiny")},
    ),
    "checkpoints.md": Page(
        files={
            "microsoft/wavlm-base-plus": partial(model, WavLMConfig(**SMALL)),
            "runs/mine/model": partial(model, WavLMConfig(**SMALL)),
            "wavlm-base-plus": partial(model, WavLMConfig(**SMALL)),
            "WavLM-Large.pt": partial(wavlm_file, to="unilm"),
            "my-model.pth": partial(wavlm_file, to="torchaudio"),
            "lengyue233/content-vec-best": hubert_with_projection,
            "epoch=3.ckpt": lightning_file,
            "someone/hubert-lora": partial(adapter, base="someone/hubert"),
            "runs/lora": partial(adapter, base="models/hubert"),
        },
        names=lambda: {"sonant": sonant},
    ),
    "classification.md": Page(
        files={
            "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim": write_classifier,
            "audeering/wav2vec2-large-robust-6-ft-age-gender": write_classifier,
            "superb/wav2vec2-base-superb-ks": write_classifier,
        }
    ),
    "analysis.md": Page(files={"examples/speech": corpus}),
    "coming_from.md": Page(
        files={
            "microsoft/wavlm-base-plus": partial(model, WavLMConfig(**SMALL)),
            "microsoft/wavlm-base-plus-sv": write_xvector,
            "facebook/wav2vec2-base-960h": write_ctc,
            "train.csv": transcribed_list,
            "dev.csv": transcribed_list,
            "WavLM-Base+.pt": partial(wavlm_file, to="unilm"),
            "hubert_base_ls960.pt": hubert_file,
            "wav2vec_large.pt": lambda path: save_pretrained(build(wav2vec.TINY), path),
            "vq-wav2vec_kmeans.pt": lambda path: save_pretrained(vq_wav2vec(), path),
        },
        instead={"2_000": "2", ", 100)": ", 5)"},
        check=same_as_transformers,
    ),
    "concepts.md": Page(names=clips),
    "serving.md": SERVED,
    "clients.md": replace(SERVED, packages=("langchain_openai", "litellm")),
    "speakers.md": Page(
        files={
            "microsoft/wavlm-base-plus-sv": write_xvector,
            "microsoft/wavlm-base-plus-sd": write_frame_classifier,
        }
    ),
    "voices.md": Page(
        files={
            "ada1.wav": partial(speech, name="en-allison-busy"),
            "ada2.wav": partial(speech, name="en-allison-queue"),
            "grace.wav": partial(speech, name="fr-june-queue"),
            "unknown.wav": partial(speech, name="en-allison-welcome"),
            "meeting.wav": partial(speech, name="it-carlo-queue"),
        }
    ),
    "decoding.md": Page(
        files={
            "runs/recognizer/model": write_ctc,
            "recordings/ada/0001.wav": lambda path: soundfile.write(
                path, np.random.default_rng(0).normal(size=8_000), RATE
            ),
            "lm.arpa": partial(write_lm, words=["HELLO", "WELCOME"]),
        },
        instead={"n_best=3": "n_best=3, beam=4", "lm_weight=1.8": "lm_weight=1.8, beam=4"},
    ),
    "enhancement.md": Page(
        files={
            "runs/enhancement/model": partial(write_masks, kind="enhancement"),
            "runs/separation/model": partial(write_masks, kind="separation"),
            "call.wav": partial(speech, name="en-allison-busy"),
            "meeting.wav": partial(speech, name="it-carlo-queue"),
        }
    ),
    "evaluation.md": Page(
        files={"facebook/wav2vec2-base-960h": write_ctc, "test.csv": transcribed_list},
        instead={'"test.jsonl"': '"test.csv"'},
    ),
    "maeb.md": Page(files={f"calls/{part}.csv": labeled_list for part in ("train", "dev", "test")}),
    "benchmarks_of_others.md": Page(
        files={
            "microsoft/wavlm-base-plus": partial(model, WavLMConfig(**SMALL)),
            "background.jsonl": lambda path: path.write_text('{"path": "a.wav"}\n{"path": "b.wav"}\n'),
        },
        names=lambda: {"sonant": sonant},
        instead={"layer=6": "layer=3", 'mteb.get_benchmark("MAEB(v1, audio-only)").tasks': "[]"},
        packages=("mteb", "mseb"),
    ),
    "recognition.md": Page(
        files={
            "runs/recognizer/model": write_ctc,
            "recordings/ada/0001.wav": partial(speech, name="en-allison-welcome"),
        }
    ),
    "training.md": Page(files={"calls/train.csv": labeled_list, "calls/dev.csv": labeled_list}, instead={"2_000": "2"}),
    "search_by_voice.md": Page(
        files={
            "harbor.wav": partial(speech, name="en-allison-busy"),
            "lighthouse.wav": partial(speech, name="en-allison-queue"),
            "talks/grace.wav": partial(speech, name="en-allison-welcome"),
        }
    ),
    "transformer_lm.md": Page(
        files={"text/train.txt": texts, "text/dev.txt": texts, "openai-community/gpt2": write_gpt2},
        names=lambda: {"hypotheses": [[Hypothesis("LET US", (), 1.0, (), -2.0, -2.0)]]},
        instead={'normalization="upper"': 'normalization="upper", units="words", training={"steps": 1}, trackers=()'},
    ),
    "alignment.md": Page(files={"facebook/wav2vec2-base-960h": write_ctc}),
    "transcription.md": Page(files={"facebook/wav2vec2-base-960h": write_ctc, "facebook/mms-1b-all": write_mms}),
    "units.md": Page(
        files={
            "runs/vq_wav2vec_tiny/codes/model": lambda path: save_pretrained(vq_wav2vec(), path),
            "runs/discrete_bert_tiny/tokens/model": lambda path: save_pretrained(discrete_bert(num_layers=4), path),
            "kmeans.safetensors": cluster_centers,
            "vq-wav2vec_kmeans.pt": lambda path: save_pretrained(vq_wav2vec(), path),
            "bert_kmeans.pt": fairseq_bert,
        },
        names=words_and_codes,
        instead={"1_004": "40", "steps=10_000": "steps=2", "codebook_size=64": "codebook_size=5", "200": "5"},
    ),
}


def python_of(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language == "python"]


SLOW = {"export.md"}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page.name in SLOW else ())
        for page in pages()
        if page.parent == DOCS and python_of(page)
    ],
    ids=lambda page: page.name,
)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = PAGES.get(page.name, Page())
    for package in about.packages:
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    recordings(tmp_path)
    for name, write in about.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name)
    names = about.names()
    instead = dict(about.instead)
    with ExitStack() as stack:
        if about.files == SERVED.files:
            settings = ServerSettings(data=tmp_path / "data", models=["sonant/wavlm-tiny", *about.files])
            server = stack.enter_context(running(settings))
            monkeypatch.setenv("SONANT_API_KEY", server.user_key)
            instead["http://127.0.0.1:8000"] = server.base_url
        for block in python_of(page):
            text = block.text
            for there, here in instead.items():
                text = text.replace(there, here)
            exec(compile("\n" * (block.line - 1) + text, str(page), "exec"), names)
        about.check(names)


def test_what_is_replaced_is_there() -> None:
    for name, about in PAGES.items():
        text = "".join(block.text for block in python_of(DOCS / name))
        assert text, f"{name} has no Python"
        assert not [there for there in about.instead if there not in text]
