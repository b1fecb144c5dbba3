"""One message, one route: connecting, TLS, the SMTP dialogue, and an outcome for each recipient."""
