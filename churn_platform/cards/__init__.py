"""Model cards: what a person should know of a version before relying on it, on a page of Markdown.

Here: what is known of a version, its page, and keeping that in MLflow. Not here: measuring or deciding anything
(`modelling`, `champion`, `monitoring`), or a receipt's page (`champion.receipt_page`).
"""
