"""What goes wrong with devices."""


class DevicesError(RuntimeError):
    """A training cannot have the devices that it asks for."""
