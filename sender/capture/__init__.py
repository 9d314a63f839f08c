"""Sources: each gives stamped frames when they are due."""
