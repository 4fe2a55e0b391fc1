"""Slow hashes, of passwords by argon2id, in separate threads, since one takes as long as many requests."""

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from sonant.server.errors import ApiError
from sonant.server.sharing.budget import Budget

T = TypeVar("T")
SHORTEST, LONGEST = 10, 1024  # characters
THREADS = 2  # each hash uses 64 MiB
MOST_WAITING = 32
SCRYPT = {"n": 2**14, "r": 8, "p": 1}  # 16 MiB each


class Passwords:
    """Hashes and verifies passwords; verification takes equally long for an unknown user, who has no hash.

    Attributes:
        known: room for hashes of people who have signed in before, which is shared by account.
        visitors: room for those of others, shared by network.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sonant-passwords")
        self.known, self.visitors = Budget(MOST_WAITING), Budget(MOST_WAITING)
        self._decoy: str | None = None

    async def hash(self, password: str, *, email: str, sender: str | None = None) -> str:
        """Return the hash of a password. `sender`: the network of a visitor.

        Raises ApiError 400: too short, too long, or equal to the e-mail address. 429: too many wait.
        """
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
        waiting = self.known if sender is None else self.visitors
        return await self._in_thread(lambda: self._hasher.hash(password), waiting, sender or email)

    async def fits(self, password: str, kept: str | None, *, waiting: Budget, sender: str) -> bool:
        """Return whether a password matches a stored hash. Raises ApiError 429: too many wait."""
        return await self._in_thread(lambda: self._fits(password[: LONGEST + 1], kept), waiting, sender)

    async def digest(self, text: str) -> str:
        """Return a hash that is the same each time, and slow, so that lists of e-mail addresses cannot be tried."""
        work = partial(hashlib.scrypt, text.encode(), salt=b"sonant", dklen=32, **SCRYPT)
        return (await asyncio.get_running_loop().run_in_executor(self._threads, work)).hex()

    def close(self) -> None:
        self._threads.shutdown()

    def _fits(self, password: str, kept: str | None) -> bool:
        if self._decoy is None:
            self._decoy = self._hasher.hash("of nobody")
        try:
            return self._hasher.verify(kept or self._decoy, password) and kept is not None
        except VerificationError:
            return False

    async def _in_thread(self, work: Callable[[], T], waiting: Budget, sender: str) -> T:
        if not waiting.take(1, [sender]):
            raise ApiError(
                429, "server_is_overloaded", "Too many people sign in just now: try again soon.", retry_after=5
            )
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            waiting.give_back(1, [sender])
