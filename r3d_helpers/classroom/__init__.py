"""What only the lessons need: figures, widgets, and the runner of the notebooks."""
