"""Configuration of other programs."""
