"""Finds what would stop `winnow serve` before it is started."""
