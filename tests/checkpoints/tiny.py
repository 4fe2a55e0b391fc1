"""Tiny models of transformers with random weights, and their tensors under the names of other toolkits.

The renamings are written from the modules of fairseq and torchaudio, apart from the tables under test.
"""

import re

import torch

HF_SIZES = {
    "conv_dim": (8,) * 7,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 11,
    "num_labels": 3,
    "classifier_proj_size": 7,
    "tdnn_dim": (6, 6, 9),
    "tdnn_kernel": (5, 3, 1),
    "tdnn_dilation": (1, 2, 1),
    "xvector_output_dim": 13,
    "num_ctc_classes": 9,
    "num_clusters": 6,
    "num_codevectors_per_group": 5,
    "codevector_dim": 12,
    "proj_codevector_dim": 10,
}
TRANSFORMERS = {"wavlm": "WavLM", "hubert": "Hubert", "wav2vec2": "Wav2Vec2"}
FURTHER = {"data2vec": "Data2VecAudio", "unispeech": "UniSpeech", "unispeech_sat": "UniSpeechSat"}


def theirs(family="wavlm", kind="Model", norm="group", **settings):
    """A tiny model: `theirs("hubert", "ForCTC", "layer")`; `settings` are further ones of its configuration."""
    import transformers

    transformers.logging.disable_progress_bar()
    layer, name = norm == "layer", (TRANSFORMERS | FURTHER)[family]
    config = getattr(transformers, f"{name}Config")(
        **(HF_SIZES | settings),
        feat_extract_norm=norm,
        do_stable_layer_norm=layer,
        conv_bias=layer and family == "wav2vec2",
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}{kind}")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
        for name, buffer in model.named_buffers():
            if "running_" in name:
                buffer.uniform_(0.5, 2)
    return model


def fairseq_names(state, norm):
    """The state dict of a bare model of transformers under the names of fairseq and unilm."""
    renamed = {}
    for old, tensor in state.items():
        name = old.replace("masked_spec_embed", "mask_emb")
        name = re.sub(r"conv_layers\.(\d)\.conv\.", r"conv_layers.\1.0.", name)
        name = re.sub(
            r"conv_layers\.(\d)\.layer_norm\.", r"conv_layers.\1.2." + ("1." if norm == "layer" else ""), name
        )
        name = name.replace("feature_projection.layer_norm.", "layer_norm.")
        name = name.replace("feature_projection.projection.", "post_extract_proj.")
        name = name.replace("pos_conv_embed.conv.parametrizations.weight.original0", "pos_conv.0.weight_g")
        name = name.replace("pos_conv_embed.conv.parametrizations.weight.original1", "pos_conv.0.weight_v")
        name = name.replace("pos_conv_embed.conv.bias", "pos_conv.0.bias")
        name = re.sub(r"^(encoder\.layers\.\d)\.layer_norm", r"\1.self_attn_layer_norm", name)
        name = name.replace("attention.gru_rel_pos_const", "attention.grep_a")
        name = name.replace("attention.gru_rel_pos_linear", "attention.grep_linear")
        name = name.replace("attention.rel_attn_embed", "attention.relative_attention_bias")
        name = name.replace(".attention.", ".self_attn.")
        name = name.replace("feed_forward.intermediate_dense", "fc1").replace("feed_forward.output_dense", "fc2")
        renamed[name] = tensor
    return renamed


def torchaudio_names(state, family):
    """The same under the names of torchaudio, which stacks WavLM's query, key and value."""
    renamed, stacks = {}, {}
    for old, tensor in state.items():
        if old == "masked_spec_embed":
            continue
        name = re.sub(r"^encoder\.", "encoder.transformer.", old)
        name = re.sub(r"^feature_projection\.", "encoder.feature_projection.", name)
        part = re.fullmatch(r"(.*\.attention)\.([qkv])_proj\.(weight|bias)", name)
        if family == "wavlm" and part:
            stacks.setdefault(f"{part[1]}.attention.in_proj_{part[3]}", {})[part[2]] = tensor
            continue
        if family == "wavlm":
            name = name.replace("attention.out_proj", "attention.attention.out_proj")
        renamed[name] = tensor
    return renamed | {name: torch.cat([parts[letter] for letter in "qkv"]) for name, parts in stacks.items()}


def fairseq2_names(state, norm):
    """The state dict of a model of transformers, bare or with its head of pretraining or CTC, as fairseq2 names it."""
    front = "encoder_frontend."
    last = "encoder.layer_norm." if norm == "layer" else f"{front}layer_norm."
    names = (
        (r"^wav2vec2\.", ""),
        (r"^masked_spec_embed", "masker.temporal_mask_embed"),
        (r"^feature_extractor\.conv_layers\.(\d)\.conv\.", front + r"feature_extractor.layers.\1.conv."),
        (
            r"^feature_extractor\.conv_layers\.(\d)\.layer_norm\.",
            front + rf"feature_extractor.layers.\1.{norm}_norm.",
        ),
        (r"^feature_projection\.layer_norm\.", f"{front}post_extract_layer_norm."),
        (r"^feature_projection\.projection\.", f"{front}model_dim_proj."),
        (r"^encoder\.pos_conv_embed\.conv\.parametrizations\.weight\.original0", f"{front}pos_encoder.conv.weight_g"),
        (r"^encoder\.pos_conv_embed\.conv\.parametrizations\.weight\.original1", f"{front}pos_encoder.conv.weight_v"),
        (r"^encoder\.pos_conv_embed\.conv\.bias", f"{front}pos_encoder.conv.bias"),
        (r"^encoder\.layer_norm\.", last),
        (r"^(encoder\.layers\.\d)\.layer_norm\.", r"\1.self_attn_layer_norm."),
        (r"^(encoder\.layers\.\d)\.attention\.out_proj\.", r"\1.self_attn.output_proj."),
        (r"^(encoder\.layers\.\d)\.attention\.", r"\1.self_attn."),
        (r"^(encoder\.layers\.\d)\.feed_forward\.intermediate_dense\.", r"\1.ffn.inner_proj."),
        (r"^(encoder\.layers\.\d)\.feed_forward\.output_dense\.", r"\1.ffn.output_proj."),
        (r"^(encoder\.layers\.\d)\.final_layer_norm\.", r"\1.ffn_layer_norm."),
        (r"^quantizer\.codevectors", "quantizer.entries"),
        (r"^quantizer\.weight_proj\.", "quantizer.entry_proj."),
        (r"^project_q\.", "final_target_proj."),
        (r"^(project_hid|lm_head)\.", "final_proj."),
    )
    renamed = {}
    for name, tensor in state.items():
        for pattern, replacement in names:
            name = re.sub(pattern, replacement, name)  # noqa: PLW2901
        renamed[name] = tensor
    return renamed
