"""Print what the numbers depend on: the device, its driver, and the versions of the packages."""

import importlib
import platform

import torch


def main() -> None:
    """Print a line for each."""
    print(f"{platform.machine()}, Python {platform.python_version()}")
    for name in ("numpy", "torch", "cupy", "pytest", "hypothesis", "rich", "threadpoolctl"):
        try:
            module = importlib.import_module(name)
            print(f"{name} {getattr(module, '__version__', '?')}")
        except ImportError as error:
            print(f"{name}: {error}")
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    print(f"CUDA {torch.version.cuda}, cuDNN {cudnn}")
    if torch.cuda.is_available():
        free, total = (round(size / 2**30) for size in torch.cuda.mem_get_info())
        print(f"{torch.cuda.get_device_name()}, {free} of {total} GiB free")
    else:
        print("no GPU: a dry run")


if __name__ == "__main__":
    main()
