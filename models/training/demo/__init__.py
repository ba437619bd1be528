"""The demo pair: its tasks, its policy, and the samples that its reward model learns from."""
