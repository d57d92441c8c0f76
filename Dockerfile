# The sidecar's image. `build`, `dev` and `package` make what is copied; `machine` is what it runs on; `test` is the shipped machine and
# package with what node tests need. The last stage is the shipped one, so a plain `docker build .` makes it.
# Only what the classic builder knows too: no RUN --mount, no here-documents, no COPY --chmod.
ARG BASE=debian:trixie-slim

# hadolint ignore=DL3006
FROM ${BASE} AS build
LABEL org.opencontainers.image.title="georoot"
# The release's newest is wanted, security fixes above all; what Python needs is pinned by hash instead.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-venv \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
WORKDIR /opt/georoot
COPY requirements.txt ./
# pip stays behind: what is installed is decided here. georoot.pth makes the environment find our own code.
# The root file system is read-only where it runs: bytecode is made here, and not compared with its source there.
RUN python3 -m venv /tmp/pip \
    && python3 -m venv --without-pip venv \
    && /tmp/pip/bin/pip --python venv/bin/python install \
        --no-deps --only-binary :all: --require-hashes --requirement requirements.txt \
    && echo /opt/georoot/lib >"$(venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/georoot.pth" \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash venv/lib

FROM build AS dev
LABEL org.opencontainers.image.title="georoot"
COPY requirements-dev.txt ./
RUN /tmp/pip/bin/pip --python venv/bin/python install \
        --no-deps --only-binary :all: --require-hashes --requirement requirements-dev.txt \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash venv/lib

FROM build AS package
LABEL org.opencontainers.image.title="georoot"
WORKDIR /out
COPY sidecar opt/georoot/lib/sidecar
COPY scripts/launcher usr/local/bin/sidecar
RUN find . -name __pycache__ -prune -exec rm -rf {} + \
    && python3 -m compileall -q --invalidation-mode unchecked-hash -s /out opt/georoot/lib \
    && install -D opt/georoot/lib/sidecar/link/gate usr/libexec/sidecar/gate \
    && chmod -R u=rwX,go=rX . \
    && chmod 0755 usr/local/bin/sidecar usr/libexec/sidecar/gate

# hadolint ignore=DL3006
FROM ${BASE} AS machine
LABEL org.opencontainers.image.title="georoot"
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        libnss-wrapper netcat-openbsd openssh-client openssh-server python3 rsync tini \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_*
# UID 33 is the web server's, in Debian and in the httpd image alike: both write the same files. sshd wants a login name with a shell
# and a home that exists. A fresh named volume takes owner, mode and content from the directory that it is mounted on.
RUN usermod --login georoot --comment georoot --home /run/georoot --shell /bin/sh www-data \
    && groupmod --new-name georoot www-data \
    && install -d -m 1777 /run/georoot \
    && install -d -m 0755 /etc/georoot \
    && install -d -o 33 -g 33 -m 0755 /etc/georoot/keys /srv/web /srv/web/html \
    && install -d -o 33 -g 33 -m 0700 /srv/web/.sidecar
ENV LANG=C.UTF-8
WORKDIR /srv/web
EXPOSE 2222 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --retries=3 --start-period=60s --start-interval=1s \
    CMD ["/usr/local/bin/sidecar", "healthcheck"]
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/sidecar"]
CMD ["run"]

FROM machine AS workbench
# The editors and git are there for how they save, libfaketime for a node whose clock is wrong, file systems for disks that fail.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends btrfs-progs e2fsprogs git libfaketime nano vim-tiny \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY --from=dev /opt/georoot/venv /opt/georoot/venv

FROM workbench AS test
COPY --from=package /out/ /
WORKDIR /opt/georoot/project
ENV HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
COPY pyproject.toml ./
COPY tests tests
USER 33:33
ENTRYPOINT ["/usr/bin/tini", "--", "/opt/georoot/venv/bin/python", "-m", "pytest", "-p", "no:cacheprovider"]
CMD ["tests/node"]

FROM machine AS final
COPY --from=build /opt/georoot/venv /opt/georoot/venv
COPY --from=package /out/ /
USER 33:33
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.description="Keeps the document roots of web servers in several regions identical" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
