"""Tables: what the lake holds for each month, as pure functions from tables to tables, and what analysts get.

Not here: files and the engine (`lake`), or the assets that call these functions (`assets`).
"""
