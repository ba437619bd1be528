"""What OpenAI's clients ask of the policy itself."""
