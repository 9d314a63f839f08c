"""Two reports side by side: `python -m receiver compare`."""
