"""What both command lines share: units, addresses, configuration, terminal."""
