"""Calibrates a pair of models: what is measured, what is chosen from it, and the table that says so."""
