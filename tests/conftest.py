"""Settings for all tests."""

import os

from hypothesis import HealthCheck, settings

# Time is no property of a result here, and a busy machine must not fail a test: speed is measured in benchmarks/.
settings.register_profile("fast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("fast"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "fast")
