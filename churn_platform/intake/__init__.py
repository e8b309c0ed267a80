"""Intake: from the folder of drops to typed tables whose rows keep the contract, with every broken row named.

Not here: where landed tables go (`lake`, `assets`), or when a month is taken in (`automation`).
"""
