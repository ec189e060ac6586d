"""User tags: rules over three tables, and the table of who carries which."""

TABLES = ("user_basic_info", "user_asset_summary", "user_activity_summary")
"""The sources that the rules read."""
