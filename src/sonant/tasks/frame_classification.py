"""Head of frame classification: speakers who talk, or other classes, in each frame."""

from sonant.tasks.frame_head import FrameHead


class FrameClassificationHead(FrameHead):
    """A frame head whose outputs are speakers or classes.

    Source: transformers `WavLMForAudioFrameClassification`, which has no LSTM; SUPERB (arXiv 2105.01051) for the LSTM.
    """

    PREFIX = "classifier."
