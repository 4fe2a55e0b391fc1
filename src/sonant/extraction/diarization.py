"""Diarization by a frame classification head or by clustering of speaker embeddings."""

from sonant.decoding.known_voices import KnownVoices
from sonant.decoding.results import SpeakerTurn
from sonant.decoding.speaker_clustering import check_clustering
from sonant.errors import ConfigurationError
from sonant.extraction.frame_decisions import FrameDecisions
from sonant.extraction.head_store import Heads
from sonant.extraction.heads import CPU, HeadPipeline, able, some, states_of
from sonant.extraction.speaker_activity import SpeakerActivitySink
from sonant.extraction.speaker_clusters import SpeakerClusterSink
from sonant.extraction.speech_sums import SpeechSums, embeddings_of
from sonant.models import Backbone
from sonant.models.families import presets_of
from sonant.tasks import FrameClassificationHead


def diarization(
    model: Backbone,
    heads: Heads,
    *,
    name: str,
    num_speakers: int | None = None,
    threshold: float | None = None,
    known: KnownVoices | None = None,
) -> HeadPipeline[list[SpeakerTurn]]:
    """Return the diarization pipeline; its answer is a list of `SpeakerTurn`.

    A frame classification head is used if the model has one for at least `num_speakers`, and no voices are known, since
    it gives no speaker embeddings; one for other classes than speakers gives segments named after these. Otherwise
    embeddings of two seconds are clustered: x-vectors, or means of the hidden state of the preset "speaker", content
    suppressed.

    Args:
        name: of the model, for messages.
        num_speakers: None: determined by the frame classification head; clustering needs a number or a threshold.
        threshold: for clustering x-vectors: the cosine below which two clusters are two speakers.
        known: enrolled people, whose names the speakers get; None: none.

    Raises:
        ConfigurationError: neither a number of speakers nor a threshold is given, and clustering needs one.
    """
    check_clustering(num_speakers, threshold)
    if "frame_classification" in heads.stored and threshold is None and known is None:
        head_on = heads.placing("frame_classification", FrameClassificationHead)
        decisions = FrameDecisions.of(heads.stored["frame_classification"], frame_rate=model.frame_rate)
        if num_speakers is None or (decisions.are_speakers and num_speakers <= decisions.num_activities):
            read = states_of(head_on(CPU).mix, model, name)
            voice = presets_of(model)["speaker"].layer if decisions.are_speakers else read[-1]
            layers = read if voice in read else (*read, voice)
            return HeadPipeline(
                layers,
                lambda _: SpeakerActivitySink(
                    head_on,
                    decisions,
                    num_states=len(read),
                    voice_state=layers.index(voice),
                    stride=model.stride,
                    frame_rate=model.frame_rate,
                    num_speakers=num_speakers,
                ),
                model.receptive_field,
            )
    return _clustering(model, heads, name, num_speakers, threshold, known)


def _clustering(
    model: Backbone,
    heads: Heads,
    name: str,
    num_speakers: int | None,
    threshold: float | None,
    known: KnownVoices | None,
) -> HeadPipeline[list[SpeakerTurn]]:
    has_head = "xvector" in heads.stored
    if num_speakers is None and (threshold is None or not has_head):
        raise ConfigurationError(
            f"{name} has no head that finds out how many speakers there are. Give num_speakers"
            + (", or threshold, the cosine below which two groups of vectors are two speakers." if has_head else ".")
            + f" Models with a head that does: {some(able('diarization'))}."
        )
    layers, make_kind, _ = embeddings_of(model, heads, name)
    return HeadPipeline(
        layers,
        lambda source: SpeakerClusterSink(
            SpeechSums(make_kind(), source, stride=model.stride, sampling_rate=model.sampling_rate),
            num_speakers=num_speakers,
            threshold=threshold,
            known=known,
        ),
        model.receptive_field,
        reads_source=True,
    )
