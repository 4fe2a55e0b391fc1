"""Commands that load a model of the catalog by various tools."""

from sonant.models.catalog import Card
from sonant.models.discrete_bert import DiscreteBERTConfig
from sonant.models.families import family_of


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
    kind = family_of(card.config).peer
    if kind is None:
        return lines
    lines["transformers"] = f'{kind}.from_pretrained("{card.name}")'
    if card.shipped or card.address:  # on no hub: write a folder first
        folder = card.short_name
        lines["transformers"] = f'sonant convert {source} {folder} --to hf, then {kind}.from_pretrained("{folder}")'
    return lines
