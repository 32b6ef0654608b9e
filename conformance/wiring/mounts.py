"""Rules about volumes, and who may read and write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from conformance.model.agent import AGENT_CLIS
from conformance.wiring.context import Context
from conformance.wiring.findings import Finding
from conformance.wiring.runs import ProbeRun
from conformance.wiring.tree import Place
from conformance.wiring.workloads import Container, Mount, is_placeholder

__all__ = ["check_gate", "check_mounts", "check_volumes"]

_SCRATCH = ("/tmp", "/var/tmp", "/run", "/dev", "/var/run", "/var/cache", "/var/log")
#: Files of the CLIs, which a directory of the same name hides.
_FILES = (".credentials.json", "auth.json")
#: Volumes that may be a single file.
_MAY_BE_FILES = ("hostPath", "csi", "flexVolume", "")
#: Volumes that are empty in a new Pod: no login is there yet when an init container runs.
_NEW = ("emptyDir", "ephemeral")
#: Variables that let a CLI keep its files elsewhere than in the HOME.
_ELSEWHERE = ("CLAUDE_CONFIG_DIR", "CODEX_HOME")


def _below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")


class _Area:
    """Where the login of an agent lies in a container."""

    def __init__(self, context: Context, container: Container) -> None:
        agent = context.agent_name
        known = [name for name in AGENT_CLIS if agent in (None, name)]
        self.names = tuple(f".{name}" for name in known)
        self.home = context.home(container)
        self.mounts = container.mounts()

    def directory(self, mount: Mount) -> str:
        """Return the directory of logins that *mount* is at or below; empty if it is at none."""
        if self.home is not None:
            places = [f"{self.home}/{name}" for name in self.names]
            return next((place for place in places if _below(mount.path, place)), "")
        return _usual_place(mount.path, self.names)

    def holding(self) -> list[Mount]:
        """Return the mounts that hold logins: at or below such a directory, or over it."""
        over = self.home and self.deepest(self.home)
        return [m for m in self.mounts if self.directory(m) or m is over]

    def deepest(self, path: str) -> Mount | None:
        """Return the mount that *path* lies in; None for the container's own file system."""
        found = [m for m in self.mounts if m.path.startswith("/") and _below(path, m.path)]
        return max(found, key=lambda mount: len(mount.path), default=None)


def _usual_place(path: str, names: Sequence[str]) -> str:
    """Return the directory of logins that *path* is at or below, in a home of the usual kind.

    A project may have a .claude of its own, so elsewhere that name says nothing.
    """
    ends = "|".join(re.escape(name) for name in names)
    match = re.match(rf"((?:/root|/home/[^/]+)/(?:{ends}))(?:/|$)", path) if ends else None
    return match[1] if match else ""


def check_volumes(context: Context) -> Iterator[Finding]:
    """Yield the mounts of the containers that count which name no volume."""
    agent = [context.agent] if context.agent is not None else []
    for container in dict.fromkeys([*agent, *(run.container for run in context.subject.runs)]):
        for mount in container.mounts():
            if not mount.kind and mount.volume and not is_placeholder(mount.volume):
                message = f"there is no volume '{mount.volume}' in the Pod"
                way_out = "add it to volumes, or correct the name"
                place = mount.place.nearest("name")
                yield context.finding("no-such-volume", place, message, way_out)


def check_mounts(context: Context, container: Container) -> Iterator[Finding]:
    """Yield what is wrong with what *container*, the agent's, has mounted."""
    area = _Area(context, container)
    unreadable: set[str] = set()
    for mount in area.holding():
        for found in _modes(context, container, mount):
            if found.rule != "volume-not-writable":
                unreadable.add(mount.path)
            yield found
    for mount in area.mounts:
        if area.directory(mount) and mount.path not in unreadable:
            yield from _login(context, area, mount)
    yield from _read_only_home(context, container, area)
    yield from _elsewhere(context, container, area)


def _login(context: Context, area: _Area, mount: Mount) -> Iterator[Finding]:
    """Yield what is wrong with *mount* where logins lie."""
    directory = area.directory(mount)
    if mount.path.endswith(tuple(f"/{name}" for name in _FILES)) and not mount.sub_path:
        if mount.kind not in _MAY_BE_FILES:
            message = f"{mount.path} becomes a directory, and the CLI looks for a file"
            way_out = "add subPath with the name of the file in the volume"
            yield context.finding("directory-for-a-file", mount.place, message, way_out)
        return
    claude = directory.endswith("/.claude")
    if mount.kind == "configMap":
        if claude and context.request.any_file_is_login:
            yield from _config(context, mount, directory, area.home)
        return
    whole = mount.path == directory and not mount.sub_path
    if whole and claude and mount.kind == "secret" and not context.request.links_are_login:
        message = (
            f"contract {context.contract.name} takes the Secret at {mount.path} for no login: its "
            "files are links (scenario claude/kubernetes-secret-mount)"
        )
        way_out = "mount each file with subPath, or copy it into the volume of the HOME"
        yield context.finding("links-are-no-login", mount.place, message, way_out)
    elif mount.of_files or mount.read_only:
        what = {"secret": "a Secret is read-only"}.get(mount.kind, "it is mounted read-only")
        message = f"{mount.path}: {what}, so a login that the CLI renews is not stored"
        if whole and mount.of_files:
            message += ", and nobody can log in here"
        way_out = "keep the login in a volume that can be written to, and only begin with this one"
        yield context.finding("credentials-read-only", mount.place, message, way_out)


def _config(context: Context, mount: Mount, directory: str, home: str | None) -> Iterator[Finding]:
    """Yield that the files of a ConfigMap count as a login, which they are not."""
    baseline = {
        path.rpartition("/")[2]
        for path in context.contract.entrypoint_writes
        if path.startswith(".claude/")
    }
    if mount.sub_path:
        top, name = mount.path.rpartition("/")[::2]
        if top == directory and name in baseline:
            return
        names: list[str] | None = [name]
    else:
        names = _files(context, mount)
    contract = context.contract.name
    other = sorted(set(names or ()) - baseline)
    if other and context.agent_name == "claude" and home is not None:
        message = (
            f"contract {contract} takes any file in .claude for a login, so {other[0]} in "
            f"{mount.path} makes a slot ready that nobody has logged in to"
        )
        way_out = "mount it outside of .claude, or judge by contract slot-strict"
        yield context.finding("config-counts-as-login", mount.place, message, way_out)
        return
    message = (
        f"what a ConfigMap puts at {mount.path} may count as a login with contract {contract}: its "
        "files lie one level down (scenario claude/kubernetes-config-mount)"
    )
    way_out = f"mount single files of the baseline with subPath: {', '.join(sorted(baseline))}"
    yield context.finding("config-may-count-as-login", mount.place, message, way_out)


def _files(context: Context, mount: Mount) -> list[str] | None:
    """Return the names of the files of a ConfigMap; None if they are not known."""
    if mount.source is None:
        return None
    items = mount.source.elements("configMap", "items")
    if items:
        return [item.text("path") for item in items]
    name = mount.source.text("configMap", "name")
    content = context.request.configs.get("ConfigMap", context.workload, name)
    return list(content) if content is not None else None


def _modes(context: Context, container: Container, mount: Mount) -> Iterator[Finding]:
    """Yield that the user of *container* may not read, or not write, what is mounted."""
    pod = context.workload.pod
    if not context.is_no_root(container) or pod.at("securityContext", "fsGroup") is not None:
        return
    groups = [place.scalar() for place in pod.elements("securityContext", "supplementalGroups")]
    group = container.security("runAsGroup")
    if mount.kind in ("secret", "projected") and mount.source is not None:
        yield from _unreadable(context, mount, in_root_group=group in (None, 0) or 0 in groups)
    elif mount.kind in ("persistentVolumeClaim", "ephemeral") and not groups:
        if _prepared(context, mount):
            return
        user = context.user(container)
        who = f"uid {user}" if user is not None else "a user who is not root"
        message = (
            f"a new volume at {mount.path} often belongs to root, and the container runs as {who} "
            "without fsGroup"
        )
        way_out = "set fsGroup in the Pod's securityContext"
        yield context.finding("volume-not-writable", mount.place, message, way_out)


def _unreadable(context: Context, mount: Mount, *, in_root_group: bool) -> Iterator[Finding]:
    assert mount.source is not None
    source = mount.source.nearest(mount.kind)
    if any(part.at("serviceAccountToken") is not None for part in source.elements("sources")):
        return  # whom that belongs to is for the kubelet to say
    items = [item for part in _parts(source) for item in part.elements("items")]
    places = [source.at("defaultMode"), *(item.at("mode") for item in items)]
    needed = 0o044 if in_root_group else 0o004
    counts = {place.keys for place in _modes_that_count(source, mount)}
    for place in places:
        mode = place.whole() if place is not None else None
        if place is None or mode is None:
            continue
        if not 0 <= mode <= 0o777:
            message = f"{_mode(mode)}, more than Kubernetes takes"
            yield context.finding("refused-number", place, message, "write it like 0440")
        elif mode & needed == 0 and place.keys in counts:
            message = f"{_mode(mode)}, the files are root's, and the container runs as another user"
            way_out = "set fsGroup in the Pod's securityContext, or mode 0444"
            yield context.finding("credentials-unreadable", place, message, way_out)


def _modes_that_count(source: Place, mount: Mount) -> Iterator[Place]:
    """Yield where the modes stand that the files of *mount* have.

    An item has its own, or else the default. With a subPath only what lies there is mounted.
    """
    if mount.place.text("subPathExpr"):
        return  # only the kubelet knows what that is
    default = source.at("defaultMode")
    wanted = mount.place.text("subPath").rstrip("/")
    for part in _parts(source):
        items = part.elements("items")
        if not items and default is not None:
            yield default
        for item in items:
            if not wanted or _below(item.text("path"), wanted):
                mode = item.at("mode") or default
                if mode is not None:
                    yield mode


def _parts(source: Place) -> list[Place]:
    """Return what a projected volume is put together of; of another one, itself."""
    sources = source.elements("sources")
    found = [one.nearest(kind) for one in sources for kind in one.entries()]
    return found if sources else [source]


def _mode(mode: int) -> str:
    """Return what to say of *mode*: digits that look octal and are not are a common mistake."""
    return f"the mode is {mode:04o} ({mode} in decimal)"


def _prepared(context: Context, mount: Mount) -> bool:
    """Return whether an init container may have given the volume to the user."""
    for other in context.workload.containers():
        if other.role == "init" and any(m.volume == mount.volume for m in other.mounts()):
            text = " ".join(other.argv())
            if other.security("runAsUser") == 0 or re.search(r"\bch(own|mod|grp)\b", text):
                return True
    return False


def _read_only_home(context: Context, container: Container, area: _Area) -> Iterator[Finding]:
    if {*_ELSEWHERE} & container.variables(context.request.configs).keys():
        return
    root = container.place.nearest("securityContext", "readOnlyRootFilesystem")
    closed = container.place.scalar("securityContext", "readOnlyRootFilesystem") is True
    place: Place | None = None
    where = area.home or "the HOME"
    if area.home is not None:
        mount = area.deepest(area.home)
        if mount is None:
            place = root if closed else None
        elif mount.read_only or mount.of_files:
            place = mount.place
    elif closed and not any(_can_be_home(mount) for mount in area.mounts):
        place = root
    if place is not None:
        message = f"nobody can write to {where}: the CLI keeps its settings and sessions there"
        way_out = "mount an emptyDir or a claim over it"
        yield context.finding("home-read-only", place, message, way_out)


def _can_be_home(mount: Mount) -> bool:
    if mount.read_only or mount.of_files:
        return False
    return not any(_below(mount.path, scratch) for scratch in _SCRATCH)


def _elsewhere(context: Context, container: Container, area: _Area) -> Iterator[Finding]:
    """Yield that a login is mounted where the probe does not look."""
    inputs = context.contract.inputs
    variables = container.variables(context.request.configs)
    if area.home is None or area.holding() or inputs.override in variables:
        return
    values = [variable.value or "" for variable in variables.values()]
    for mount in area.mounts:
        login = mount.kind != "configMap" and _usual_place(mount.path, area.names) == mount.path
        if login and not any(mount.path in value for value in values):
            message = f"{mount.path} is not in {area.home}, where the probe looks for a login"
            way_out = f"mount it at {area.home}/{mount.path.rpartition('/')[2]}, or set "
            way_out += inputs.home
            yield context.finding("home-elsewhere", mount.place, message, way_out)


def check_gate(context: Context, run: ProbeRun) -> Iterator[Finding]:
    """Yield what an init container that runs the probe does not see of the agent's container."""
    agent = context.agent
    if agent is None:
        return
    needed = {
        mount.source_id: mount.volume
        for mount in _Area(context, agent).holding()
        if mount.kind not in ("", "configMap", *_NEW)
    }
    seen = {mount.source_id for mount in run.container.mounts()}
    if needed and needed.keys().isdisjoint(seen) and not _looks_elsewhere(context, run):
        volume = next(iter(needed.values()))
        message = (
            f"the probe in init container {run.container.name} does not see volume {volume}, "
            f"which holds the login in container {agent.name}"
        )
        way_out = "mount it there in the same place"
        place = run.container.place.nearest("volumeMounts")
        yield context.finding("gate-sees-another-home", place, message, way_out, run)
    if run.container.image != agent.image and not context.request.recogniser.probe:
        message = f"init container {run.container.name} has another image than {agent.name}"
        way_out = "run the probe in the agent's image: it asks that image's CLI"
        place = run.container.place.nearest("image")
        yield context.finding("gate-other-image", place, message, way_out, run)


def _looks_elsewhere(context: Context, run: ProbeRun) -> bool:
    """Return whether the probe of *run* is told another directory than the one in the HOME."""
    name = context.contract.inputs.override
    variables = run.container.variables(context.request.configs)
    sets = [part.sets for part in (run.command, *run.command.parts())]
    return bool(name) and any(name in each for each in (variables, *sets))
