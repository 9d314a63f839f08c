"""Getting back what was lost: asking again, and rebuilding."""
