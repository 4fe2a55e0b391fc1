"""The words of discretized speech: a token for each group of codes that a corpus holds."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from sonant.errors import ConfigurationError

BEGIN, PAD, END, UNKNOWN = "<s>", "<pad>", "</s>", "<unk>"
SPECIALS = (BEGIN, PAD, END, UNKNOWN)  # tokens 0 to 3, as in every dictionary of fairseq
MASK = "<mask>"


class CodeVocabulary(nn.Module):
    """The vocabulary of tokens for groups of codes: "12-301" is code 12 in group 0 and code 301 in group 1.

    The first tokens are `SPECIALS`, and the last is the mask of models that have one. fairseq fills dictionaries up
    with symbols that never occur.

    Buffers:
        codes: int64 (tokens, num_codebooks), the codes of each token; -1 for `SPECIALS` and whatever else is no code.

    Args:
        size: number of tokens.
        num_codebooks: codes a frame.
        codebook_size: codes in each codebook.
    """

    codes: Tensor

    def __init__(self, size: int, num_codebooks: int, codebook_size: int) -> None:
        super().__init__()
        self.codebook_size = codebook_size
        self.register_buffer("codes", torch.full((size, num_codebooks), -1))

    def __len__(self) -> int:
        return self.codes.shape[0]

    def tokens(self, codes: Tensor) -> Tensor:
        """The token of each row of codes (total, num_codebooks): int64 (total,); "<unk>" for codes never seen."""
        return self.tokens_of(group_numbers(codes, self.codebook_size))

    def tokens_of(self, numbers: Tensor) -> Tensor:
        """Return the same as `tokens`, for groups of codes given as `group_numbers` (total,)."""
        known, order = group_numbers(self.codes, self.codebook_size).sort()
        place = torch.searchsorted(known, numbers).clamp(max=len(known) - 1)
        return torch.where(known[place] == numbers, order[place], SPECIALS.index(UNKNOWN))

    @property
    def mask_token(self) -> int:
        """The token that replaces masked ones: the last."""
        return len(self) - 1

    @property
    def words(self) -> Tensor:
        """The tokens that stand for codes: int64 (words,)."""
        return torch.nonzero(self.codes[:, 0] >= 0).flatten()

    def symbols(self) -> list[str]:
        """The tokens as text, in their order: the lines of fairseq's dictionary, behind its four specials."""
        named = {**dict(enumerate(SPECIALS)), self.mask_token: MASK}
        return [
            "-".join(map(str, row)) if row[0] >= 0 else named.get(token, f"madeupword{token:04}")
            for token, row in enumerate(self.codes.tolist())
        ]


def codes_of_symbols(symbols: Iterable[str], num_codebooks: int, codebook_size: int) -> Tensor:
    """The codes of tokens given as text: int64 (tokens, num_codebooks), -1 where a symbol is no group of codes.

    Raises:
        ConfigurationError: a symbol joins another number of codes, or has one that there is not.
    """
    rows = []
    for symbol in symbols:
        parts = symbol.split("-")
        if not all(part.isdecimal() for part in parts):
            rows.append([-1] * num_codebooks)
        elif len(parts) == num_codebooks and max(map(int, parts)) < codebook_size:
            rows.append([int(part) for part in parts])
        else:
            raise ConfigurationError(
                f"The dictionary has the symbol {symbol!r}, and the quantizer has {num_codebooks} codebooks of "
                f"{codebook_size} codes. The dictionary belongs to another quantizer."
            )
    return torch.tensor(rows)


def group_numbers(codes: Tensor, codebook_size: int) -> Tensor:
    """Return each row of codes (total, num_codebooks) as one int64 (total,), codes as digits; -1s give less than 0."""
    powers = codebook_size ** torch.arange(codes.shape[1] - 1, -1, -1, device=codes.device)
    return (codes * powers).sum(1)


def codes_of_numbers(numbers: Tensor, codebook_size: int, num_codebooks: int) -> Tensor:
    """Return the codes that `group_numbers` made these numbers from: int64 (total, num_codebooks)."""
    powers = codebook_size ** torch.arange(num_codebooks - 1, -1, -1, device=numbers.device)
    return numbers[:, None] // powers % codebook_size
