"""Erasure: customers who have to be forgotten, taken out of everything that the platform keeps.

Here: where they are, and taking them out of each place. Not here: remembering that they were (`tombstones`), the file
in which they are handed over (`erasure_requests`), leaving them out of drops (`intake.parsing`), the receipt
(`champion.receipts`), or the run that does all this (`automation.forgetting`).
"""
