"""The long experiments behind the lessons, and the search for settings."""
