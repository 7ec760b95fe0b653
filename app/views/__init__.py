"""The dashboard's pages: one file each, with one function `show(desk)`."""
