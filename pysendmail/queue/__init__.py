"""The durable queue: what was accepted stays until it was delivered, or its sender was told."""
