"""Parameter names of torchaudio. Sources: `models/wav2vec2/components.py` and `wavlm_attention.py`."""

from sonant.checkpoints.name_maps.hf import huggingface
from sonant.checkpoints.name_maps.parts import LAYER, attention
from sonant.checkpoints.parameter_names import HeadMap, NameMap, Row

_TRANSFORMER = "encoder.transformer."
_STACKED = _TRANSFORMER + "layers.{i}.attention.attention."
TORCHAUDIO_COMMON: NameMap = huggingface(_TRANSFORMER, "encoder.feature_projection.")
TORCHAUDIO_ATTENTION: NameMap = attention(LAYER + "attention.", _TRANSFORMER + "layers.{i}.attention.")
TORCHAUDIO_WAVLM_ATTENTION: NameMap = (
    Row(tuple(f"{LAYER}attention.{name}.{{p}}" for name in ("query", "key", "value")), _STACKED + "in_proj_{p}"),
    Row("encoder.layers.{i}.attention.output.{p}", _STACKED + "out_proj.{p}"),
)
TORCHAUDIO_MASK: NameMap = (Row("mask_embedding", "mask_generator.mask_embedding"),)  # HuBERTPretrainModel only
TORCHAUDIO_CTC = HeadMap((Row("{p}", "aux.{p}"),))
TORCHAUDIO_PREDICTION = HeadMap(
    (
        Row("projection.{p}", "logit_generator.final_proj.{p}"),
        Row("label_embeddings", "logit_generator.label_embeddings"),
    )
)
