"""Reasons: why a customer is at risk, and why the risk is another one than last month.

Here: what each feature does to a customer's log-odds, in figures and in words, from bundles alone: numpy and
onnxruntime are enough, so that serving gives reasons too. Not here: how much a feature matters for customers in
general, or advice on what to do. They explain the model, not the world: changing a value need not change what the
customer does.
"""
