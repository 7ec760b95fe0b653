"""Classification of dermatoscopic images of pigmented skin lesions."""

__version__ = "0.1.0"
