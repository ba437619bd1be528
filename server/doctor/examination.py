"""The whole examination: every check that the settings call for.

Checks that need no engine come first: an engine that cannot be loaded is a finding, not the end.
"""

from collections.abc import Iterator

from server.doctor.finding import Finding, stops
from server.doctor.hardware import check_hardware, check_types
from server.doctor.machine import look_at_machine
from server.doctor.memory import check_memory
from server.doctor.network import check_address, check_keys, check_servers, check_store
from server.doctor.packages import check_packages
from server.doctor.sandbox import check_sandbox
from server.settings import Settings


def examine(settings: Settings) -> Iterator[Finding]:
    """Check everything that `winnow serve` needs."""
    urls = {"policy": settings.policy_url, "verifier": settings.verifier_url}
    urls = {name: listed for name, listed in urls.items() if getattr(settings, f"has_{name}")}
    if settings.asks_policy:
        del urls["verifier"]
    here = frozenset(name for name, listed in urls.items() if not listed)
    engines = here - {"verifier"} if settings.verifier_format == "checker" else here
    yield from check_packages(runs_models=bool(engines))
    yield check_keys(settings)
    yield check_address(settings)
    yield from check_store(settings)
    yield from check_sandbox(settings)
    secret = settings.engine_api_key
    for name, listed in urls.items():
        if listed:
            yield from check_servers(name, map(str, listed), secret.get_secret_value() if secret else None)
    try:
        machine = look_at_machine(runs_engines=bool(engines))
        from server.doctor.calibration import check_calibration
        from server.doctor.models import check_models
    except (ImportError, OSError) as error:
        remedy = "make setup; on a CPU the engine also needs libnuma (Debian: apt-get install libnuma1)"
        yield stops("engine", f"vLLM cannot be loaded: {error}", remedy)
        return
    findings, sizes = check_models(settings, here)
    yield from check_hardware(settings, machine, engines)
    yield from check_types(machine, sizes)
    yield from findings
    yield from check_calibration(settings)
    yield from check_memory(settings, machine, sizes)
