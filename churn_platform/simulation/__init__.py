"""Simulation: a synthetic company whose months look and behave like real ones, and whose true risks are known.

Only numpy, click and the settings are needed, so that the serving image can write a month too.
"""

CUSTOMERS = 7043
"""How many customers the company has in its first month, unless another number is asked for."""
