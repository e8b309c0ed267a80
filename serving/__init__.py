"""Serving: the HTTP API that answers for one customer in milliseconds.

A program of its own: it reads the champion's bundle and the online store. Of the platform it imports nothing but
the ground (`bundle`, `contracts`, `faults`, `files`, `months`, `settings`) and `online`. `app` puts the parts together,
`run` starts it.
"""
