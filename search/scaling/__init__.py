"""Forecasts what accuracy costs, from outcomes of evaluations: scaling laws, alternatives, advice."""
