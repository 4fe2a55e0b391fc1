"""Corpora in their official layouts, read from a local folder as rows of manifests, divided as in SUPERB."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path

from sonant.data.corpora import (
    covost2,
    fluent_speech_commands,
    iemocap,
    libri2mix,
    librispeech,
    quesst14,
    snips,
    speech_commands,
    voicebank_demand,
    voxceleb1,
)
from sonant.data.corpora.listing import CorpusProblem, CorpusSets, CorpusTrial
from sonant.errors import ConfigurationError, ManifestError, UnknownName

__all__ = ["CORPORA", "CorpusProblem", "CorpusReader", "CorpusSets", "CorpusTrial", "read_corpus"]


@dataclass(frozen=True)
class CorpusReader:
    """Reader of a corpus for one use.

    Attributes:
        title: its name.
        layout: files that are expected.
        read: reads a folder; with an argument `fold` where there are several.
        folds: ways to choose the test set, over which results are averaged.
    """

    title: str
    layout: str
    read: Callable[..., CorpusSets]
    folds: int = 1


# By name of the corpus, and by what it is used for: a key of SUPERB's tasks.
CORPORA: Mapping[str, Mapping[str, CorpusReader]] = {
    "librispeech": {
        "asr": CorpusReader("LibriSpeech", librispeech.LAYOUT, librispeech.transcripts),
        "pr": CorpusReader("LibriSpeech", librispeech.LAYOUT, librispeech.phones),
    },
    "speech_commands": {"ks": CorpusReader("Speech Commands", speech_commands.LAYOUT, speech_commands.keywords)},
    "fluent_speech_commands": {
        "ic": CorpusReader("Fluent Speech Commands", fluent_speech_commands.LAYOUT, fluent_speech_commands.intents)
    },
    "snips": {"sf": CorpusReader("Audio SNIPS", snips.LAYOUT, snips.slots)},
    "iemocap": {"er": CorpusReader("IEMOCAP", iemocap.LAYOUT, iemocap.emotions, folds=iemocap.SESSIONS)},
    "voxceleb1": {
        "sid": CorpusReader("VoxCeleb1", voxceleb1.LAYOUT, voxceleb1.identification),
        "asv": CorpusReader("VoxCeleb1", voxceleb1.LAYOUT, voxceleb1.verification),
    },
    "libri2mix": {"ss": CorpusReader("Libri2Mix", libri2mix.SEPARATION_LAYOUT, libri2mix.separation)},
    "libri2mix_diarization": {"sd": CorpusReader("Libri2Mix", libri2mix.DIARIZATION_LAYOUT, libri2mix.diarization)},
    "quesst14": {"qbe": CorpusReader("QUESST 2014", quesst14.LAYOUT, quesst14.queries)},
    "voicebank_demand": {"se": CorpusReader("VoiceBank-DEMAND", voicebank_demand.LAYOUT, voicebank_demand.enhancement)},
    "covost2": {"st": CorpusReader("CoVoST 2", covost2.LAYOUT, covost2.translations)},
}


def read_corpus(name: str, folder: str | Path, use: str, *, fold: int = 1) -> CorpusSets:
    """Read a corpus for a use.

    Args:
        name: of `CORPORA`.
        folder: where it is.
        use: key of a task, such as "asr".
        fold: number of the test set, from 1, where there are several.

    Raises:
        UnknownName: no such corpus or use.
        ManifestError: the folder has another layout, or a set would be empty.
        ConfigurationError: no such fold.
    """
    if name not in CORPORA:
        raise UnknownName("corpus", name, CORPORA)
    if use not in CORPORA[name]:
        raise UnknownName(f"use of {name}", use, CORPORA[name])
    corpus, folder = CORPORA[name][use], Path(folder).expanduser().absolute()  # for rows in manifests elsewhere
    if not 1 <= fold <= corpus.folds:
        raise ConfigurationError(f"fold={fold} was given; {corpus.title} has folds 1 to {corpus.folds}.")
    if not folder.is_dir():
        raise ManifestError(f"There is no folder {folder}. Expected {corpus.layout}.")
    return corpus.read(folder, fold=fold) if "fold" in signature(corpus.read).parameters else corpus.read(folder)
