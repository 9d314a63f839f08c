"""The frozen snapshot and its views."""
