"""What the user wrote: configuration files, accounts, credentials and alias lists."""
