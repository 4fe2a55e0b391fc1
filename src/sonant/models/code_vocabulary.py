"""The vocabulary of discretized speech: a token for each tuple of codes in a corpus."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from sonant.errors import ConfigurationError

BEGIN, PAD, END, UNKNOWN = "<s>", "<pad>", "</s>", "<unk>"
SPECIALS = (BEGIN, PAD, END, UNKNOWN)  # tokens 0 to 3, as in fairseq dictionaries
MASK = "<mask>"


class CodeVocabulary(nn.Module):
    """The vocabulary of tokens for tuples of codes: "12-301" is code 12 of codebook 0 and code 301 of codebook 1.

    The first tokens are `SPECIALS`, and the last is the mask token, if any. fairseq pads dictionaries with symbols that
    never occur.

    Buffers:
        codes: int64 (tokens, num_codebooks), the codes of each token; -1 for `SPECIALS` and other tokens without codes.

    Args:
        size: number of tokens.
        num_codebooks: number of codes of a frame.
        codebook_size: number of codes in each codebook.
    """

    codes: Tensor

    def __init__(self, size: int, num_codebooks: int, codebook_size: int) -> None:
        super().__init__()
        self.codebook_size = codebook_size
        self.register_buffer("codes", torch.full((size, num_codebooks), -1))

    def __len__(self) -> int:
        return self.codes.shape[0]

    def tokens(self, codes: Tensor) -> Tensor:
        """Return the token of each row of codes (total, num_codebooks): int64 (total,); "<unk>" for unknown tuples."""
        return self.tokens_of(group_numbers(codes, self.codebook_size))

    def tokens_of(self, numbers: Tensor) -> Tensor:
        """Return `tokens` of tuples of codes given as `group_numbers` (total,)."""
        known, order = group_numbers(self.codes, self.codebook_size).sort()
        place = torch.searchsorted(known, numbers).clamp(max=len(known) - 1)
        return torch.where(known[place] == numbers, order[place], SPECIALS.index(UNKNOWN))

    @property
    def mask_token(self) -> int:
        """The mask token: the last one."""
        return len(self) - 1

    @property
    def words(self) -> Tensor:
        """The tokens that stand for codes: int64 (words,)."""
        return torch.nonzero(self.codes[:, 0] >= 0).flatten()

    def symbols(self) -> list[str]:
        """The tokens as text, in order: the lines of a fairseq dictionary after its four special symbols."""
        named = {**dict(enumerate(SPECIALS)), self.mask_token: MASK}
        return [
            "-".join(map(str, row)) if row[0] >= 0 else named.get(token, f"madeupword{token:04}")
            for token, row in enumerate(self.codes.tolist())
        ]


def codes_of_symbols(symbols: Iterable[str], num_codebooks: int, codebook_size: int) -> Tensor:
    """Parse tokens to codes: int64 (tokens, num_codebooks), -1 where a symbol is no tuple of codes.

    Raises:
        ConfigurationError: a symbol with another number of codes, or an invalid code.
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
    """Encode each row of codes (total, num_codebooks) as one int64 (total,), with codes as digits; negative for -1."""
    powers = codebook_size ** torch.arange(codes.shape[1] - 1, -1, -1, device=codes.device)
    return (codes * powers).sum(1)


def codes_of_numbers(numbers: Tensor, codebook_size: int, num_codebooks: int) -> Tensor:
    """Invert `group_numbers`: int64 (total, num_codebooks)."""
    powers = codebook_size ** torch.arange(num_codebooks - 1, -1, -1, device=numbers.device)
    return numbers[:, None] // powers % codebook_size
