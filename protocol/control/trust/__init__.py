"""Who the other end is: certificates, fingerprints, hosts that are known, passwords."""
