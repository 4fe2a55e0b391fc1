"""The head of connectionist temporal classification (CTC)."""

from sonant.tasks.frame_head import FrameHead


class CTCHead(FrameHead):
    """A frame head whose outputs are tokens.

    Source: transformers `Wav2Vec2ForCTC`, `lm_head`, which reads the last state; SUPERB (arXiv 2105.01051) for the sum
    of states and the LSTM.
    """

    PREFIX = ""
