"""Online: the newest month's features of every active customer, one indexed read away, on SQLite or PostgreSQL."""
