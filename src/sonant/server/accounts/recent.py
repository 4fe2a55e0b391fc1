"""A short-lived cache of keys and sessions, which saves database look-ups."""

import time
from collections import OrderedDict
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
SECONDS = 5.0  # time for which a key revoked by another process still works
MOST = 10_000


class CachedHolder(NamedTuple, Generic[T]):
    """A cached key holder or session, its user, and the end of its validity."""

    found: T
    user_id: int
    until: float


class Recent(Generic[T]):
    """A cache by the digest of a secret; secrets are not stored.

    Revocations in this process take effect at once. `change` counts them: a value that was read before a revocation and
    arrives after it is not stored.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[str, CachedHolder[T]] = OrderedDict()
        self.change = 0

    def get(self, digest: str) -> T | None:
        entry = self._entries.get(digest)
        return entry.found if entry is not None and time.monotonic() < entry.until else None

    def keep(self, digest: str, found: T, *, user_id: int, change: int) -> None:
        """Store a value that was read while `change` had this value."""
        if change != self.change:
            return
        self._entries[digest] = CachedHolder(found, user_id, time.monotonic() + SECONDS)
        self._entries.move_to_end(digest)
        if len(self._entries) > MOST:
            self._entries.popitem(last=False)

    def forget(self, user_id: int) -> None:
        """Remove all entries of a user."""
        self.change += 1
        for digest in [digest for digest, entry in self._entries.items() if entry.user_id == user_id]:
            del self._entries[digest]
