"""Password hashing by argon2id, in separate threads, since it takes as long as many requests."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from sonant.server.errors import ApiError

T = TypeVar("T")
SHORTEST, LONGEST = 10, 1024  # characters
THREADS = 2  # each hash uses 64 MiB
MOST_WAITING = 32


class Passwords:
    """Hashes and verifies passwords; verification takes equally long for an unknown user, who has no hash."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sonant-passwords")
        self._waiting = 0
        self._decoy: str | None = None

    async def hash(self, password: str, *, email: str) -> str:
        """Return the hash of a password. Raises ApiError 400: too short, too long, or equal to the e-mail address."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise ApiError(
                400,
                "weak_password",
                f"The password has {len(password)} characters; expected {SHORTEST} to {LONGEST:,}. "
                "A few words in a row are easy to remember and hard to guess.",
                param="password",
            )
        if password.casefold() in {email, email.partition("@")[0]}:
            raise ApiError(400, "weak_password", "The password is the e-mail address: take another.", param="password")
        return await self._in_thread(lambda: self._hasher.hash(password))

    async def fits(self, password: str, kept: str | None) -> bool:
        """Return whether a password matches a stored hash."""
        return await self._in_thread(lambda: self._fits(password[: LONGEST + 1], kept))

    def close(self) -> None:
        self._threads.shutdown()

    def _fits(self, password: str, kept: str | None) -> bool:
        if self._decoy is None:
            self._decoy = self._hasher.hash("of nobody")
        try:
            return self._hasher.verify(kept or self._decoy, password) and kept is not None
        except VerificationError:
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise ApiError(
                429, "server_is_overloaded", "Too many people sign in just now: try again soon.", retry_after=5
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
