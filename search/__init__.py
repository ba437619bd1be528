"""The search strategies, pure Python."""
