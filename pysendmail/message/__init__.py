"""The message as bytes: addresses, header fields, body, and what has to change in them. Nothing here does network I/O."""
