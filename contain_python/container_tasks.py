"""The tasks about containers, as the command line offers them: names, options, help."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from contain_python import consumers, containers, deploying, images, verify_image
from contain_python.console import Console
from contain_python.offers import Offer
from contain_python.teaching import IMAGE_HELP

_OUTPUT = {"verbose": False, "json": False}


def _deploy(console: Console, given: dict[str, Any]) -> None:
    deploying.deploy(given["tarball"], given["also"], given["root"], console)


def _image(console: Console, given: dict[str, Any]) -> None:
    images.build_images(images.ImageOptions(**given), console)


def _verify_image(console: Console, given: dict[str, Any]) -> None:
    verify_image.verify_image(
        given["image"], given["engine"], given["without"], given["interpreter"], console
    )


def _runtime_packages(console: Console, given: dict[str, Any]) -> None:
    containers.show_runtime_packages(given["manifest"], given["offered"], given["manager"], console)


def _dockerfile(console: Console, given: dict[str, Any]) -> None:
    consumers.show_dockerfile(consumers.Consumer(**_without_output(given)), console)


def _bake(console: Console, given: dict[str, Any]) -> None:
    consumers.show_bake(consumers.Fleet(**_without_output(given)), console)


def _without_output(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in _OUTPUT}


OFFERS = (
    Offer(
        name="image",
        body=_image,
        doc="Build the builder and the runtime image of Dockerfile.builder.",
        options={item.name: item.default for item in fields(images.ImageOptions)} | _OUTPUT,
        help=IMAGE_HELP,
    ),
    Offer(
        name="verify-image",
        body=_verify_image,
        doc="Judge an image where it will run, ours or not: verify-image IMAGE.",
        options={"image": "", "engine": "", "without": "", "interpreter": "python3", **_OUTPUT},
        positional="image",
        help={
            "image": "an image that the engine has",
            "engine": "docker or podman (default: the first that works)",
            "without": 'trials to leave out, as "authorities zones"',
            "interpreter": "its Python, if that is not python3 on the image's PATH",
        },
    ),
    Offer(
        name="deploy",
        body=_deploy,
        doc="Install a packed flavour, or debug symbols, on this machine: deploy TARBALL.",
        options={"tarball": "", "also": "", "root": "/", **_OUTPUT},
        positional="tarball",
        help={
            "tarball": "a tarball in dist/, beside its manifest and SHA256SUMS",
            "also": "tarballs of other versions to put beside it, into the same prefix",
            "root": "the directory below which the prefix is put",
        },
    ),
    Offer(
        name="runtime-packages",
        body=_runtime_packages,
        doc="Print the distribution's packages that a flavour needs where it runs.",
        options={"manifest": "", "offered": "", "manager": "apt", "json": False},
        help={
            "manifest": "the manifest of a flavour, dist/python-VERSION-…-runtime.json; or several",
            "offered": 'choices to add: some of "ca-certificates tini tzdata"',
            "manager": "apt, dnf, zypper or apk: how to print them",
        },
    ),
    Offer(
        name="dockerfile",
        body=_dockerfile,
        doc="Print the Dockerfile of an application that uses the builder.",
        options={
            "manifest": "",
            "base": "",
            "builder": "",
            "requirements": "",
            "offered": "ca-certificates tzdata",
            "ship": "venv",
            "build_packages": "",
            "wheel_options": "",
            "json": False,
        },
        help={
            "manifest": "the manifest of the runtime flavour, which tells its packages",
            "base": "the distribution that it runs on (default: debian:bookworm-slim)",
            "builder": "the builder's image (default: contain-python-builder:VERSION)",
            "requirements": "a requirements file; with hashes, pip is told to require them",
            "offered": 'packages by choice: some of "ca-certificates tzdata"',
            "ship": "venv (copied from the builder), or wheelhouse (installed in the other stage)",
            "build-packages": 'what wheels are compiled against, as "libpq-dev libxml2-dev"',
            "wheel-options": 'options of build-wheels, as "--only-binary=:all:"',
        },
    ),
    Offer(
        name="bake",
        body=_bake,
        doc="Print a docker buildx bake file: versions, distributions, flavours.",
        options={
            "pythons": "",
            "bases": "debian:bookworm-slim debian:trixie-slim",
            "targets": "builder runtime distroless",
            "registry": "localhost:5000/myorg",
            "cache": "registry",
            "options": "",
            "recipe": "contain.toml",
            "json": False,
        },
        help={
            "pythons": 'versions or series, as "3.13 3.14" (default: the recipe\'s)',
            "bases": "the images to start from",
            "targets": "targets of Dockerfile.builder: builder runtime debug distroless",
            "registry": "where images and cache are pushed to",
            "cache": "registry (every stage is cached), or inline (for builders without exporters)",
            "options": 'more options of build-python, as "--optimize none"',
        },
    ),
)
