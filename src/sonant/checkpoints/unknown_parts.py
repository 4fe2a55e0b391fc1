"""Heads and other parts that sonant does not know: the backbone loads without them, and a warning names them."""

from collections.abc import Collection

from sonant.checkpoints.completeness import feature_in
from sonant.checkpoints.parameter_names import NameMap, Translated, grouped
from sonant.errors import ModelWarning, warn


def take_out(translated: Translated, rows: NameMap, *, within: Collection[str] = ()) -> list[str]:
    """Take out of the unknown names those that cannot be the backbone's, and return them.

    What stays is an error: a part of the backbone that ours does not have would change every state.

    Args:
        rows: of the backbone; names that begin as theirs do are its own.
        within: names that stood behind the prefix of the backbone. Where there are some, all others are outside of it.
    """
    roots = {row.foreign.partition(".")[0] for row in rows} | {"adapter"}
    outside = [
        name
        for name in translated.unknown
        if (name not in within if within else name.partition(".")[0] not in roots and feature_in([name]) is None)
    ]
    translated.unknown = [name for name in translated.unknown if name not in outside]
    translated.outside += outside
    return outside


def warn_of(names: Collection[str], source: object, reason: str = "") -> None:
    """Name what was left aside, if anything was, and say why."""
    if names:
        reason = reason or "They belong to no head that sonant knows."
        warn(
            f"{source}: the model loads without {grouped(names)}. {reason} Vectors do not depend on them; they stay "
            "behind when the model is saved or converted.",
            ModelWarning,
        )
