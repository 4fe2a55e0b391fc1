"""Who calls which tensor what. Left our names (as in `sonant.models`), right the other toolkit's.

Sources: unilm `wavlm/WavLM.py`; fairseq `models/wav2vec/wav2vec2.py` and `models/hubert/hubert.py`; transformers
`modeling_wavlm.py`, `modeling_hubert.py`, `modeling_wav2vec2.py`; torchaudio `models/wav2vec2/components.py` and
`wavlm_attention.py`.
"""

from sonant.checkpoints.keys import HeadTable, Row, Table

# fairseq, unilm and s3prl

FAIRSEQ_GROUP_NORM: Table = (Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.2.{p}"),)
FAIRSEQ_LAYER_NORM: Table = (Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.2.1.{p}"),)
FAIRSEQ: Table = (
    Row("mask_embedding", "mask_emb"),
    Row("extractor.layers.{i}.conv.{p}", "feature_extractor.conv_layers.{i}.0.{p}"),
    Row("projection.norm.{p}", "layer_norm.{p}"),
    Row("projection.linear.{p}", "post_extract_proj.{p}"),
    Row("encoder.positions.weight_g", "encoder.pos_conv.0.weight_g"),
    Row("encoder.positions.weight_v", "encoder.pos_conv.0.weight_v"),
    Row("encoder.positions.weight_g", "encoder.pos_conv.0.parametrizations.weight.original0", writes=False),
    Row("encoder.positions.weight_v", "encoder.pos_conv.0.parametrizations.weight.original1", writes=False),
    Row("encoder.positions.bias", "encoder.pos_conv.0.bias"),
    Row("encoder.norm.{p}", "encoder.layer_norm.{p}"),
    Row("encoder.relative_positions.weight", "encoder.layers.0.self_attn.relative_attention_bias.weight"),
    Row("encoder.layers.{i}.attention.query.{p}", "encoder.layers.{i}.self_attn.q_proj.{p}"),
    Row("encoder.layers.{i}.attention.key.{p}", "encoder.layers.{i}.self_attn.k_proj.{p}"),
    Row("encoder.layers.{i}.attention.value.{p}", "encoder.layers.{i}.self_attn.v_proj.{p}"),
    Row("encoder.layers.{i}.attention.output.{p}", "encoder.layers.{i}.self_attn.out_proj.{p}"),
    Row("encoder.layers.{i}.attention.gate.linear.{p}", "encoder.layers.{i}.self_attn.grep_linear.{p}"),
    Row("encoder.layers.{i}.attention.gate.scale", "encoder.layers.{i}.self_attn.grep_a", form="heads"),
    Row("encoder.layers.{i}.attention_norm.{p}", "encoder.layers.{i}.self_attn_layer_norm.{p}"),
    Row("encoder.layers.{i}.feed_forward.inner.{p}", "encoder.layers.{i}.fc1.{p}"),
    Row("encoder.layers.{i}.feed_forward.outer.{p}", "encoder.layers.{i}.fc2.{p}"),
    Row("encoder.layers.{i}.feed_forward_norm.{p}", "encoder.layers.{i}.final_layer_norm.{p}"),
)

_CONTRAST: Table = (
    Row("quantizer.weight_proj.{p}", "quantizer.weight_proj.{p}"),
    Row("project_q.{p}", "project_q.{p}"),
)
FAIRSEQ_CONTRAST = HeadTable(
    (
        Row("quantizer.codevectors", "quantizer.vars"),
        *_CONTRAST,
        Row("final_proj.{p}", "final_proj.{p}"),
    )
)
# A fine-tuned HuBERT keeps its label embeddings and loses its projection.
FAIRSEQ_PREDICTION = HeadTable(
    (Row("final_proj.{p}", "final_proj.{p}"), Row("label_embeddings", "label_embs_concat")),
    optional=("final_proj.{p}", "label_embeddings"),
)
FAIRSEQ_CTC = HeadTable((Row("{p}", "proj.{p}"),))

# transformers


def _huggingface(encoder: str, projection: str) -> Table:
    """transformers and torchaudio agree on most names below the encoder."""
    layer = encoder + "layers.{i}."
    return (
        Row("extractor.layers.{i}.conv.{p}", "feature_extractor.conv_layers.{i}.conv.{p}"),
        Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.layer_norm.{p}"),
        Row("projection.norm.{p}", projection + "layer_norm.{p}"),
        Row("projection.linear.{p}", projection + "projection.{p}"),
        Row("encoder.positions.weight_g", encoder + "pos_conv_embed.conv.parametrizations.weight.original0"),
        Row("encoder.positions.weight_v", encoder + "pos_conv_embed.conv.parametrizations.weight.original1"),
        Row("encoder.positions.weight_g", encoder + "pos_conv_embed.conv.weight_g", writes=False),
        Row("encoder.positions.weight_v", encoder + "pos_conv_embed.conv.weight_v", writes=False),
        Row("encoder.positions.bias", encoder + "pos_conv_embed.conv.bias"),
        Row("encoder.norm.{p}", encoder + "layer_norm.{p}"),
        Row("encoder.relative_positions.weight", encoder + "layers.0.attention.rel_attn_embed.weight"),
        Row("encoder.layers.{i}.attention.gate.linear.{p}", layer + "attention.gru_rel_pos_linear.{p}"),
        Row("encoder.layers.{i}.attention.gate.scale", layer + "attention.gru_rel_pos_const", form="heads"),
        Row("encoder.layers.{i}.attention_norm.{p}", layer + "layer_norm.{p}"),
        Row("encoder.layers.{i}.feed_forward.inner.{p}", layer + "feed_forward.intermediate_dense.{p}"),
        Row("encoder.layers.{i}.feed_forward.outer.{p}", layer + "feed_forward.output_dense.{p}"),
        Row("encoder.layers.{i}.feed_forward_norm.{p}", layer + "final_layer_norm.{p}"),
    )


def _attention(encoder: str) -> Table:
    theirs = encoder + "layers.{i}.attention."
    return (
        Row("encoder.layers.{i}.attention.query.{p}", theirs + "q_proj.{p}"),
        Row("encoder.layers.{i}.attention.key.{p}", theirs + "k_proj.{p}"),
        Row("encoder.layers.{i}.attention.value.{p}", theirs + "v_proj.{p}"),
        Row("encoder.layers.{i}.attention.output.{p}", theirs + "out_proj.{p}"),
    )


HF: Table = (
    Row("mask_embedding", "masked_spec_embed"),
    Row("mask_embedding", "mask_time_emb_vector", writes=False),  # the name in transformers 4.3 to 4.5
    *_huggingface("encoder.", "feature_projection."),
    *_attention("encoder."),
)

_LAYER_MIX: Table = (Row("layer_weights", "layer_weights"),)
_CLASSIFIER: Table = (Row("classifier.{p}", "classifier.{p}"),)
_PROJECTOR: Table = (Row("projector.{p}", "projector.{p}"),)
HF_CTC = HeadTable((Row("{p}", "lm_head.{p}"),))
HF_SEQUENCE = HeadTable((*_LAYER_MIX, *_PROJECTOR, *_CLASSIFIER), optional=("layer_weights",))
HF_FRAMES = HeadTable((*_LAYER_MIX, *_CLASSIFIER), optional=("layer_weights",))
HF_XVECTOR = HeadTable(
    (
        *_LAYER_MIX,
        *_PROJECTOR,
        Row("tdnn.{i}.{p}", "tdnn.{i}.kernel.{p}"),
        Row("embedding.{p}", "feature_extractor.{p}"),
        *_CLASSIFIER,
        Row("objective", "objective.weight"),
    ),
    optional=("layer_weights",),
)
HF_CONTRAST = HeadTable(
    (
        Row("quantizer.codevectors", "quantizer.codevectors"),
        *_CONTRAST,
        Row("final_proj.{p}", "project_hid.{p}"),
    )
)
HF_HEADS: dict[str, HeadTable] = {
    "ctc": HF_CTC,
    "sequence_classification": HF_SEQUENCE,
    "frame_classification": HF_FRAMES,
    "xvector": HF_XVECTOR,
    "pretraining": HF_CONTRAST,
}

# torchaudio

_TRANSFORMER = "encoder.transformer."
_STACKED = _TRANSFORMER + "layers.{i}.attention.attention."
TORCHAUDIO_COMMON: Table = _huggingface(_TRANSFORMER, "encoder.feature_projection.")
TORCHAUDIO_ATTENTION: Table = _attention(_TRANSFORMER)
TORCHAUDIO_WAVLM_ATTENTION: Table = (
    Row(
        (
            "encoder.layers.{i}.attention.query.{p}",
            "encoder.layers.{i}.attention.key.{p}",
            "encoder.layers.{i}.attention.value.{p}",
        ),
        _STACKED + "in_proj_{p}",
    ),
    Row("encoder.layers.{i}.attention.output.{p}", _STACKED + "out_proj.{p}"),
)
TORCHAUDIO_MASK: Table = (Row("mask_embedding", "mask_generator.mask_embedding"),)  # HuBERTPretrainModel only
TORCHAUDIO_CTC = HeadTable((Row("{p}", "aux.{p}"),))
TORCHAUDIO_PREDICTION = HeadTable(
    (
        Row("final_proj.{p}", "logit_generator.final_proj.{p}"),
        Row("label_embeddings", "logit_generator.label_embeddings"),
    )
)
