"""How the demo pair is made."""
