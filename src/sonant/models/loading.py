"""Commands that load a model of the catalog, in the language of each tool."""

from sonant.models.catalog import Card
from sonant.models.discrete_bert import DiscreteBERTConfig

TRANSFORMERS = {  # its classes; it has none for vq-wav2vec and wav2vec
    "WavLM": "WavLMModel",
    "HuBERT": "HubertModel",
    "wav2vec 2.0": "Wav2Vec2Model",
    "wav2vec 2.0 Conformer": "Wav2Vec2ConformerModel",
    "SEW": "SEWModel",
    "w2v-BERT 2.0": "Wav2Vec2BertModel",
}


def loading(card: Card) -> dict[str, str]:
    """Return the commands that load a model, by tool."""
    if isinstance(card.config, DiscreteBERTConfig):
        weights, tokenizer = f"{card.short_name}.pt", "vq-wav2vec_kmeans.pt"
        return {
            "shell": f"tar -xf {card.short_name}.tar",
            "python": f'encoder = sonant.load("{weights}", tokenizer="{tokenizer}")',
        }
    source = card.name if card.address is None else card.address.rpartition("/")[2]  # the file, once downloaded
    lines = {
        "python": f'encoder = sonant.load("{source}")',
        "shell": f"sonant embed speech.wav -o speech.npy --model {source}",
    }
    if card.family not in TRANSFORMERS:
        return lines
    kind = TRANSFORMERS[card.family]
    lines["transformers"] = f'{kind}.from_pretrained("{card.name}")'
    if card.shipped or card.address:  # on no hub: write a folder first
        folder = card.short_name
        lines["transformers"] = f'sonant convert {source} {folder} --to hf, then {kind}.from_pretrained("{folder}")'
    return lines
