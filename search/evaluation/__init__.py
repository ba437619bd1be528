"""How good a strategy is, and how sure that is."""
