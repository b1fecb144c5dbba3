"""Tests of the installed command with a queue: its modes, its runs, and what becomes of a message when things go wrong."""
