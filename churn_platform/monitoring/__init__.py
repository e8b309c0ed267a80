"""Monitoring: whether customers still resemble those that the champion learned from, and whether it was right.

Here: functions on frames, arrays and the lake. Not here: Dagster (`assets.monitoring`), or acting on what is found.
"""
