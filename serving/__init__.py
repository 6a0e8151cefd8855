"""The service on the line: verdicts, the outbox, the routes of people."""
