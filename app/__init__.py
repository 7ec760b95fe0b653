"""What serves the model in production; it knows the library alone."""
