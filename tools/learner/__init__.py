"""The scripts of the learner's zip; they need only Python."""
