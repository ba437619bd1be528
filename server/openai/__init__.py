"""OpenAI's interface: the policy itself, and searches for clients that know no other."""
