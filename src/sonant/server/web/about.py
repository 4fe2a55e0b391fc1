"""Generated descriptions of models."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sonant.models.abilities import Ability
from sonant.models.families import Task
from sonant.server.hosting.served_model import State
from sonant.server.web.entries import ModelEntry
from sonant.server.web.wording import count, decimal, duration, millions

SUMMARIES: Mapping[str, str] = {
    "WavLM": "WavLM learned to name clusters of hidden frames while noise and other voices were mixed into what it "
    "heard; its attention knows how far apart two frames are. Take it for frozen features of any kind, and where "
    "several people or noise share a recording.",
    "HuBERT": "HuBERT learned to name clusters of hidden frames, in rounds: each round's clusters are made of what the "
    "model before it had learned. Take it for discrete units of speech, and for frozen features under a free license.",
    "wav2vec 2.0": "wav2vec 2.0 learned to find the true quantized frame behind a mask among others of the same clip. "
    "Take it to be fine-tuned for transcripts, from few labels or in many languages.",
    "wav2vec 2.0 Conformer": "wav2vec 2.0 Conformer learned as wav2vec 2.0 did, with a convolution in each of its "
    "blocks. Take it to be fine-tuned for transcripts in English, where one large encoder may be had.",
    "data2vec": "data2vec learned to give, from masked speech, what a running mean of itself gives from the whole: the "
    "average of its top layers. Take it to be fine-tuned for transcripts, and for what is said.",
    "UniSpeech": "UniSpeech learned from phonemes and from hidden frames at once, with wav2vec 2.0's network. Take it "
    "to be fine-tuned for phonemes.",
    "UniSpeech-SAT": "UniSpeech-SAT learned to name clusters of hidden frames, and to tell the speaker of a clip from "
    "the others. Take it for voices; WavLM is its successor.",
    "SEW": "SEW learned as wav2vec 2.0 did, with half as many frames inside: it costs less to run. Take it where speed "
    "counts more than the last error, in English.",
    "w2v-BERT 2.0": "w2v-BERT 2.0 is a conformer over mel energies that learned both to find the quantized frame "
    "behind a mask and to name it. Take it to be fine-tuned where there is little data in a language.",
    "vq-wav2vec": "vq-wav2vec turns speech into codes, two for every hundredth of a second, learned by telling the "
    "frames that come next from others. Take it where speech is to be read like text.",
    "wav2vec": "wav2vec, the first of them, is made of convolutions alone and learned to tell the frames that come "
    "next from others. Take it to compare with the beginnings, or for 100 frames a second at a low cost.",
}
ABLE: Mapping[Ability, str] = {
    "embeddings": "gives vectors of recordings and of their frames",
    "transcription": "writes down what was said",
    "verification": "compares voices",
    "diarization": "tells who speaks when",
    "classification": "labels whole recordings",
    "enhancement": "takes noise away from speech",
    "separation": "separates the speakers of a recording",
}
NOT_HERE: Mapping[State, str] = {
    "unloaded": "No: this server has not loaded it.",
    "coming_soon": "Not yet: the operator of this server has promised to load it.",
}
TASKS: Mapping[Task, str] = {
    "speaker": "Voices",
    "content": "What is said, frame by frame",
    "emotion": "Emotion",
    "semantic": "Meaning",
}


@dataclass(frozen=True)
class Question:
    """A frequent question and its answer."""

    question: str
    answer: str


def about(model: ModelEntry) -> list[str]:
    """Write the paragraphs that describe a model."""
    return list(_about(model))


def _about(model: ModelEntry) -> Iterator[str]:
    specs, origin = model.specs, model.origin
    if specs is None:
        yield "A model that this server was given and has not loaded. What it is will be seen when it is."
        return
    yield (
        f"A {specs.family} encoder of {millions(specs.parameters)} parameters: {specs.num_layers} layers, and a vector "
        f"of {specs.dim} numbers for every {duration(1 / specs.frame_rate)} of speech."
    )
    if model.training is not None:
        yield from model.training.sentences()
    elif origin is None:
        yield "It is not in sonant's catalog: its operator knows what it was trained on, and its license."
    else:
        heard = f"{count(origin.hours)} hours of speech" if origin.hours else "speech, hours not published"
        yield f"Pretrained on {heard} ({origin.languages}): {origin.data}."
        if origin.labels:
            yield f"Then fine-tuned: {origin.labels}."
    yield SUMMARIES[specs.family]


def questions(model: ModelEntry) -> list[Question]:
    """Write frequent questions about a model, with answers."""
    return [*_on_use(model), *_on_recordings(model), *_on_origin(model)]


def _on_use(model: ModelEntry) -> Iterator[Question]:
    if model.state in NOT_HERE:
        yield Question(
            "Can I use it here?",
            f"{NOT_HERE[model.state]} Your vote tells the operator that you want it. On your own machine it runs with "
            "sonant, as the last tab above shows.",
        )
    else:
        able = ", ".join(ABLE[ability] for ability in model.abilities)
        yield Question("What can I ask of it?", f"It {able}." if able else "That is known once it is loaded.")
    yield Question(
        "Do other people's recordings change my vectors?",
        "No. Recordings share a forward pass without padding, and what comes out does not depend on the others in it.",
    )


def _on_recordings(model: ModelEntry) -> Iterator[Question]:
    if model.specs is None:
        return
    specs, price = model.specs, model.price
    yield Question(
        "What do I get for a recording?",
        f"One vector of {specs.dim} numbers, or one for each of its frames, {specs.frame_rate:g} a second, from any of "
        f"the layers 0 to {specs.num_layers} or from the model's output.",
    )
    yield Question(
        "Which recordings does it take?",
        "Of any sampling rate and with any number of channels: they are mixed and resampled to "
        f"{specs.sampling_rate:,} Hz. The shortest has {specs.receptive_field} samples at that rate, "
        f"{duration(specs.receptive_field / specs.sampling_rate)}; the longest may last "
        f"{duration(model.recordings.max_seconds)}.",
    )
    yield Question(
        "What is a token?",
        f"A frame: a second of speech has {specs.frame_rate:g}, an hour {count(specs.frame_rate * 3600)}.",
    )
    if price.hour_in_all:
        yield Question(
            "What does it cost?",
            f"An hour of speech costs {decimal(price.hour_in_all)} {price.currency} in all. A request that fails costs "
            "nothing.",
        )


def _on_origin(model: ModelEntry) -> Iterator[Question]:
    if model.origin is None:
        return
    yield Question(
        "Which languages does it know?",
        f"It was trained on {model.origin.languages}. Other languages give vectors too, but "
        "their quality is not known.",
    )
    terms = (
        "That license does not allow commercial use." if "NC" in model.origin.license else "Read it before you use it."
    )
    yield Question("Under which license are the weights?", f"{model.origin.license}. {terms}")
