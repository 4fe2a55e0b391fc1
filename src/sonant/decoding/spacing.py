"""Word boundaries in scripts without spaces, and removal of spaces before punctuation."""

from collections.abc import Sequence
from dataclasses import replace
from unicodedata import category, combining

from sonant.decoding.results import Word

# Scripts in which a line may be broken between any two characters: Thai, Lao, Burmese, Khmer, Chinese and Japanese.
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3000, 0x312F),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF00, 0xFFEF),
    (0x20000, 0x3FFFF),
)
# Letters attached to the previous one (small kana; vowels of Thai and Lao), or to the next one (vowels).
_TRAILING = frozenset(
    "ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿｧｨｩｪｫｬｭｮｯะาำๅະາຳ"
)
_LEADING = frozenset("เแโใไເແໂໃໄ")
_VIRAMA = 9  # canonical combining class of the mark that binds the next consonant to this one

_CLOSING = (".", "?", "!", ",")
_CONTRACTED = ("n't", "'m", "'s", "'ve", "'re")


def is_word_boundary(before: str, after: str) -> bool:
    """Return whether a word ends between two adjacent characters.

    It does in scripts without spaces, where each character, with its marks and punctuation, is a word.
    """
    if not before or not after or (before.isascii() and after.isascii()):
        return False
    without_spaces = is_without_spaces(before) or is_without_spaces(after)
    return without_spaces and not joins_previous(after) and not joins_next(before)


def joins_previous(character: str) -> bool:
    """Return whether a character belongs to the one before it: a mark, or closing punctuation."""
    kind = category(character)
    return kind[0] == "M" or kind in ("Lm", "Pe", "Pf", "Po", "Cf") or character in _TRAILING


def joins_next(character: str) -> bool:
    """Return whether a character belongs to the one behind it: a leading vowel, or opening punctuation."""
    return category(character) in ("Ps", "Pi", "Cf") or combining(character) == _VIRAMA or character in _LEADING


def is_without_spaces(character: str) -> bool:
    """Return whether a character is of a script without spaces between words."""
    number = ord(character)
    return any(first <= number <= last for first, last in _WITHOUT_SPACES)


def clean_up_spaces(words: Sequence[Word]) -> list[Word]:
    """Remove the spaces that `clean_up_tokenization_spaces` of transformers removes: "it 's here ." to "it's here.".

    Source: transformers `PreTrainedTokenizerBase.clean_up_tokenization`.
    """
    before = [word.before if number else "" for number, word in enumerate(words)]

    def remove(beginnings: tuple[str, ...]) -> None:
        for number, word in enumerate(words):
            if before[number] == " " and word.text.startswith(beginnings):
                before[number] = ""

    remove(_CLOSING)
    for number in range(1, len(words) - 1):
        if words[number].text == "'" and before[number] == before[number + 1] == " ":
            before[number] = before[number + 1] = ""
    remove(_CONTRACTED)
    return [replace(word, before=space) for word, space in zip(words, before, strict=True)]
