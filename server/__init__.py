"""The service: HTTP, settings and commands."""
