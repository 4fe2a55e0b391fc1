"""`make bench`: speed and memory, then how far features move with their batch mates."""

import sys

from benchmarks import packed_law
from sonant.cli import main

if __name__ == "__main__":
    code = main(["bench", *sys.argv[1:]])
    print()
    packed_law.main([])
    sys.exit(code)
