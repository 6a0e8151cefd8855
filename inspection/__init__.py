"""The inspection domain as plain Python: no orchestrator, no web framework, no torch."""
