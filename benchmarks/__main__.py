"""`make bench`: speed and memory, then how far features move with their batch mates."""

from benchmarks import packed_law, speed

if __name__ == "__main__":
    speed.main()
    print()
    packed_law.main([])
