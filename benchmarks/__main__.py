"""`make bench`: speed and memory, then the effect of the other clips in a batch on features."""

import sys

from benchmarks import packed_law
from sonant.cli import main

if __name__ == "__main__":
    code = main(["bench", *sys.argv[1:]])
    print()
    packed_law.main([])
    sys.exit(code)
