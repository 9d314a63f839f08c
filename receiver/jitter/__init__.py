"""Order, waiting and lip-sync."""
