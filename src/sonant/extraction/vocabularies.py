"""Vocabularies of CTC heads."""

from sonant.checkpoints import Head
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.errors import CheckpointError


def vocabulary_of(head: Head, name: str) -> CTCVocabulary:
    """Return the vocabulary of a head of the model `name`; raise CheckpointError if it is unknown."""
    lack = lack_of(head)
    if lack is not None:
        raise CheckpointError(f"{name} has a CTC head of {len(head.tensors['weight'])} tokens, but {lack}")
    return CTCVocabulary.of(
        head.metadata["vocabulary"], blank=head.metadata.get("blank", 0), tokenizer=head.metadata.get("tokenizer")
    )


def lack_of(head: Head) -> str | None:
    """Return the reason why the tokens of a CTC head have no text; None if they have."""
    vocabulary = head.metadata.get("vocabulary")
    if not vocabulary:
        reason = head.metadata.get("unusable", "nothing says what they are")
        return (
            f"{reason}. The text of a model needs its vocab.json beside its config.json; a file of fairseq the "
            "dict.ltr.txt of its training beside it, one of fairseq2 the sentencepiece model; a file of torchaudio is "
            "to be converted first (sonant convert), and vocab.json put into that folder."
        )
    if len(vocabulary) != len(head.tensors["weight"]):
        return (
            f"its vocabulary has {len(vocabulary)}: the two belong to different models. Give the head the vocabulary "
            "that it was trained with."
        )
    return None
