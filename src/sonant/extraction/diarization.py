"""Diarization by a frame classification head or by clustering of speaker embeddings."""

from collections.abc import Callable

from sonant.decoding.results import SpeakerTurn
from sonant.decoding.speaker_clustering import check_clustering
from sonant.errors import ConfigurationError
from sonant.extraction.head_store import Heads
from sonant.extraction.heads import CPU, HeadPipeline, able, some, states_of
from sonant.extraction.request import Layer
from sonant.extraction.speaker_activity import SpeakerActivitySink
from sonant.extraction.speaker_clusters import HeadVoices, SpeakerClusterSink, StateVoices, Voices
from sonant.models import Backbone
from sonant.models.families import presets
from sonant.tasks import FrameClassificationHead, XVectorHead


def diarization(
    model: Backbone, heads: Heads, *, name: str, num_speakers: int | None = None, threshold: float | None = None
) -> HeadPipeline[list[SpeakerTurn]]:
    """Return the diarization pipeline; its answer is a list of `SpeakerTurn`.

    A frame classification head is used if the model has one for at least `num_speakers`. Otherwise embeddings of two
    seconds are clustered: x-vectors, or means of the hidden state of the preset "speaker", content suppressed.

    Args:
        name: of the model, for messages.
        num_speakers: None: determined by the frame classification head; clustering needs a number or a threshold.
        threshold: for clustering x-vectors: the cosine below which two clusters are two speakers.

    Raises:
        ConfigurationError: neither a number of speakers nor a threshold is given, and clustering needs one.
    """
    check_clustering(num_speakers, threshold)
    if "frame_classification" in heads.stored and threshold is None:
        head_on = heads.placing("frame_classification", FrameClassificationHead)
        if num_speakers is None or num_speakers <= head_on(CPU).num_labels:
            return HeadPipeline(
                states_of(head_on(CPU).mix, model, name),
                lambda _: SpeakerActivitySink(
                    head_on, stride=model.stride, frame_rate=model.frame_rate, num_speakers=num_speakers
                ),
                model.receptive_field,
            )
    return _clustering(model, heads, name, num_speakers, threshold)


def _clustering(
    model: Backbone, heads: Heads, name: str, num_speakers: int | None, threshold: float | None
) -> HeadPipeline[list[SpeakerTurn]]:
    has_head = "xvector" in heads.stored
    if num_speakers is None and (threshold is None or not has_head):
        raise ConfigurationError(
            f"{name} has no head that finds out how many speakers there are. Give num_speakers"
            + (", or threshold, the cosine below which two groups of vectors are two speakers." if has_head else ".")
            + f" Models with a head that does: {some(able('diarization'))}."
        )
    layers: tuple[Layer, ...] = (presets(model.config)["speaker"].layer,)
    make_voices: Callable[[], Voices] = StateVoices
    if has_head:
        head_on = heads.placing("xvector", XVectorHead)
        layers, make_voices = states_of(head_on(CPU).mix, model, name), lambda: HeadVoices(head_on)
    return HeadPipeline(
        layers,
        lambda source: SpeakerClusterSink(
            make_voices(),
            source,
            stride=model.stride,
            sampling_rate=model.sampling_rate,
            num_speakers=num_speakers,
            threshold=threshold,
        ),
        model.receptive_field,
        reads_source=True,
    )
