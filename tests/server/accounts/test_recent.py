"""What is remembered is forgotten in time, and in number."""

import time

from sonant.server.accounts import recent
from sonant.server.accounts.recent import Recent


def test_for_some_seconds(monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    known: Recent[str] = Recent()
    known.keep("a", "x", user_id=1, change=known.change)
    assert known.get("a") == "x"
    now += recent.SECONDS
    assert known.get("a") is None


def test_not_what_is_a_users_who_changed():
    known: Recent[str] = Recent()
    for digest, user_id in (("a", 1), ("b", 2), ("c", 1)):
        known.keep(digest, digest, user_id=user_id, change=known.change)
    before = known.change
    known.forget(1)
    known.keep("a", "read before the change", user_id=1, change=before)
    assert [known.get(digest) for digest in "abc"] == [None, "b", None]


def test_the_oldest_give_way(monkeypatch):
    monkeypatch.setattr(recent, "MOST", 3)
    known: Recent[int] = Recent()
    for i in range(5):
        known.keep(str(i), i, user_id=i, change=known.change)
    assert [known.get(str(i)) for i in range(5)] == [None, None, 2, 3, 4]
