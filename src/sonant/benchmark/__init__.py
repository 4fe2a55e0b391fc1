"""How fast the models run here, beside other implementations and beside what the machine can do at most."""

from sonant.benchmark.results import Results
from sonant.benchmark.run import Wish, bench

__all__ = ["Results", "Wish", "bench"]
