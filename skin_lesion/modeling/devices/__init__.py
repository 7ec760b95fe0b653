"""What a training computes on: one device, several of one machine, or several machines.

The training loop is one for all. It asks the object that `use_devices` yields to make a step, to
predict and to tell which process writes; where there is one device, that object does nothing but
call Keras.
"""

from skin_lesion.modeling.devices.choosing import DeviceCount, use_devices
from skin_lesion.modeling.devices.cluster import Cluster
from skin_lesion.modeling.devices.errors import DevicesError
from skin_lesion.modeling.devices.facts import DeviceFacts
from skin_lesion.modeling.devices.one import Devices, OneDevice

__all__ = [
    "Cluster",
    "DeviceCount",
    "DeviceFacts",
    "Devices",
    "DevicesError",
    "OneDevice",
    "use_devices",
]
