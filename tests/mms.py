"""A small model of MMS as transformers writes it: adapters and heads by language, random but far from each other."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "|")
LETTERS = {"deu": "aeinrstäöüß", "eng": "abcdefghij'", "fra": "aeéèçlmn", "urd-script_arabic": "ابپتٹ"}
SHAPE: dict[str, Any] = {
    "conv_dim": (16,) * 7,
    "feat_extract_norm": "layer",
    "conv_bias": True,
    "do_stable_layer_norm": True,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "adapter_attn_dim": 6,
    "pad_token_id": 0,
}


def vocabulary(language: str) -> dict[str, int]:
    return {token: number for number, token in enumerate((*SPECIAL, *LETTERS[language]))}


def write_mms(folder: Path, *, default: str | None = "eng", in_bin: tuple[str, ...] = ("deu",)) -> Path:
    """A folder whose weights hold the adapter of English, and its tokenizer names `default`.

    Args:
        in_bin: the languages whose adapters are pickles.
    """
    torch.manual_seed(0)
    model = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**SHAPE, vocab_size=len(vocabulary("eng"))))
    folder.mkdir(exist_ok=True)
    for language in sorted(LETTERS, key=lambda name: name == "eng"):  # English last: it stays in the model
        tokens = len(vocabulary(language))
        model.lm_head, model.config.vocab_size = torch.nn.Linear(32, tokens), tokens
        adapter = {name: 0.5 * torch.randn(parameter.shape) for name, parameter in model._get_adapters().items()}
        adapter["lm_head.weight"] *= 2
        adapter["lm_head.bias"][1:4] = -50.0  # special tokens are never written
        model.load_state_dict(adapter, strict=False)
        if language in in_bin:
            torch.save(adapter, folder / f"adapter.{language}.bin")
        else:
            save_file(adapter, folder / f"adapter.{language}.safetensors", metadata={"format": "pt"})
    model.eval().save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({name: vocabulary(name) for name in LETTERS}, ensure_ascii=False))
    tokenizer = {"tokenizer_class": "Wav2Vec2CTCTokenizer", "target_lang": default, "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder
