"""Measures strategies on problems whose answers are known: what to ask, asking and grading, tables, plots."""
