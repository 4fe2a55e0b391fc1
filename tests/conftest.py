"""Settings that all tests share."""

from hypothesis import settings

# Shared machines are slow at times: a test fails for what it computes, never for how long it took.
settings.register_profile("sonant", deadline=None)
settings.load_profile("sonant")
