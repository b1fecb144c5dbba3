"""The packages for Debian."""
