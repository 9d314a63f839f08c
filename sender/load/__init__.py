"""Load instead of media: packets that measure a path, and the search for the rate it carries."""
