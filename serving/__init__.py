"""Serving: the HTTP API that answers for one customer in milliseconds.

A program of its own: it reads the champion's bundle and the online store. From the platform it imports only the
ground (`bundle`, `contracts`, `faults`, `files`, `months`, `settings`) and `online`. `app` puts the parts together,
`run` starts it.
"""
