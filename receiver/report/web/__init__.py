"""The live page and the metrics, served over HTTP to those who have the token."""
