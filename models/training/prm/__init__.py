"""Reward models for any policy: step labels, training, and how well they judge."""
