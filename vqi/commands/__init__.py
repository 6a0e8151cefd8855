"""The commands of `vqi`, a module for each kind; what they need is imported when they run."""
