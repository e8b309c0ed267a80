"""Simulation: a synthetic company whose months look and behave like real ones, with a truth that is known.

Only numpy, click and the settings are needed, so that the serving image can write a month too.
"""
