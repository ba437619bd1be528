"""Clients of the service, to be copied: they import nothing of the service."""
