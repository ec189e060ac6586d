"""Campaigns: published on a platform once, or not at all."""
