"""Which scripts there are, and how each is run by an interpreter that has its client.

`make clients` installs the clients beside this file from locks of their own: some pin older packages than the service.
"""

import asyncio
import os
from pathlib import Path

HERE = Path(__file__).parent
PYTHON, NODE = HERE / ".venv" / "bin" / "python", "node"
SCRIPTS = sorted([*HERE.glob("python/*_sdk.py"), *HERE.glob("node/*_sdk.mjs")])
POLICY = "winnow-demo"
SEARCHED = f"{POLICY}@majority-2"
WITHIN_S = 240.0
"""Seconds: some clients import for ten, and they wait for each other's engines."""


async def run(script: Path, url: str) -> tuple[int, str]:
    """Run a script against the service at a URL; return its exit code and the end of what it said."""
    interpreter = str(PYTHON) if script.suffix == ".py" else NODE
    environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # noqa: TID251 - of another process
    process = await asyncio.create_subprocess_exec(
        interpreter, str(script), f"{url}/v1", POLICY, SEARCHED, cwd=script.parent, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        said, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")[-4000:]
