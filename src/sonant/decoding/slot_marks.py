"""Slots of transcripts whose vocabulary has marks of them."""

from dataclasses import replace

from sonant.data.slots import is_mark, slots_among
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.results import SpokenSlot, Transcript, join_words


def with_slots(marked: Transcript, vocabulary: CTCVocabulary) -> Transcript:
    """Return a transcript without its marks, and with the slots between them; without marks in the vocabulary, itself.

    What is marked wrongly is no slot, see `sonant.data.slots.slots_among`; its words stay.
    """
    if not vocabulary.marks:
        return marked
    spans = slots_among([word.text for word in marked.words])
    slots = tuple(
        SpokenSlot(span.name, join_words(inside), inside[0].start_seconds, inside[-1].end_seconds)
        for span in spans
        for inside in [[marked.words[number] for number in span.words]]
    )
    words = tuple(word for word in marked.words if not is_mark(word.text))
    return replace(marked, text=join_words(words), words=words, slots=slots)
