"""Audiences: who carries some tags, or is in a segment, known to a platform by hashes, and by differences alone."""
