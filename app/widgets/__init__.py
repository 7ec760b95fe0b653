"""Pieces of pages that several views share."""
