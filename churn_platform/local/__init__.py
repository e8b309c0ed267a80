"""Local: the platform on one machine: its programs, kept running, and runs that a command starts in this process."""
