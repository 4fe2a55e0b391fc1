"""Selection of devices."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from sonant.errors import ConfigurationError

Device = str | torch.device


def usable_devices(device: Device | Sequence[Device] | None) -> list[torch.device]:
    """Return the devices of an argument; None is a GPU if there is one. Raises ConfigurationError."""
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if not isinstance(device, str | torch.device | Sequence):
        raise ConfigurationError(f"device={device!r} was given; expected a name such as 'cpu' or 'cuda:0', or several.")
    names = [device] if isinstance(device, str | torch.device) else list(device)
    if not names:
        raise ConfigurationError("An empty list of devices was given; name at least one, such as 'cpu' or 'cuda:0'.")
    devices = []
    for name in names:
        try:
            found = torch.empty(0, device=name).device
        except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
            raise _unusable(name, _reason(error)) from error
        if found.type == "meta":
            raise _unusable(name, "it holds no numbers")
        devices.append(found)
    return devices


def _reason(error: Exception) -> str:
    """Return the reason of a PyTorch error in one line."""
    if str(error).startswith("Expected one of"):
        return "no kind of device is called that; leave it out for a GPU if there is one"
    if isinstance(error, NotImplementedError):
        return f"this PyTorch ({torch.__version__}) is built without support for it"
    return str(error).splitlines()[0]


def _unusable(name: object, why: str) -> ConfigurationError:
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if str(name).startswith("cuda") and torch.version.cuda is None and torch.version.hip is None:
        why = f"this PyTorch ({torch.__version__}) is built for CPUs; for a GPU install a CUDA build from pytorch.org"
    return ConfigurationError(
        f"The device {str(name)!r} cannot be used here: {why.rstrip('.')}. There are: {', '.join(['cpu', *gpus])}."
    )


def available_memory(device: Device = "cpu") -> int:
    """Return the available memory of a device in bytes; 0 if unknown."""
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    info = Path("/proc/meminfo")
    found = re.search(r"MemAvailable:\s+(\d+) kB", info.read_text(encoding="utf-8")) if info.exists() else None
    return int(found[1]) * 1024 if found and torch.device(device).type == "cpu" else 0
