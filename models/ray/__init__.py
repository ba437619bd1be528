"""Models that the replicas of Ray Serve's deployments run, reached through handles."""
