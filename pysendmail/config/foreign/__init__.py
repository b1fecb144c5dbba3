"""Configuration of other programs that send mail, read as if it were ours. Nothing here runs anything that stands in it."""
