"""Replay: a simulated company's months lived again, and what the platform's decisions were worth."""
