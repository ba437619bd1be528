"""Answers: extracted, canonicalised, compared."""
