"""Readable names for runs. Imported when the first flow runs: the word lists take some 25 ms to load."""

import copy
import random

# Importing coolname draws from `random`, and so does naming a run: a flow that seeds `random` must not notice, and
# must not get the same names in every run.
_state = random.getstate()
import coolname  # noqa: E402

random.setstate(_state)
_generator: coolname.RandomGenerator = copy.copy(getattr(coolname.generate_slug, "__self__"))  # noqa: B009 - not declared
_generator.random = random.SystemRandom()


def random_name() -> str:
    """Return a name of two words, ``jumpy-puppy``."""
    return str(_generator.generate_slug(2))
