"""pysendmail: the administrator's command, one subcommand a module."""
