"""Unknown heads and other parts of a checkpoint, which are ignored with a warning."""

from collections.abc import Collection

from sonant.checkpoints.completeness import feature_in
from sonant.checkpoints.parameter_names import NameMap, Translated, grouped
from sonant.errors import ModelWarning, warn


def take_out(translated: Translated, rows: NameMap, *, within: Collection[str] = ()) -> list[str]:
    """Remove from the unknown names those that are outside of the backbone, and return them.

    The remaining ones are an error: unknown parts of the backbone would change its states.

    Args:
        rows: of the backbone; unknown names with the same first component belong to it.
        within: names that had the prefix of the backbone; if there are any, all others are outside.
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
    """Warn of ignored tensors, if any."""
    if names:
        reason = reason or "They belong to no head that sonant knows."
        warn(
            f"{source}: the model loads without {grouped(names)}. {reason} Vectors do not depend on them; they stay "
            "behind when the model is saved or converted.",
            ModelWarning,
        )
