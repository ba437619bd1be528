"""Process reward models: the verifiers."""
