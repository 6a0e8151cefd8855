"""The command line, and the supervisor behind `vqi up`."""
