"""Torture: what takes too long for the ordinary tests, seeded, so that a failure can be seen again."""
