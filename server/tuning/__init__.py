"""Measures which settings suit this machine, for `winnow tune`."""
