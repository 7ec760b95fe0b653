"""Whether the pictures that a model is given today still look like those it was validated on."""
