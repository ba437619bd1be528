"""Programs that a policy writes: found in its responses, and run against a request's tests in a sandbox (`code.md`)."""
