"""Choose the recorded profile of a build: named, shipped with the project, or in the cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from contain_python import profiles
from contain_python.errors import ContainError, SourceError, ToolchainError, UsageError
from contain_python.fetching import MirrorFailed, check_content, fetch
from contain_python.files import write_whole
from contain_python.model import Profile, ProfileKey
from contain_python.recipe import NamedProfile
from contain_python.request import Request
from contain_python.secret_urls import without_secrets
from contain_python.store import Note


def choose_profile(request: Request, key: ProfileKey, note: Note) -> Profile | None:
    """Return the recorded profile that fits a build, or None if the build must train.

    The one named by the request must fit. Otherwise those of the project's `profiles/` come first,
    then the cache's, to which the recipe's are brought. Raises UsageError if the named one
    does not fit, ToolchainError if the request demands a profile and none fits.
    """
    if request.profile:
        return replace(_named(request.profile, key), origin="named by --profile")
    cache = request.workspace.cache / "profiles"
    for named in request.recipe.profile:
        if named.name.startswith(f"python-{key.version}-"):
            _bring(named, cache, request, note)
    chosen, refusals = profiles.find(key, [request.recipe.root / "profiles", cache], note)
    if chosen:
        return replace(chosen, origin=_origin(chosen, request))
    if refusals:
        note(_nearest(refusals))
    if request.require_profile:
        raise ToolchainError(
            f"no recorded profile fits this build of CPython {key.version}",
            expected=f"one with the key {profiles.key_digits(key)}",
            found="\n".join(f"{one.name}: {one.why}" for one in refusals) or "none at all",
            remedy="record one with invoke train, or build without --require-profile",
        )
    return None


def _origin(chosen: Profile, request: Request) -> str:
    """Return who recorded a profile, as far as its place tells."""
    if chosen.path.parent == request.recipe.root / "profiles":
        return "profiles/ beside the recipe"
    named = (one for one in request.recipe.profile if one.name == chosen.path.name)
    return next((without_secrets(one.url) for one in named), profiles.HERE)


def _nearest(refusals: tuple[profiles.Refusal, ...]) -> str:
    """Tell of the nearest profile why it does not fit, and how many more there are."""
    first, *others = refusals
    told = f"{first.name} does not fit: {first.why}"
    return told + (f"; {len(others)} more differ in as much or more" if others else "")


def _named(path: Path, key: ProfileKey) -> Profile:
    profile = profiles.read(path)
    why = profiles.differences(profile.key, key)
    if why:
        raise UsageError(
            f"the profile {path.name} does not fit this build",
            expected="a profile that was recorded for the very same build",
            found=why,
            remedy="leave out --profile, or record one with invoke train",
        )
    return profile


def _bring(named: NamedProfile, cache: Path, request: Request, note: Note) -> None:
    """Bring a profile that the recipe names into the cache; a failure is told, and no more."""
    target = cache / named.name
    if target.is_file() and _right(target, named):
        return
    try:
        _fetch(named, target, request)
    except (MirrorFailed, OSError, ContainError) as problem:
        note(f"the profile {named.name} cannot be had: {problem}")


def _right(path: Path, named: NamedProfile) -> bool:
    try:
        check_content(path, named)
    except MirrorFailed:
        return False
    return True


def _fetch(named: NamedProfile, target: Path, request: Request) -> None:
    parts = urlsplit(named.url)
    if parts.scheme not in ("http", "https"):
        source = request.recipe.root / (unquote(parts.path) if parts.scheme else named.url)
        check_content(source, named)
        write_whole(target, source.read_bytes())
        return
    if request.offline:
        raise SourceError("--offline forbids fetching it")
    part = target.with_name(f"{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    fetch(named.url, named, part, request.recipe.download, lambda _: None)
    part.replace(target)
