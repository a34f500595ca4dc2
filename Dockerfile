# Driftline's image: one for all roles, `driftline ROLE` says which.
#
# It needs no writable root file system: state goes to /var/lib/driftline and /tmp. There is no HEALTHCHECK here because
# each role has its own port: docker-compose.yml and the Helm chart probe /-/healthy and /-/ready.

FROM python:3.11-slim-bookworm AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /opt/driftline
# What others wrote changes more rarely than what we write: a layer of its own.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-dev --no-install-project
COPY streams ./streams
COPY budgets ./budgets
COPY agents ./agents
COPY examples ./examples
# Editable: the packages stay where they are, with the examples beside them, as in a checkout.
RUN uv sync --frozen --no-dev

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 driftline \
 && useradd --uid 10001 --gid 10001 --home-dir /var/lib/driftline --no-create-home --shell /usr/sbin/nologin driftline \
 && install --directory --owner=10001 --group=10001 /var/lib/driftline
COPY --from=build /opt/driftline /opt/driftline
# PYTHONSAFEPATH: nothing that lies in the working directory can be imported instead of our packages.
ENV PATH=/opt/driftline/.venv/bin:$PATH PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/driftline
VOLUME /var/lib/driftline
EXPOSE 9796 9797 9798 9799
STOPSIGNAL SIGTERM
ENTRYPOINT ["driftline"]
CMD ["--help"]
