"""Writes the tables of models and families into models.md.  `python docs/catalog.py`; a test holds them current."""

import re
from pathlib import Path
from typing import NamedTuple

from sonant.models.catalog import CATALOG, Card, find
from sonant.models.families import TITLES, family_of

PAGE = Path(__file__).parent / "models.md"
CLIP_SECONDS = 15
YARDSTICK = "wavlm-base"


class Purpose(NamedTuple):
    """What a family is best for, why, what its license is, and the smallest and the largest of its models."""

    best_for: str
    why: str
    license: str
    smallest: str
    largest: str


BEST_FOR: dict[str, Purpose] = {
    "WavLM": Purpose(
        best_for="frozen features for anything; several speakers or noise in one recording",
        why=(
            "the best of its size in every task of SUPERB, as Base and as Large (its README's table); pretrained "
            "on overlapping speech, and ahead of HuBERT in separation (LibriCSS) and diarization (CALLHOME)"
        ),
        license="CC BY-SA 3.0, says the hub: derivatives under the same license",
        smallest="wavlm-base",
        largest="wavlm-large",
    ),
    "HuBERT": Purpose(
        best_for="units of speech (clusters of a layer); what WavLM does, under a freer license",
        why=(
            "close behind WavLM in SUPERB; its own clusters are what WavLM learned to predict. For units: our judgment"
        ),
        license="Apache-2.0 or MIT",
        smallest="hubert-base-ls960",
        largest="hubert-xlarge-ll60k",
    ),
    "wav2vec 2.0": Purpose(
        best_for="transcription from few labels, in many languages",
        why=(
            "10 minutes of labels and a language model give 4.8 and 8.2 % WER on LibriSpeech (its paper); XLS-R "
            "was pretrained on 128 languages, MMS on 1,406, omniASR on 1,239 and more; most fine-tuned models of the "
            "catalog are of this family"
        ),
        license="Apache-2.0 or MIT; MMS and VoxPopuli CC BY-NC 4.0, not for commerce",
        smallest="wav2vec2-base",
        largest="omniASR_W2V_7B",
    ),
    "wav2vec 2.0 Conformer": Purpose(
        best_for="transcription in English, where one large encoder may be had",
        why=(
            "1.85 and 3.83 % WER on LibriSpeech without a language model, fine-tuned on its 960 h (its card); twice "
            "the parameters of wav2vec 2.0 Large. Frozen features: nothing published that we read"
        ),
        license="Apache-2.0 or MIT",
        smallest="wav2vec2-conformer-rel-pos-large",
        largest="wav2vec2-conformer-rel-pos-large",
    ),
    "data2vec": Purpose(
        best_for="transcription from few labels, in English",
        why=(
            "as Base ahead of wav2vec 2.0, HuBERT and WavLM with 10 minutes to 960 hours of labels of LibriSpeech (its "
            "paper). Frozen features: nothing published that we read"
        ),
        license="Apache-2.0 or MIT",
        smallest="data2vec-audio-base",
        largest="data2vec-audio-large",
    ),
    "UniSpeech": Purpose(
        best_for="fine-tuning for phonemes",
        why="it was taught phonemes besides the contrast of wav2vec 2.0, whose network it has (its paper)",
        license="CC BY-SA 3.0, says the hub: derivatives under the same license",
        smallest="unispeech-large-1500h-cv",
        largest="unispeech-large-1500h-cv",
    ),
    "UniSpeech-SAT": Purpose(
        best_for="voices, where results with it are to be compared",
        why=(
            "trained to tell the speaker of a clip from others, besides masked prediction as in HuBERT, on mixed "
            "speech (its paper). WavLM, by the same authors, came after it"
        ),
        license="CC BY-SA 3.0, says the hub: derivatives under the same license",
        smallest="unispeech-sat-base",
        largest="unispeech-sat-large",
    ),
    "SEW": Purpose(
        best_for="transcription in English at a low cost",
        why=(
            "wav2vec 2.0 with a thinner extractor and half as many frames in its Transformer: 1.9 times as fast at a "
            "word error rate 13.5 % lower, fine-tuned on 100 h (its paper). Frozen features: nothing published that we "
            "read"
        ),
        license="Apache-2.0 or MIT",
        smallest="sew-tiny-100k",
        largest="sew-mid-100k",
    ),
    "w2v-BERT 2.0": Purpose(
        best_for="fine-tuning in languages with little data, where one large encoder may be had",
        why=(
            "4.5 million hours of 143 languages and more; made to be fine-tuned, says its card. Best error rate "
            "on VoxCeleb1 in our tables (0.12 %), fine-tuned. Frozen features: nothing published that we read"
        ),
        license="MIT",
        smallest="w2v-bert-2.0",
        largest="w2v-bert-2.0",
    ),
    "vq-wav2vec": Purpose(
        best_for="speech as text of codes, 100 a second, for models of language",
        why=(
            "made for that: a BERT on its codes beats wav2vec on WSJ and TIMIT (its paper). For new work HuBERT's "
            "units carry more of what is said: our judgment"
        ),
        license="MIT",
        smallest="vq-wav2vec",
        largest="bert_kmeans",
    ),
    "wav2vec": Purpose(
        best_for="comparison with the beginnings; 100 frames a second from convolutions alone",
        why=(
            "a third of the parameters of the base models, and far behind them in SUPERB (phone error rate 31.6 % "
            "against 5.7 % and less)"
        ),
        license="MIT",
        smallest="wav2vec_large",
        largest="wav2vec_large",
    ),
}


def models_table() -> str:
    """The catalog as Markdown, family by family in the order of the table."""
    rows = [
        "| model | family | layers | dim | parameters | hours | fine-tuned on | normalized | license |",
        "|---|---|--:|--:|--:|--:|---|---|---|",
    ]
    return "\n".join([*rows, *map(row, CATALOG.values())]) + "\n"


def row(card: Card) -> str:
    config = card.config
    cells = [
        f"`{card.name}`" if card.address is None else f"[`{card.name}`]({card.address})",
        card.family,
        str(config.num_layers),
        str(config.dim),
        f"{card.parameters / 1e6:,.1f} M".replace(",", " "),
        "" if card.hours is None else f"{card.hours:,}".replace(",", " "),
        (card.labels or "").partition(",")[0],
        "yes" if config.normalize else "no",
        card.license.partition(";")[0].partition(" (")[0],
    ]
    return f"| {' | '.join(cells)} |"


def families_table() -> str:
    """What each family is best for, and what an hour of audio costs with its smallest and its largest model."""
    rows = [
        "| family | best for | why | frames a second | license | cost |",
        "|---|---|---|--:|---|--:|",
    ]
    for family in TITLES.values():
        purpose = BEST_FOR[family]
        costs = dict.fromkeys(f"{relative_cost(find(name)):.2g}" for name in (purpose.smallest, purpose.largest))
        frames = f"{find(purpose.smallest).frame_rate:g}"
        cells = [f"**{family}**", purpose.best_for, purpose.why, frames, purpose.license, " to ".join(costs)]
        rows.append(f"| {' | '.join(cells)} |")
    hour = operations(find(YARDSTICK)) / CLIP_SECONDS * 3600 / 1e12
    note = f"Cost 1 is that of {find(YARDSTICK).title}: {hour:.0f} TFLOP for an hour of audio."
    return "\n".join([*rows, "", note]) + "\n"


def operations(card: Card) -> int:
    """Of the forward pass over one clip."""
    return family_of(card.config).shape.flops(card.config, CLIP_SECONDS * card.config.sampling_rate).total


def relative_cost(card: Card) -> float:
    """Operations over those of the yardstick."""
    return operations(card) / operations(find(YARDSTICK))


def written(page: str) -> str:
    """The page with the tables as they should be."""
    return placed(placed(page, "catalog", models_table()), "families", families_table())


def placed(page: str, name: str, table: str) -> str:
    """The page with a table between the comments that name it."""
    begin, end = f"<!-- {name}: written by docs/catalog.py -->\n", f"<!-- end of {name} -->\n"
    return re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{table}\n{end}", page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
