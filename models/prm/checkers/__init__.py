"""Checkers that come with the project, and the worker processes that any checker runs in."""
