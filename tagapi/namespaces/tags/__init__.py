"""The tags API: `tags.zh.md`."""
