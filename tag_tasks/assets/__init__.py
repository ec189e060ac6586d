"""Security work on one's own assets. Nothing outside the authorised scope is ever contacted."""
