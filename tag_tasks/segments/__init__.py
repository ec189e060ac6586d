"""Segments: users who are alike in their numbers, found by K-means, described in words, assigned by Spark."""
