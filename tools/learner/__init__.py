"""What the learner's zip starts with, on a machine that has Python alone."""
