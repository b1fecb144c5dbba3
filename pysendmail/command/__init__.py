"""The programs, one job each."""
