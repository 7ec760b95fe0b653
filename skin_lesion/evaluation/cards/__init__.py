"""What goes with a model: its card, the data sheet of its data set, and filled-in checklists."""
