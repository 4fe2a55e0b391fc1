"""The sender of a request."""

from dataclasses import dataclass

from sonant.server.accounts.keys import API_SCOPES, Scope


@dataclass(frozen=True)
class Caller:
    """The sender of a request.

    Attributes:
        user_id: None: anonymous.
        key_id: None: not by key.
        scopes: what they may do.
        name: for logs: an e-mail address.
        requests_per_minute, audio_seconds_per_minute: None: the server's.
    """

    user_id: int | None
    key_id: int | None
    scopes: frozenset[Scope]
    is_admin: bool
    name: str
    requests_per_minute: int | None = None
    audio_seconds_per_minute: float | None = None

    @property
    def share(self) -> str:
        """The name under which the caller's requests take turns in a queue and count towards a rate."""
        if self.key_id is not None:
            return f"key {self.key_id}"
        return "anonymous" if self.user_id is None else f"user {self.user_id}"


ANONYMOUS = Caller(None, None, frozenset(API_SCOPES), is_admin=False, name="anonymous")
