"""A row of the plan: measurements that are made by themselves, within a deadline."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from contact import Contact
from facts import Fact

Measure = Callable[[Contact], Iterator[Fact]]


class Row(NamedTuple):
    """Measurements under one name.

    Attributes:
        name: unique.
        section: the table that its facts go to.
        seconds: its deadline, after which it is ended.
        measure: yields facts, each of which is kept as it comes.
    """

    name: str
    section: str
    seconds: float
    measure: Measure
