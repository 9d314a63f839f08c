"""Receive, account, order, decode, play."""
