"""Policies: the models searched over."""
