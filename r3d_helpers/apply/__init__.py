"""Your own videos: face crops, a cache, scores with intervals, explanations, export."""
