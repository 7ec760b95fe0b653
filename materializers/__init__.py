"""How each artifact is stored, summed up and shown; one file for each type."""
