"""Where a model computes."""

from collections.abc import Sequence

import torch

from sonant.errors import ConfigurationError

Device = str | torch.device


def usable_devices(device: Device | Sequence[Device] | None) -> list[torch.device]:
    """The devices that an argument names; None is a GPU if there is one. Raises ConfigurationError."""
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    names = [device] if isinstance(device, str | torch.device) else list(device)
    if not names:
        raise ConfigurationError("An empty list of devices was given; name at least one, such as 'cpu' or 'cuda:0'.")
    devices = []
    for name in names:
        try:
            devices.append(torch.empty(0, device=name).device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
            raise ConfigurationError(
                f"The device {str(name)!r} cannot be used here: {str(error).splitlines()[0]} There are: "
                f"{', '.join(['cpu', *gpus])}."
            ) from error
    return devices
