"""`python -m churn_platform.simulation`: the command, where the rest of the platform is missing."""

from churn_platform.faults import entrance
from churn_platform.simulation.command import simulate

with entrance():
    simulate()
