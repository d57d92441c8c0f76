"""What the unit tests share: no example of Hypothesis fails because the machine is busy."""

from hypothesis import settings

settings.register_profile("georoot", deadline=None)
settings.load_profile("georoot")
