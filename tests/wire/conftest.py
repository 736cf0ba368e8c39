"""Settings of hypothesis: a shared machine is no reason to fail, so there is no deadline for one example."""

from hypothesis import HealthCheck, settings

settings.register_profile("wire", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wire")
