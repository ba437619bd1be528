# winnow in a container, for Linux on x86_64:
#
#   docker build --tag winnow:cpu .                    the engine on a CPU; the demo pair is inside
#   docker build --tag winnow:gateway --target gateway .
#                                                      no engine: policy and verifier on servers elsewhere
#   docker build --tag winnow:router --target router .
#                                                      vLLM's router, in front of several servers of a model
#   docker build --tag winnow:cuda --target cuda .     the engine on NVIDIA GPUs
#   docker run --publish 127.0.0.1:8000:8000 --env WINNOW_ALLOW_PUBLIC_WITHOUT_KEYS=true winnow:cpu
#   docker run winnow:cpu doctor                       any other command of winnow
#
# Needs BuildKit (Docker 23 or newer has it). deploy/README.md says how it is run; deploy/compose.yaml runs it.
ARG BASE=debian:bookworm-20260824-slim

# What every stage has: Python, libnuma for the engine's CPU kernels, bubblewrap for programs that are tested
# (search/code.md says what else a container then needs), and the user, whose home is the volume.
FROM ${BASE} AS python
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap ca-certificates libnuma1 mount python3 \
    && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 winnow \
    && useradd --uid 10001 --gid 10001 --home-dir /weights --create-home --skel /dev/null --shell /usr/sbin/nologin winnow
WORKDIR /app

FROM python AS tools
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY deploy/requirements deploy/requirements

# The pinned packages, from where pip is told to look; install.sh knows where else a CPU build of torch is.
FROM tools AS packages-cpu
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG TORCH_CPU_INDEX
RUN --mount=type=cache,target=/root/.cache/pip deploy/requirements/install.sh python3 cpu run

FROM tools AS packages-cuda
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
RUN --mount=type=cache,target=/root/.cache/pip deploy/requirements/install.sh python3 cuda run

FROM tools AS packages-gateway
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
RUN --mount=type=cache,target=/root/.cache/pip deploy/requirements/install.sh python3 gateway run

FROM tools AS packages-router
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv .venv && .venv/bin/python -m pip install --no-deps --requirement deploy/requirements/router.txt

# The project's own files, which change most often and are small, in a layer of their own.
FROM tools AS project
RUN python3 -m venv .venv \
    && sed -n '/^setuptools==/,/[^\\]$/p' deploy/requirements/cpu.txt >setuptools.txt \
    && .venv/bin/python -m pip install --no-deps --requirement setuptools.txt
COPY LICENSE README.md pyproject.toml ./
COPY models models
COPY search search
COPY server server
RUN .venv/bin/python -m pip install --no-deps --no-index --no-build-isolation --target project .
COPY deploy/recipes project/deploy/recipes

# vllm-router, which deploy/compose.routers.yaml gives its flags.
FROM python AS router
ENV PATH=/app/.venv/bin:/usr/local/bin:/usr/bin:/bin
COPY --from=packages-router /app/.venv .venv
ENTRYPOINT ["vllm-router"]
USER 10001:10001

# How it runs, whatever it runs on. It listens on every address of the container: winnow wants access keys for that, or
# WINNOW_ALLOW_PUBLIC_WITHOUT_KEYS=true where nobody else can reach the published port.
FROM python AS service
ENV HOME=/weights \
    PATH=/app/bin:/app/.venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WINNOW_HOST=0.0.0.0 \
    WINNOW_PORT=8000
VOLUME /weights
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=180s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['WINNOW_PORT'] + '/readyz', timeout=8)"]
ENTRYPOINT ["winnow"]
CMD ["serve"]
USER 10001:10001

# Triton compiles a module of its own when it starts on a GPU, so this stage has a C compiler; no other does.
FROM service AS cuda
USER 0
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev libpython3-dev \
    && rm -rf /var/lib/apt/lists/*
USER 10001:10001
COPY --from=packages-cuda /app/.venv .venv
COPY --from=project /app/project .

FROM service AS gateway
COPY --from=packages-gateway /app/.venv .venv
COPY --from=project /app/project .

FROM service AS cpu
COPY --from=packages-cpu /app/.venv .venv
COPY --from=project /app/project .
