"""Inputs broken at random: no crash, no hang, nothing accepted by accident."""

from hypothesis import HealthCheck, settings

RARELY = settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
"""For what takes long. A hang is for the timeout of the test to find: a loaded machine is slow, too."""
