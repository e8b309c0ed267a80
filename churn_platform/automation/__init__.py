"""Automation: jobs, sensors and the instance that they run on."""
