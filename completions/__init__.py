"""What the shells know of the commands."""
