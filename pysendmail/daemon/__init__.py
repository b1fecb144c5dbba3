"""The daemon: accepting, delivering, and the life of the processes that do it."""
