"""What generates and what judges."""
