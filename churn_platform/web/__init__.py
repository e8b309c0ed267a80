"""Web: what every web server of the platform asks of whoever asks it.

Here: who is let in, the token, and MLflow's server behind both. Not here: Dagster's server, which needs Dagster
(`automation.webserver`), or serving's routes (the package `serving`).
"""
