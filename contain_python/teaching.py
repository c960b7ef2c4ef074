"""What --help says: of each option, of each stage, and of each task beside its options."""

from __future__ import annotations

HELP = {
    "python": 'a series ("3.13": its newest locked release) or a version; several: "3.13 3.11"',
    "prefix": "where it will live (the finished tree can be moved anywhere)",
    "optimize": "none, lto, pgo or pgo+lto",
    "libpython": "static (inside the executable) or both (libpython3.x.so as well)",
    "linkage": "system (the distribution's libraries) or bundled (our own, inside)",
    "target": "for which Linux, libraries inside: x86_64-linux-gnu.2.17, x86_64-linux-musl, …",
    "format": "compression of the tarballs: zst, xz or gz",
    "snapshot": "the archive snapshot that this machine's packages are from, for the manifest",
    "base-image": "the image that this runs in, NAME@sha256:…, for the provenance",
    "set": 'other values of the recipe: "tuning.cpu=x86-64-v3 byte_code.optimize=2"',
    "recipe": "the recipe file",
    "workspace": "where to build; one release, one directory in it",
    "dist": "where the tarballs, manifests and SHA256SUMS go",
    "cache": "where downloads are kept (default: $XDG_CACHE_HOME/contain-python)",
    "jobs": "how many compilers at once (default: one for each processor)",
    "offline": "use the cache only, and no network",
    "source": "a local source tarball, instead of downloading one",
    "sha256": "the hash of --source, if releases.lock does not have it",
    "profile": "a recorded PGO profile, which must fit this very build",
    "require-profile": "fail where no recorded profile fits, instead of training one",
    "install-deps": "install missing build packages with this machine's package manager (root)",
    "dry-run": "print the plan (release, hashes, commands) and do nothing",
    "verbose": "show the output of configure, make and the rest",
    "json": "print events as JSON, one a line, for pipelines",
}

IMAGE_HELP = {
    "engine": "docker, podman or buildah (default: the first that works)",
    "base": "the image to start from (default: debian:bookworm-slim); scratch: distroless",
    "base-digest": "sha256:…, for exactly that base",
    "tag": "the runtime's name (default: contain-python:VERSION); the builder's is NAME-builder",
    "options": 'more options of build-python, as "--optimize none"',
    "offered": 'packages by choice: some of "ca-certificates tini tzdata" (default: all)',
    "updates-as-of": "any new value looks for security updates again: $(date +%F)",
    "snapshot": "the archive, as of one moment, that every package is from",
    "snapshot-security": "the same of the security archive",
    "source": "where this build is defined, for a label: a URL",
    "network": "the engine's network while building: host, where there is no bridge",
    "pip-conf": "pip's configuration, for your index; a secret of the build, in no layer",
    "netrc": "passwords of mirrors and snapshots, by host; a secret of the build, in no layer",
    "debug": "a third image, with debug symbols: NAME-debug",
}

STAGE_HELP = {
    "download": "Bring the verified source into the cache.",
    "unpack": "Unpack the source and apply its patches.",
    "libraries": "Build the bundled libraries from their locked sources (linkage = bundled).",
    "configure": "Configure the source, and refuse a build that would lack modules.",
    "train": "Record a new PGO profile into profiles/, for later builds to use.",
    "make": "Compile, with LTO and the recorded profile as the recipe says.",
    "install": "Install into the workspace, pip included.",
    "relocate": "Make the installed tree derive its prefix at run time.",
    "strip": "Remove the test packages, and move debug symbols into their own tree.",
    "byte-compile": "Byte-compile the standard library, deterministically.",
    "prune": "Make the flavours: runtime and builder.",
    "sbom": "Put a bill of materials (CycloneDX) into each flavour.",
    "archive": "Archive both flavours and the debug symbols as deterministic tars.",
    "verify": "Judge both flavours of the build, or any Python: verify TARBALL_OR_PREFIX.",
    "pack": "Compress what was verified into dist/, with manifests and SHA256SUMS.",
    "build-python": "Build CPython: from a verified source to verified tarballs in dist/.",
}

#: What --help tells beside the options; --list shows the first line alone.
TEACHING = {
    "build-python": """

Runs every stage in order: download, unpack, libraries, configure, train, make, install, relocate,
strip, byte-compile, prune, sbom, archive, verify, pack. Each is a task of its own, and what did not
change since the last run is kept.

invoke build-python                                the recipe's version
invoke build-python --python 3.14 --format xz      another one
invoke build-python --dry-run                      only the plan
invoke build-python --optimize none                without PGO and LTO, in minutes

Exit codes: 0 done, 2 usage or recipe, 3 source, 4 toolchain, 5 compile, 6 a check failed,
7 disk, 130 interrupted.""",
    "lock": """

invoke lock --python 3.13                          its newest release
invoke lock --python "3.13.18 3.14.10"             these; one that is locked is verified again
git diff releases.lock                             the review

Verified by a Sigstore bundle (from 3.14 on), the release manager's OpenPGP signature (until 3.13),
or a signed index of the machine's APT archive that lists the very file. Exit codes: 0 locked,
2 usage, 3 nothing vouches for it, or what does is wrong; the lock stays as it was then.""",
    "outdated": """

invoke outdated                                    a table: what, since when, when it is due
invoke outdated --json                             for a pipeline

Releases, ends of series, bundled libraries, packages that artifacts in --dist are linked with, base
images, tools.
Security is due at once, others after [updates] cooling_off_days, what is pinned never.
Exit codes: 0 nothing due, 3 nothing can be told, 10 updates, 11 security updates, 12 a series ends;
the highest wins.""",
    "upgrade": """

invoke upgrade --python 3.13                       with all of CPython's own tests
invoke upgrade --python 3.13 --tests "test_ssl"    with some; --tests none: without

The note that it writes tells how the source was verified, what it mends, and what is different from
the newest artifact of the series in --dist.""",
    "verify-provenance": """

invoke verify-provenance dist/NAME.tar.zst --builder https://ci.example.org/base-images

Digests, inputs, the bill of materials inside, the source in releases.lock, the builder.
Exit codes: 0 all agree, 2 no such artifact, 3 no readable statement, 6 something disagrees.""",
    "train": """

invoke train --python 3.13                         a new profile, into profiles/

It builds instrumented, runs CPython's training task, and writes one archive whose name carries
what it fits (release, patches, compiler, flags) and its hash. Training never gives the same
counters twice; builds from one recorded profile are the same bit for bit, and need not train.
build-python trains by itself where no profile fits, and keeps the result in the cache.""",
    "verify": """

invoke verify                                      both flavours of the build
invoke verify dist/NAME.tar.zst                    a tarball
invoke verify /usr/local --json                    any installed Python

It judges a copy: libraries, hardening, modules, relocation, left-over paths, modes, virtual
environments. Exits 6 if a check fails.""",
    "explain": """

invoke explain bin/pip3
invoke explain lib/python3.13/idlelib --python 3.13""",
    "regrtest": """

invoke regrtest                                    every test, against the runtime flavour
invoke regrtest --flavour builder --tests "test_ssl test_sqlite3"

A failure passes only if regrtest.toml explains it by name.""",
    "why": """

invoke why                                         before build-python, with the same options

It compares the inputs of each stage with those of the last run: the source, patches, flags, the
compiler and the distribution's packages, the profile, the rules of the recipe, this tool.""",
    "cache": """

invoke cache                                       what is there, how large, how old
invoke cache --verify                              is all of it whole?
invoke cache --trim 2GB                            remove what was used longest ago

Profiles are never trimmed: without its profile, a build cannot be repeated bit for bit.""",
    "check-reproducible": """

invoke check-reproducible                          the recipe's version, both builds cold
invoke check-reproducible --python 3.14 --diffoscope
invoke check-reproducible --install-deps           disorderfs too, as root

One profile is recorded first if none fits. Then A is built as usual, and B with another clock,
zone, locale, umask, user, home, host name, number of processors and order of directories; what
this machine cannot vary is told. Every tarball, manifest and SHA256SUMS must be the same, in each
format. Exits 6 naming file, member and bytes if one is not; both builds are kept then.""",
    "rebuild": """

invoke rebuild --manifest python-3.13.15-linux-x86_64-runtime.json

It needs the same builder: what differs (compiler, packages, tool) is told before it compiles. Exits
0 if the hashes are the same, 4 if an input is lacking, 6 if the result differs.""",
    "image": """

invoke image --tag myorg/python:3.13               two images: myorg/python-builder:3.13 too
invoke image --base scratch                        the runtime without a distribution around it
invoke image --base debian:trixie-slim --python "3.14 3.13"
invoke image --json | jq 'select(.event == "image")'

Engine, layers and caches are the engine's own affair; what is built stands in Dockerfile.builder.
Exit codes: 2 a name, a base or options that cannot be, 4 no engine, base or network, 5 the build
failed.""",
    "verify-image": """

invoke verify-image myorg/python:3.13
invoke verify-image python:3.13-slim --json        any other, to compare

In containers that are read-only, without network and rights, as a user of no account: modules and
their byte-code, TLS, threads, names, time zones, locales, a moved prefix, signals. From the image's
files: compilers, pip, package lists, set-id bits, who may write. Exits 6 if a check fails.""",
    "dockerfile": """

invoke dockerfile --manifest dist/NAME-runtime.json --requirements requirements.txt > Dockerfile
invoke dockerfile --manifest dist/NAME-runtime.json --base debian:trixie-slim

Requirements are installed into a virtual environment in the builder, which is copied whole: it runs
unchanged, for both flavours have the same prefix.""",
    "build-wheels": """

contain-python build-wheels --requirements requirements.txt
contain-python build-wheels --no-binary "lxml psycopg2" --plat manylinux_2_36_x86_64
contain-python build-wheels --locked wheelhouse/wheelhouse.json --cold

Runs in the builder image. What was built is kept, by its source, CPython, the compiler and the
libraries that it took in. Exit codes: 2 requirements that cannot be, 3 no such file or a wrong
hash, 5 a build failed, 6 a wheel needs a newer platform than --plat.""",
    "check-wheels": """

contain-python check-wheels --requirements requirements.txt

The second build has another clock, directory, umask, locale, home and more. Exits 6 naming wheel,
member and bytes that differ; both builds are kept then.""",
    "build-venv": """

contain-python build-venv --wheelhouse wheelhouse --venv /app/venv
contain-python build-venv --pack app.tar.zst --packages packages.txt

The path is the one at which it will stand in the runtime image: scripts name their interpreter.
Every file is compared with its RECORD, every extension module is imported, every entry point is
loaded. Exits 3 for a wheel that was tampered with, 6 if what is installed does not work.""",
    "bake": """

invoke bake --pythons "3.13 3.14" --registry registry.example.org/base > docker-bake.json
docker buildx bake --file docker-bake.json --push

Your BuildKit builders (remote, Kubernetes) do the work; nothing of that is this tool's.""",
    "bench": """

invoke bench                                       this recipe's build beside the official image's
invoke bench --against "official standalone /usr/bin/python3.13"
invoke bench --against "official bolt x86-64-v3" --programs all --rounds 10
invoke bench --subject /opt/a/bin/python3 --against /opt/b/bin/python3 --programs none

What has no path is built here: "official" as the Docker image's recipe does, "standalone" with
python-build-standalone's choices; or another choice of this recipe's: bolt, tail-call, clang, jit,
free-threaded and more (contain_python/bench/choices.toml). Everything is measured in rounds, each
thing on one interpreter after the other, so that what disturbs the machine disturbs all alike.""",
    "deploy": """

invoke deploy dist/NAME-builder.tar.zst            to its prefix on this machine
invoke deploy dist/NAME-runtime.tar.zst --root DIR
invoke deploy dist/python-3.13.…-runtime.tar.zst --also "$(echo dist/*-runtime.tar.zst)"

The tarball is compared with SHA256SUMS and with its manifest first. A flavour takes the old one's
place in one step; what others installed there stays, or is named and refused (docs/tasks.md). Of
other versions beside it only what carries their version is taken, such as bin/python3.11; the first
tarball decides what python3 is.""",
    "runtime-packages": """

invoke runtime-packages --manifest dist/NAME-runtime.json
apt-get satisfy "$(invoke runtime-packages --manifest FILE --offered "tini tzdata")"

What is linked comes with the least version that has the symbols; what is opened only at run time
comes from a table. With --json each line tells why.""",
    "audit": """

invoke audit --refresh                             every bill of materials in dist/, with new data
invoke audit dist/NAME-runtime.tar.zst             with the data of the last --refresh
invoke audit --python 3.13.15                      CPython alone, built or not
invoke audit --advisories /srv/records --sarif audit.sarif
invoke audit --json | jq 'select(.event == "finding" and .applies)'

Looks up CPython, what it vendors, Debian's packages and bundled wheels. Statements in vex.toml mark
what does not apply, with a reason and a last day. Exits 11 if something applies that has a fix, or
else 3 if data is lacking, damaged or too old, or else 0. docs/advisories.md has the rest.""",
    "doctor": """

Exits 4 if a build could not run, and says what to install.""",
}
