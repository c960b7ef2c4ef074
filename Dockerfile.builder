# From a base image to a hardened runtime with CPython. `invoke image` builds it; so does, unchanged:
#
#   DOCKER_BUILDKIT=1 docker build -f Dockerfile.builder --target runtime -t myorg/python .
#   buildah bud --layers -f Dockerfile.builder --target runtime -t myorg/python .
#
#   base ── security-updates ─┬─ toolchain ── builder       compilers, tool, both flavours
#                             └─ packages ── runtime        what runs, as user 10001
#                                   │           └─ debug    the same with debug symbols
#                                   └─ root ── distroless   no shell, no package manager
#
# docs/containers.md explains each argument, and what an edit makes run again.

ARG BASE=debian:bookworm-slim
# sha256:…, for the same base until you choose another.
ARG BASE_DIGEST=

# --- security updates: both sides start here --------------------------------------------------------

FROM ${BASE}${BASE_DIGEST:+@}${BASE_DIGEST} AS security-updates
# An archive as of one moment, such as http://snapshot.example.org/debian/20261124T000000Z:
# every package that follows then has the version that it had there. Its password, and those of the
# recipe's mirrors, are a secret called netrc: no layer and no history has them.
ARG SNAPSHOT=
ARG SNAPSHOT_SECURITY=
# Any new value, such as today's date, makes this layer and all that follow look for updates again.
ARG UPDATES_AS_OF=
RUN --mount=type=secret,id=netrc \
    --mount=type=tmpfs,target=/var/cache/apt --mount=type=tmpfs,target=/var/lib/apt/lists \
    set -eu; \
    case "$SNAPSHOT$SNAPSHOT_SECURITY" in *[!A-Za-z0-9._~:/+%-]*) \
        echo "SNAPSHOT is an address, without a password: docs/containers.md, Secrets" >&2; exit 2;; \
    esac; \
    if [ -n "$SNAPSHOT" ]; then \
        . /etc/os-release; \
        keys='check-valid-until=no signed-by=/usr/share/keyrings/debian-archive-keyring.gpg'; \
        rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*; \
        echo "deb [$keys] $SNAPSHOT $VERSION_CODENAME main" >/etc/apt/sources.list; \
        [ -z "$SNAPSHOT_SECURITY" ] || \
        echo "deb [$keys] $SNAPSHOT_SECURITY $VERSION_CODENAME-security main" >>/etc/apt/sources.list; \
    fi; \
    echo "security updates as of ${UPDATES_AS_OF:-the first build of this layer}"; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get update -o Dir::Etc::netrc=/run/secrets/netrc -o APT::Update::Error-Mode=any; \
    apt-get upgrade -o Dir::Etc::netrc=/run/secrets/netrc --yes --no-install-recommends; \
    rm -rf /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /var/lib/dpkg/*-old

# --- the builder --------------------------------------------------------------------------------------

FROM security-updates AS toolchain
# What `invoke doctor` asks for. The downloaded packages stay in a cache of the builder's machine.
RUN --mount=type=secret,id=netrc \
    --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=tmpfs,target=/var/lib/apt/lists \
    set -eu; \
    rm -f /etc/apt/apt.conf.d/docker-clean; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get update -o Dir::Etc::netrc=/run/secrets/netrc -o APT::Update::Error-Mode=any; \
    apt-get install -o Dir::Etc::netrc=/run/secrets/netrc --yes \
        --no-install-recommends -o APT::Keep-Downloaded-Packages=true \
        binutils \
        ca-certificates \
        ccache \
        diffutils \
        dpkg-dev \
        findutils \
        g++ \
        gcc \
        libbluetooth-dev \
        libbz2-dev \
        libc6-dev \
        libcrypt-dev \
        libffi-dev \
        libgdbm-compat-dev \
        libgdbm-dev \
        liblzma-dev \
        libncurses-dev \
        libreadline-dev \
        libsqlite3-dev \
        libssl-dev \
        libzstd-dev \
        linux-libc-dev \
        make \
        mawk \
        netbase \
        patch \
        pkg-config \
        python3 \
        python3-venv \
        uuid-dev \
        zlib1g-dev

# The tool's own packages, pinned and hashed, without those of its tests; a secret called pip.conf is
# your index, if you have one.
WORKDIR /opt/contain-python/tool
COPY bootstrap pyproject.toml ./
COPY requirements-run.txt requirements.txt
COPY contain_python/__init__.py contain_python/
COPY contain_python/advisories/__init__.py contain_python/advisories/
COPY contain_python/bench/__init__.py contain_python/bench/
COPY contain_python/bundled/__init__.py contain_python/bundled/
COPY contain_python/checks/__init__.py contain_python/checks/
COPY contain_python/locking/__init__.py contain_python/locking/
COPY contain_python/page/__init__.py contain_python/page/
COPY contain_python/sbom/__init__.py contain_python/sbom/
COPY contain_python/stages/__init__.py contain_python/stages/
COPY contain_python/updating/__init__.py contain_python/updating/
COPY contain_python/wheels/__init__.py contain_python/wheels/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=netrc,target=/root/.netrc \
    --mount=type=cache,target=/root/.cache/pip \
    set -eu; \
    ./bootstrap python --version; \
    mkdir ../bin; \
    ln -s "$PWD/.venv/bin/contain-python" ../bin/contain-python

FROM toolchain AS builder
COPY . ./
ARG PREFIX=/opt/myorg/python
# One version, or several side by side: "3.13.15 3.11.2 3.14.7". The first is what python3 is.
ARG PYTHON=3.13.15
# More options of `invoke build-python`, such as: --optimize none --jobs 8
ARG OPTIONS=
ARG SNAPSHOT=
# Told in the provenance: in which image this is built.
ARG BASE
ARG BASE_DIGEST
# The cache holds sources, profiles and compiled prefixes, each by its hash, and ccache's: edited
# rules or patches download nothing, and edited rules compile nothing. The workspace stays, too, but
# for the trees in which CPython was compiled: they are the larger part, and their result is cached.
RUN --mount=type=secret,id=netrc,target=/root/.netrc \
    --mount=type=cache,target=/root/.cache/contain-python \
    --mount=type=cache,target=/var/tmp/contain-python,sharing=locked \
    set -eu; \
    ./bootstrap invoke build-python --python "$PYTHON" --prefix "$PREFIX" --snapshot="$SNAPSHOT" \
        --base-image="$BASE${BASE_DIGEST:+@}$BASE_DIGEST" --workspace /var/tmp/contain-python --dist ../dist $OPTIONS; \
    default=../dist/python-${PYTHON%% *}*; \
    ./bootstrap invoke deploy $default-builder.tar.* --also "$(echo ../dist/*-builder.tar.*)"; \
    ./bootstrap invoke deploy $default-runtime.tar.* --also "$(echo ../dist/*-runtime.tar.*)" \
        --root ../runtime; \
    ./bootstrap invoke deploy $default-debug.tar.* --also "$(echo ../dist/*-debug.tar.*)" \
        --root ../debug; \
    rm -rf /var/tmp/contain-python/*/source
# Packages that are opened and not linked, by choice: docs/containers.md says what each is for. The
# entry point needs tini.
ARG OFFERED="ca-certificates tzdata"
RUN ./bootstrap invoke runtime-packages --manifest "$(echo ../dist/*-runtime.json)" \
        --offered "$OFFERED tini" >../runtime-packages
ENV PATH=$PREFIX/bin:/opt/contain-python/bin:$PATH LANG=C.UTF-8
# Empty, so that what is copied to ./ replaces nothing of the tool's, and is not taken for it.
WORKDIR /src
CMD ["python3"]

# --- the runtime ----------------------------------------------------------------------------------------

FROM security-updates AS packages
RUN --mount=type=secret,id=netrc \
    --mount=type=bind,from=builder,source=/opt/contain-python/runtime-packages,target=/mnt/packages \
    --mount=type=tmpfs,target=/var/cache/apt --mount=type=tmpfs,target=/var/lib/apt/lists \
    set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get update -o Dir::Etc::netrc=/run/secrets/netrc -o APT::Update::Error-Mode=any; \
    apt-get satisfy -o Dir::Etc::netrc=/run/secrets/netrc --yes --no-install-recommends "$(cat /mnt/packages)"; \
    groupadd --gid 10001 python; \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin python; \
    find / -xdev -type f -perm /6000 -exec chmod a-s '{}' +; \
    rm -rf /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /var/lib/dpkg/*-old \
        /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /etc/passwd- /etc/group- /etc/shadow- \
        /etc/gshadow-

FROM packages AS runtime
COPY --from=builder /opt/contain-python/runtime/ /
ARG PREFIX=/opt/myorg/python
ENV PATH=$PREFIX/bin:$PATH LANG=C.UTF-8
USER 10001:10001
# As PID 1 a program that sets no handler for SIGTERM would ignore it; behind tini it is not PID 1.
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["python3"]
ARG BASE
ARG BASE_DIGEST
ARG PYTHON=3.13.15
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="CPython" \
      org.opencontainers.image.version=$PYTHON \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.source=$SOURCE \
      org.opencontainers.image.base.name=$BASE \
      org.opencontainers.image.base.digest=$BASE_DIGEST

FROM runtime AS debug
COPY --from=builder /opt/contain-python/debug/ /

# --- the runtime without a distribution around it -------------------------------------------------------

FROM runtime AS root
USER 0:0
RUN --mount=type=bind,from=builder,source=/opt/contain-python,target=/mnt/contain-python \
    python3 /mnt/contain-python/tool/contain_python/inside/rootfs.py \
        /mnt/contain-python/runtime-packages /root-of-image

FROM scratch AS distroless
COPY --from=root /root-of-image/ /
COPY --from=builder /opt/contain-python/runtime/ /
ARG PREFIX=/opt/myorg/python
ENV PATH=$PREFIX/bin:/usr/bin:/bin LANG=C.UTF-8
USER 10001:10001
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["python3"]
ARG BASE
ARG BASE_DIGEST
ARG PYTHON=3.13.15
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="CPython, distroless" \
      org.opencontainers.image.version=$PYTHON \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.source=$SOURCE \
      org.opencontainers.image.base.name=$BASE \
      org.opencontainers.image.base.digest=$BASE_DIGEST
