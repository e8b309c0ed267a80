"""Routes: HTTP in, HTTP out. Each module makes the handlers of one topic; the work itself is done elsewhere."""
