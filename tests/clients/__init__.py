"""Clients of OpenAI's interface as people use them, each in a script of its own: `make test-clients`."""
