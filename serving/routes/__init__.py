"""Routes: HTTP in, HTTP out. Each module makes the handlers of one topic; what they do stands elsewhere."""
