"""Replay: a simulated company's months lived through again, and what the platform's decisions were worth."""
