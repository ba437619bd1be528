"""Engines that vLLM runs, here or as a server: the only place that imports it for serving."""
