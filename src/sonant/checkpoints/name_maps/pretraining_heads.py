"""Parts of a whole pretraining head, by family."""

from sonant.checkpoints.name_maps.fairseq import (
    FAIRSEQ_CONTRAST,
    FAIRSEQ_PREDICTION,
    FAIRSEQ_STEPS,
    FAIRSEQ_W2V_BERT2_CONTRAST,
)
from sonant.checkpoints.name_maps.hf import HF_UNISPEECH, HF_UNISPEECH_SAT
from sonant.checkpoints.parameter_names import HeadMap

PRETRAINING: dict[str, HeadMap] = {
    "wavlm": FAIRSEQ_PREDICTION,
    "hubert": FAIRSEQ_PREDICTION,
    "wav2vec2": FAIRSEQ_CONTRAST,
    "data2vec": FAIRSEQ_PREDICTION,
    "unispeech": HF_UNISPEECH,
    "unispeech_sat": HF_UNISPEECH_SAT,
    "w2v_bert2": FAIRSEQ_W2V_BERT2_CONTRAST,
    "wav2vec": FAIRSEQ_STEPS,
    "vq_wav2vec": FAIRSEQ_STEPS,
}
