"""Intake: from the folder of drops to typed tables whose rows keep the contract, and named broken ones.

Not here: where landed tables go (`lake`, `assets`), or when a month is taken in (`automation`).
"""
