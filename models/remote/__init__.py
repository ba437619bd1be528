"""Models that ordinary vLLM servers run, reached over HTTP."""
