"""An amount that is shared in two ways is taken once, bounded in both, and comes back whole."""

from sonant.server.sharing.budget import Budget


def test_no_holder_of_either_way_takes_all() -> None:
    budget = Budget(8, ways=2)
    assert [budget.take(1, ("network", f"account {i}")) for i in range(7)] == 6 * [True] + [False]
    assert budget.free == 2
    assert budget.take(1, ("another network", "account 7"))
    assert budget.fits(1, (None, None))
    for i in range(6):
        budget.give_back(1, ("network", f"account {i}"))
    assert [budget.take(1, (f"network {i}", "account 7")) for i in range(6)] == 5 * [True] + [False]
    assert budget.take(2, ("a", "b"))
    assert not budget.fits(1, (None, None))


def test_all_comes_back() -> None:
    budget = Budget(10, ways=2)
    budget.add(4, ("network", "account"))
    budget.add(3, ("network", "another account"))
    budget.give_back(4, ("network", "account"))
    budget.give_back(3, ("network", "another account"))
    assert budget.free == 10
    assert not any(room._held for room in budget._rooms)
