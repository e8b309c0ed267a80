"""Modelling: from feature rows to trained models, their comparison, the gate and the bundle.

Here: pure functions on frames, arrays and models. Not here: Dagster (`assets`), MLflow (`champion.registry`), the lake.
"""
