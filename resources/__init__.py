"""Thin wrappers that hand the domain to the assets."""
