"""Names of tensors in each toolkit: on the left ours (as in `sonant.models`), on the right the other toolkit's.

Sources: unilm `wavlm/WavLM.py`; fairseq `models/wav2vec/wav2vec.py`, `models/wav2vec/wav2vec2.py`,
`models/hubert/hubert.py`, `modules/gumbel_vector_quantizer.py` and `modules/kmeans_vector_quantizer.py`;
seamless_communication `models/conformer_shaw/loader.py`; fairseq2 `models/wav2vec2`; transformers
`modeling_wavlm.py`, `modeling_hubert.py`, `modeling_wav2vec2.py`, `modeling_wav2vec2_bert.py`; torchaudio
`models/wav2vec2/components.py` and `wavlm_attention.py`.
"""

from sonant.checkpoints.checkpoint import UNUSED
from sonant.checkpoints.keys import HeadTable, Row, Table

# fairseq, unilm and s3prl

FAIRSEQ_GROUP_NORM: Table = (Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.2.{p}"),)
FAIRSEQ_LAYER_NORM: Table = (Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.2.1.{p}"),)
FAIRSEQ: Table = (
    Row("mask_embedding", "mask_emb"),
    Row("extractor.layers.{i}.conv.{p}", "feature_extractor.conv_layers.{i}.0.{p}"),
    Row("projection.norm.{p}", "layer_norm.{p}"),
    Row("projection.linear.{p}", "post_extract_proj.{p}"),
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


def _batch_norm(theirs: str) -> Table:
    ours = "encoder.positions.norm."
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return (Row(ours + "{p}", theirs + "{p}"), *(Row(ours + name, theirs + name) for name in statistics))


# The positional convolution: under weight norm, or what is left of it where that was folded; behind a batch norm.
FAIRSEQ_POSITIONS: Table = (
    Row("encoder.positions.weight_g", "encoder.pos_conv.0.weight_g"),
    Row("encoder.positions.weight_v", "encoder.pos_conv.0.weight_v"),
    Row("encoder.positions.weight_g", "encoder.pos_conv.0.parametrizations.weight.original0", writes=False),
    Row("encoder.positions.weight_v", "encoder.pos_conv.0.parametrizations.weight.original1", writes=False),
    Row("encoder.positions.weight", "encoder.pos_conv.0.weight"),
    Row("encoder.positions.bias", "encoder.pos_conv.0.bias"),
)
FAIRSEQ_BATCH_NORM_POSITIONS: Table = (
    *_batch_norm("encoder.pos_conv.0."),
    Row("encoder.positions.{p}", "encoder.pos_conv.1.{p}"),
)

FAIRSEQ_STACKED_POSITIONS: Table = (Row("encoder.positions.layers.{i}.{p}", "encoder.pos_conv.{i}.0.{p}"),)

# wav2vec and vq-wav2vec; the numbers between are those of dropout, padding and activation.
FAIRSEQ_WAV2VEC: Table = (
    Row("extractor.layers.{i}.conv.weight", "feature_extractor.conv_layers.{i}.0.weight"),
    Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.2.{p}"),
    Row("context.layers.{i}.conv.{p}", "feature_aggregator.conv_layers.{i}.1.{p}"),
    Row("context.layers.{i}.norm.{p}", "feature_aggregator.conv_layers.{i}.3.{p}"),
)
FAIRSEQ_KMEANS: Table = (
    Row("quantizer.codebook", "vector_quantizer.embedding"),
    Row("quantizer.projection.weight", "vector_quantizer.projection.0.weight"),
    Row("quantizer.norm.{p}", "vector_quantizer.projection.1.{p}"),
)
FAIRSEQ_STEPS = HeadTable(
    (
        Row("project_to_steps.weight", "wav2vec_predictions.project_to_steps.weight", form="steps"),
        Row("project_to_steps.bias", "wav2vec_predictions.project_to_steps.bias"),
    )
)


def fairseq_gumbel(depth: int) -> Table:
    """The quantizer with so many linear layers before its logits; each but the last lies beside its activation."""
    theirs = "vector_quantizer.weight_proj"
    inner = (Row(f"quantizer.projections.{i}.{{p}}", f"{theirs}.{i}.0.{{p}}") for i in range(depth - 1))
    last = Row(
        f"quantizer.projections.{depth - 1}.{{p}}", f"{theirs}.{depth - 1}.{{p}}" if depth > 1 else f"{theirs}.{{p}}"
    )
    return (Row("quantizer.codebook", "vector_quantizer.vars"), *inner, last)


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
        Row("encoder.positions.{p}", encoder + "pos_conv_embed.conv.{p}"),
        *_batch_norm(encoder + "pos_conv_embed.batch_norm."),
        Row("encoder.positions.layers.{i}.{p}", encoder + "pos_conv_embed.layers.{i}.conv.{p}"),
        Row("encoder.norm.{p}", encoder + "layer_norm.{p}"),
        Row("encoder.relative_positions.weight", encoder + "layers.0.attention.rel_attn_embed.weight"),
        Row("encoder.layers.{i}.attention.gate.linear.{p}", layer + "attention.gru_rel_pos_linear.{p}"),
        Row("encoder.layers.{i}.attention.gate.scale", layer + "attention.gru_rel_pos_const", form="heads"),
        Row("encoder.layers.{i}.attention_norm.{p}", layer + "layer_norm.{p}"),
        Row("encoder.layers.{i}.feed_forward.inner.{p}", layer + "feed_forward.intermediate_dense.{p}"),
        Row("encoder.layers.{i}.feed_forward.outer.{p}", layer + "feed_forward.output_dense.{p}"),
        Row("encoder.layers.{i}.feed_forward_norm.{p}", layer + "final_layer_norm.{p}"),
    )


# transformers' adapters: one behind the encoder, and one in each layer.
HF_CONV_ADAPTER: Table = (
    Row("adapter.projection.{p}", "adapter.proj.{p}"),
    Row("adapter.projection_norm.{p}", "adapter.proj_layer_norm.{p}"),
    Row("adapter.layers.{i}.conv.{p}", "adapter.layers.{i}.conv.{p}"),
)
HF_ADAPTERS: Table = (
    *HF_CONV_ADAPTER,
    Row("encoder.layers.{i}.adapter.norm.{p}", "encoder.layers.{i}.adapter_layer.norm.{p}"),
    Row("encoder.layers.{i}.adapter.inner.{p}", "encoder.layers.{i}.adapter_layer.linear_1.{p}"),
    Row("encoder.layers.{i}.adapter.outer.{p}", "encoder.layers.{i}.adapter_layer.linear_2.{p}"),
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
    *HF_ADAPTERS,
)


def _attention_of_w2v_bert2(ours: str, theirs: str) -> Table:
    return (
        Row(ours + "query.{p}", theirs + "linear_q.{p}"),
        Row(ours + "key.{p}", theirs + "linear_k.{p}"),
        Row(ours + "value.{p}", theirs + "linear_v.{p}"),
        Row(ours + "output.{p}", theirs + "linear_out.{p}"),
    )


def _feed_forward_of_w2v_bert2(ours: str, theirs: str) -> Table:
    return (
        Row(ours + "inner.{p}", theirs + "intermediate_dense.{p}"),
        Row(ours + "outer.{p}", theirs + "output_dense.{p}"),
    )


_BLOCK, _ADAPTER = "encoder.layers.{i}.", "adapter.layers.{i}."
HF_W2V_BERT2: Table = (
    Row("mask_embedding", "masked_spec_embed"),
    Row("projection.norm.{p}", "feature_projection.layer_norm.{p}"),
    Row("projection.linear.{p}", "feature_projection.projection.{p}"),
    Row(_BLOCK + "feed_forward_1_norm.{p}", _BLOCK + "ffn1_layer_norm.{p}"),
    *_feed_forward_of_w2v_bert2(_BLOCK + "feed_forward_1.", _BLOCK + "ffn1."),
    Row(_BLOCK + "attention_norm.{p}", _BLOCK + "self_attn_layer_norm.{p}"),
    *_attention_of_w2v_bert2(_BLOCK + "attention.", _BLOCK + "self_attn."),
    Row(_BLOCK + "attention.relative_keys.weight", _BLOCK + "self_attn.distance_embedding.weight"),
    Row(_BLOCK + "conv.norm.{p}", _BLOCK + "conv_module.layer_norm.{p}"),
    Row(_BLOCK + "conv.inner.weight", _BLOCK + "conv_module.pointwise_conv1.weight", form="pointwise"),
    Row(_BLOCK + "conv.depthwise.weight", _BLOCK + "conv_module.depthwise_conv.weight"),
    Row(_BLOCK + "conv.depthwise_norm.{p}", _BLOCK + "conv_module.depthwise_layer_norm.{p}"),
    Row(_BLOCK + "conv.outer.weight", _BLOCK + "conv_module.pointwise_conv2.weight", form="pointwise"),
    Row(_BLOCK + "feed_forward_2_norm.{p}", _BLOCK + "ffn2_layer_norm.{p}"),
    *_feed_forward_of_w2v_bert2(_BLOCK + "feed_forward_2.", _BLOCK + "ffn2."),
    Row(_BLOCK + "norm.{p}", _BLOCK + "final_layer_norm.{p}"),
    *_feed_forward_of_w2v_bert2("adapter.feed_forward.", "intermediate_ffn."),
    Row("adapter.projection.{p}", "adapter.proj.{p}"),
    Row("adapter.projection_norm.{p}", "adapter.proj_layer_norm.{p}"),
    Row(_ADAPTER + "residual_norm.{p}", _ADAPTER + "residual_layer_norm.{p}"),
    Row(_ADAPTER + "residual_conv.{p}", _ADAPTER + "residual_conv.{p}"),
    Row(_ADAPTER + "attention_norm.{p}", _ADAPTER + "self_attn_layer_norm.{p}"),
    Row(_ADAPTER + "attention_conv.{p}", _ADAPTER + "self_attn_conv.{p}"),
    *_attention_of_w2v_bert2(_ADAPTER + "attention.", _ADAPTER + "self_attn."),
    Row(_ADAPTER + "feed_forward_norm.{p}", _ADAPTER + "ffn_layer_norm.{p}"),
    *_feed_forward_of_w2v_bert2(_ADAPTER + "feed_forward.", _ADAPTER + "ffn."),
)

HF_CONFORMER: Table = (
    Row("mask_embedding", "masked_spec_embed"),
    Row("extractor.layers.{i}.conv.{p}", "feature_extractor.conv_layers.{i}.conv.{p}"),
    Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.layer_norm.{p}"),
    Row("encoder.norm.{p}", "encoder.layer_norm.{p}"),
    *HF_CONV_ADAPTER,
    *(row for row in HF_W2V_BERT2 if not str(row.native).startswith(("adapter.", "mask_", _BLOCK + "conv.depthwise_"))),
    Row(_BLOCK + "attention.position.weight", _BLOCK + "self_attn.linear_pos.weight"),
    Row(_BLOCK + "attention.content_bias", _BLOCK + "self_attn.pos_bias_u"),
    Row(_BLOCK + "attention.position_bias", _BLOCK + "self_attn.pos_bias_v"),
    Row(_BLOCK + "conv.batch_norm.{p}", _BLOCK + "conv_module.batch_norm.{p}"),
    *(
        Row(_BLOCK + f"conv.batch_norm.{name}", _BLOCK + f"conv_module.batch_norm.{name}")
        for name in ("running_mean", "running_var", "num_batches_tracked")
    ),
)
_SEW_LAYER = "encoder.layers.{i}."
HF_SEW: Table = (
    Row("mask_embedding", "masked_spec_embed"),
    Row("extractor.layers.{i}.conv.{p}", "feature_extractor.conv_layers.{i}.conv.{p}"),
    Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.layer_norm.{p}"),
    Row("projection.norm.{p}", "layer_norm.{p}"),
    Row("projection.linear.{p}", "feature_projection.{p}"),
    *(row for row in HF if str(row.native).startswith("encoder.positions.")),
    Row("encoder.inner.norm.{p}", "encoder.layer_norm.{p}"),
    *(
        Row(f"encoder.inner.{str(row.native).removeprefix('encoder.')}", row.foreign)
        for row in HF
        if row.foreign.startswith(_SEW_LAYER) and "rel_pos" not in row.foreign
    ),
    Row("encoder.upsample.{p}", "encoder.upsample.projection.{p}"),
)
# What the class of the Conformer has and never computes with: the positional convolution of its ancestor.
_UNUSED = "encoder.pos_conv_embed.conv."
HF_UNUSED = HeadTable(
    (
        Row("positions.weight_g", _UNUSED + "parametrizations.weight.original0"),
        Row("positions.weight_v", _UNUSED + "parametrizations.weight.original1"),
        Row("positions.weight_g", _UNUSED + "weight_g", writes=False),
        Row("positions.weight_v", _UNUSED + "weight_v", writes=False),
        Row("positions.bias", _UNUSED + "bias"),
    )
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


def _hidden_layer(name: str) -> Table:
    return (
        Row(f"{name}.dense.{{p}}", f"{name}.dense.{{p}}"),
        Row(f"{name}.output.{{p}}", f"{name}.out_proj.{{p}}"),
    )


HF_SPEECH = HeadTable(_hidden_layer("classifier"))
HF_AGE_GENDER = HeadTable((*_hidden_layer("age"), *_hidden_layer("gender")))
HF_FINAL_PROJECTION = HeadTable((Row("final_proj.{p}", "final_proj.{p}"),))  # of a HuBERT that is used for its content
HF_UNISPEECH = HeadTable(
    (
        Row("quantizer.codevectors", "quantizer.codevectors"),
        *_CONTRAST,
        Row("project_hid.{p}", "project_hid.{p}"),
        Row("ctc_proj.{p}", "ctc_proj.{p}"),
    )
)
HF_UNISPEECH_SAT = HeadTable(
    (
        *HF_CONTRAST.rows,
        Row("speaker_proj.{p}", "speaker_proj.{p}"),
        Row("label_embeddings", "label_embeddings_concat"),
        Row("extractor_norm.{p}", "layer_norm_for_extract.{p}"),
    )
)
HF_HEADS: dict[str, HeadTable] = {
    "ctc": HF_CTC,
    "sequence_classification": HF_SEQUENCE,
    "speech_classification": HF_SPEECH,
    "age_gender": HF_AGE_GENDER,
    "frame_classification": HF_FRAMES,
    "xvector": HF_XVECTOR,
    "pretraining": HF_CONTRAST,
    UNUSED: HF_UNUSED,
}

# fairseq's and fairseq2's w2v-BERT 2.0

_SHAW: Table = (
    Row(_BLOCK + "attention_norm.{p}", _BLOCK + "self_attn_layer_norm.{p}"),
    Row(_BLOCK + "attention.query.{p}", _BLOCK + "self_attn.q_proj.{p}"),
    Row(_BLOCK + "attention.key.{p}", _BLOCK + "self_attn.k_proj.{p}"),
    Row(_BLOCK + "attention.value.{p}", _BLOCK + "self_attn.v_proj.{p}"),
)
FAIRSEQ_W2V_BERT2: Table = (
    Row("mask_embedding", "mask_emb"),
    Row("projection.norm.{p}", "layer_norm.{p}"),
    Row("projection.linear.{p}", "post_extract_proj.{p}"),
    *_SHAW,
    Row(_BLOCK + "attention.output.{p}", _BLOCK + "self_attn.out_proj.{p}"),
    Row(_BLOCK + "attention.relative_keys.weight", _BLOCK + "self_attn.rel_k_embedding.weight"),
    *(
        row
        for n in "12"
        for row in (
            Row(_BLOCK + f"feed_forward_{n}_norm.{{p}}", _BLOCK + f"ffn{n}.layer_norm.{{p}}"),
            Row(_BLOCK + f"feed_forward_{n}.inner.{{p}}", _BLOCK + f"ffn{n}.w_1.{{p}}"),
            Row(_BLOCK + f"feed_forward_{n}.outer.{{p}}", _BLOCK + f"ffn{n}.w_2.{{p}}"),
        )
    ),
    Row(_BLOCK + "conv.norm.{p}", _BLOCK + "conv_module.layer_norm.{p}"),
    Row(_BLOCK + "conv.inner.weight", _BLOCK + "conv_module.pointwise_conv1.weight", form="pointwise"),
    Row(_BLOCK + "conv.depthwise.weight", _BLOCK + "conv_module.depthwise_conv.weight"),
    Row(_BLOCK + "conv.depthwise_norm.{p}", _BLOCK + "conv_module.layer_norm2.{p}"),
    Row(_BLOCK + "conv.outer.weight", _BLOCK + "conv_module.pointwise_conv2.weight", form="pointwise"),
    Row(_BLOCK + "norm.{p}", _BLOCK + "final_layer_norm.{p}"),
)
FAIRSEQ2_W2V_BERT2: Table = (
    Row("mask_embedding", "masker.temporal_mask_embed"),
    Row("projection.norm.{p}", "encoder_frontend.post_extract_layer_norm.{p}"),
    Row("projection.linear.{p}", "encoder_frontend.model_dim_proj.{p}"),
    *_SHAW,
    Row(_BLOCK + "attention.output.{p}", _BLOCK + "self_attn.output_proj.{p}"),
    Row(_BLOCK + "attention.relative_keys.weight", _BLOCK + "self_attn.sdpa.rel_k_embed.weight"),
    *(
        row
        for n in "12"
        for row in (
            Row(_BLOCK + f"feed_forward_{n}_norm.{{p}}", _BLOCK + f"ffn{n}_layer_norm.{{p}}"),
            Row(_BLOCK + f"feed_forward_{n}.inner.{{p}}", _BLOCK + f"ffn{n}.inner_proj.{{p}}"),
            Row(_BLOCK + f"feed_forward_{n}.outer.{{p}}", _BLOCK + f"ffn{n}.output_proj.{{p}}"),
        )
    ),
    Row(_BLOCK + "conv.norm.{p}", _BLOCK + "conv_layer_norm.{p}"),
    Row(_BLOCK + "conv.inner.weight", _BLOCK + "conv.pointwise_conv1.weight", form="pointwise"),
    Row(_BLOCK + "conv.depthwise.weight", _BLOCK + "conv.depthwise_conv.weight"),
    Row(_BLOCK + "conv.depthwise_norm.{p}", _BLOCK + "conv.layer_norm.{p}"),
    Row(_BLOCK + "conv.outer.weight", _BLOCK + "conv.pointwise_conv2.weight", form="pointwise"),
    Row(_BLOCK + "norm.{p}", _BLOCK + "layer_norm.{p}"),
)
# The norm behind the encoder lies in the file, but the model does not use it.
_SHAW_UNUSED: Table = (Row("mlm_proj.{p}", "mlm_proj.{p}"), Row("encoder_norm.{p}", "encoder.layer_norm.{p}"))
FAIRSEQ_W2V_BERT2_CONTRAST = HeadTable(
    (*FAIRSEQ_CONTRAST.rows, *_SHAW_UNUSED), optional=("mlm_proj.{p}", "encoder_norm.{p}")
)
_FAIRSEQ2_CONTRAST: Table = (
    Row("quantizer.codevectors", "quantizer.entries"),
    Row("quantizer.weight_proj.{p}", "quantizer.entry_proj.{p}"),
    Row("project_q.{p}", "final_target_proj.{p}"),
    Row("final_proj.{p}", "final_proj.{p}"),
)
FAIRSEQ2_W2V_BERT2_CONTRAST = HeadTable(
    (*_FAIRSEQ2_CONTRAST, Row("quantizer.num_updates", "quantizer.num_updates"), *_SHAW_UNUSED),
    optional=("mlm_proj.{p}", "encoder_norm.{p}", "quantizer.num_updates"),
)

# fairseq2's wav2vec 2.0, omniASR among them. The last norm lies behind the layers or, as in our models, before them.
FAIRSEQ2_WAV2VEC2: Table = (
    Row("mask_embedding", "masker.temporal_mask_embed"),
    Row("extractor.layers.{i}.conv.{p}", "encoder_frontend.feature_extractor.layers.{i}.conv.{p}"),
    Row("extractor.layers.{i}.norm.{p}", "encoder_frontend.feature_extractor.layers.{i}.layer_norm.{p}"),
    Row("extractor.layers.{i}.norm.{p}", "encoder_frontend.feature_extractor.layers.{i}.group_norm.{p}"),
    Row("projection.norm.{p}", "encoder_frontend.post_extract_layer_norm.{p}"),
    Row("projection.linear.{p}", "encoder_frontend.model_dim_proj.{p}"),
    Row("encoder.positions.weight_g", "encoder_frontend.pos_encoder.conv.weight_g"),
    Row("encoder.positions.weight_v", "encoder_frontend.pos_encoder.conv.weight_v"),
    Row("encoder.positions.weight", "encoder_frontend.pos_encoder.conv.weight"),
    Row("encoder.positions.bias", "encoder_frontend.pos_encoder.conv.bias"),
    Row("encoder.norm.{p}", "encoder.layer_norm.{p}"),
    Row("encoder.norm.{p}", "encoder_frontend.layer_norm.{p}"),
    Row("encoder.layers.{i}.attention.query.{p}", "encoder.layers.{i}.self_attn.q_proj.{p}"),
    Row("encoder.layers.{i}.attention.key.{p}", "encoder.layers.{i}.self_attn.k_proj.{p}"),
    Row("encoder.layers.{i}.attention.value.{p}", "encoder.layers.{i}.self_attn.v_proj.{p}"),
    Row("encoder.layers.{i}.attention.output.{p}", "encoder.layers.{i}.self_attn.output_proj.{p}"),
    Row("encoder.layers.{i}.attention_norm.{p}", "encoder.layers.{i}.self_attn_layer_norm.{p}"),
    Row("encoder.layers.{i}.feed_forward.inner.{p}", "encoder.layers.{i}.ffn.inner_proj.{p}"),
    Row("encoder.layers.{i}.feed_forward.outer.{p}", "encoder.layers.{i}.ffn.output_proj.{p}"),
    Row("encoder.layers.{i}.feed_forward_norm.{p}", "encoder.layers.{i}.ffn_layer_norm.{p}"),
)
FAIRSEQ2_CONTRAST = HeadTable(_FAIRSEQ2_CONTRAST)
FAIRSEQ2_CTC = HeadTable((Row("{p}", "final_proj.{p}"),))

# What a whole pretraining head of each family consists of.
PRETRAINING: dict[str, HeadTable] = {
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
