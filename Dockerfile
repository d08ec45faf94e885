# One image for the worker, the Prefect server and the command line; docs/docker.md has the rest.
FROM python:3.11-slim

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1

# A volume takes the owner and the mode of the folder that it covers.
RUN useradd --uid 10001 --create-home prefetch \
    && install --directory --owner=prefetch --mode=0700 /stage /app/.devstack/bank

WORKDIR /app

COPY pyproject.toml constraints.txt README.md LICENSE prefect.yaml automations.yaml ./
COPY core core
COPY connectors connectors
COPY transforms transforms
COPY stage stage
COPY store store
COPY flows flows
COPY devstack devstack
COPY examples/demo_bank examples/demo_bank

# Editable, so that a deployment's entrypoint and an import mean the same file. The two at the
# end are for the demo bank's password hashes.
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint constraints.txt --editable . argon2-cffi bcrypt

USER prefetch
