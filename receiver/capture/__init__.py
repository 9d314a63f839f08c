"""Captures, pcap and pcapng: what arrived, written while it arrives, and read again."""
