"""What the lessons import and nothing else does: checks, figures, widgets, drawn actors."""
