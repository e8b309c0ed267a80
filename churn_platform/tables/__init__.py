"""Tables: what the lake holds of each month, as pure functions from tables to tables, and what analysts get of it.

Not here: files and the engine (`lake`), or the assets that call these functions (`assets`).
"""
