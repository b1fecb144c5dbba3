"""SMTP without I/O: replies, extensions, authentication and the client machine. Bytes in, bytes and values out."""
