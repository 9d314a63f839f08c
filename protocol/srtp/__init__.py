"""SRTP and SRTCP (RFC 3711, RFC 7714): keys, and the contexts that encrypt and verify, around libsrtp."""
