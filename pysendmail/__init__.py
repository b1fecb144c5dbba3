"""A sendmail command that hands messages to a smarthost."""

__version__ = "0.1"
