"""The sender of a request."""

from dataclasses import dataclass

from sonant.server.accounts.keys import API_SCOPES, Scope


@dataclass(frozen=True)
class Caller:
    """The sender of a request.

    Attributes:
        user_id: None for anonymous callers.
        key_id: None without an API key.
        scopes: permissions.
        name: e-mail address, for logs.
        network: of an anonymous caller; see `networks.network_of`.
        requests_per_minute, audio_seconds_per_minute: rate limits of the key, below those of the account; None: none.
    """

    user_id: int | None
    key_id: int | None
    scopes: frozenset[Scope]
    is_admin: bool
    name: str
    network: str = ""
    requests_per_minute: int | None = None
    audio_seconds_per_minute: float | None = None

    @property
    def share(self) -> str:
        """The name of the account, or network, whose requests share turns, room and rates, whatever their keys."""
        return f"anonymous {self.network}".rstrip() if self.user_id is None else f"user {self.user_id}"


ANONYMOUS = Caller(None, None, frozenset(API_SCOPES), is_admin=False, name="anonymous")
