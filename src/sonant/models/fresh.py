"""Models to be trained from random weights on labels, by name: Conformers on log-mel energies."""

from sonant.models.w2v_bert2 import W2vBERT2Config


def _log_mel(dim: int, num_layers: int, num_heads: int) -> W2vBERT2Config:
    return W2vBERT2Config(
        dim=dim,
        num_layers=num_layers,
        num_heads=num_heads,
        feed_forward_dim=4 * dim,
        dropout=0.1,
        attention_dropout=0.1,
        activation_dropout=0.1,
        conv_dropout=0.1,
        layerdrop=0.0,
    )


# Sizes of Conformer S, M and L (Gulati et al. 2020, arXiv 2005.08100, table 1), with blocks of w2v-BERT 2.0.
FRESH: dict[str, W2vBERT2Config] = {
    "log_mel_small": _log_mel(144, 16, 4),
    "log_mel_medium": _log_mel(256, 16, 4),
    "log_mel_large": _log_mel(512, 17, 8),
}
