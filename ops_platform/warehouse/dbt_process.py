"""dbt as a process of the platform: `python -m ops_platform.warehouse.dbt_process [dbt's own arguments]`, which is also
installed as `ops-dbt`.

Belongs here: starting and running dbt at the cost of what it does. Does not belong here: what is built (`build.py`),
comparing with a build aside (`difference.py`).

What plain dbt spends on a build of this project that finds nothing changed is mostly its own. Measured on 892 nodes, in
seconds of processor time, dbt and server: 11 on reading the project anew, because the server it connects to is another
than that of its last reading; 6 on events nobody listens to and on Python looking for garbage in a manifest that stays;
4 on a connection for each node, whose backend learns the catalogue anew. What is left is 20 of 41. Of that, on 1,031
nodes, a third more was making for each node all that its SQL may name, compiling the same short templates again and
again, and letting go piece by piece of what ends with the process anyway.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ops_platform.warehouse.dbt import DBT_PROJECT, TARGET, no_server, prepared_manifest

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

# Commands that work on a project that was read; any other reads it itself.
_ON_MANIFEST = frozenset({"build", "run", "test", "seed", "compile", "show", "ls", "list"})
# Options under which the project reads otherwise.
_READ_OTHERWISE = frozenset({"--vars", "--profile", "--target", "--no-partial-parse", "--profiles-dir"})
# Set by who removes dbt's folder after the run: no SQL is written there.
LEAVES_NO_SQL = "OPS_DBT_LEAVES_NO_SQL"
# What dbt takes from the environment for itself, and must not while it only reads.
_OF_THE_RUN = ("DBT_TARGET_PATH", "DBT_LOG_FORMAT", "DBT_LOG_LEVEL")


def read_project(project: Path = DBT_PROJECT, target: Path = TARGET) -> Manifest:
    """The project as dbt's manifest, read for no server, and from `target` as far as no file changed since.

    Raises `ConfigurationError` with dbt's own message when it does not parse."""
    from dbt.cli.main import dbtRunner

    from ops_platform.failures import ConfigurationError

    where = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target)]
    with _environment({**no_server(), **dict.fromkeys(_OF_THE_RUN)}):
        parsed = dbtRunner().invoke(["--quiet", "parse", "--no-write-json", *where])
    if not parsed.success or parsed.result is None:
        raise ConfigurationError(f"the dbt project does not parse: {parsed.exception}")
    manifest: Any = parsed.result
    return manifest


def connect_to(manifest: Any, database: str, prefix: str = "") -> None:
    """Every relation of the project to `database`; models and seeds to schemas that begin with `prefix`."""
    for node in manifest.nodes.values():
        if node.resource_type in ("model", "seed"):
            node.schema = f"{prefix}{node.schema}"
            if node.relation_name is not None:
                node.relation_name = f'"{database}"."{node.schema}"."{node.alias}"'
        node.database = database
    for source in manifest.sources.values():
        source.database = database
        source.relation_name = f'"{database}"."{source.schema}"."{source.identifier}"'
    # What macros see as `graph`.
    manifest.build_flat_graph()


def run(manifest: Manifest | None, arguments: Sequence[str]) -> Any:
    """dbt in this process with the connection of the environment; its `dbtRunnerResult`. Without a manifest dbt reads
    the project itself."""
    from dbt.cli.main import dbtRunner

    from ops_platform.garbage import rarely_collecting

    keep_connections()
    drop_unheard_events()
    know_columns_once()
    know_who_asks()
    name_macros_when_asked_for()
    compile_templates_once()
    # What was read stays until the process ends: looking through it for garbage finds none.
    gc.collect()
    gc.freeze()
    try:
        with rarely_collecting():
            return dbtRunner(manifest=manifest).invoke(list(arguments))
    finally:
        gc.unfreeze()


def drop_unheard_events() -> None:
    """Debugging events go no further when nobody listens to them, and none is made a message of before somebody looks
    into it."""
    from dbt_common.events import event_manager_client
    from dbt_common.events.base_types import BaseEvent, EventLevel
    from dbt_common.events.event_manager import EventManager

    quiet = (EventLevel.DEBUG, EventLevel.TEST)

    class AttentiveEventManager(EventManager):
        def fire_event(
            self,
            e: BaseEvent,
            level: EventLevel | None = None,
            node: Any = None,
            force_warn_or_error_handling: bool = False,
        ) -> None:
            heard = force_warn_or_error_handling or any(logger.level in quiet for logger in self.loggers)
            if heard or (level or e.level_tag()) not in quiet:
                super().fire_event(e, level, node, force_warn_or_error_handling)

    event_manager_client.ctx_set_event_manager(AttentiveEventManager())
    _messages_when_asked_for(BaseEvent)


def _messages_when_asked_for(base: Any) -> None:
    make = base.__init__
    if getattr(make, "when_asked_for", False):
        return

    def keep(self: Any, *given: Any, **named: Any) -> None:
        object.__setattr__(self, "_given", (given, named))

    def message_of(self: Any, name: str) -> Any:  # asked only for what an event does not have
        if name == "_given":
            raise AttributeError(name)
        if name == "pb_msg":
            given, named = self._given
            make(self, *given, **named)
            return object.__getattribute__(self, "pb_msg")
        return getattr(self.pb_msg, name)

    def change(self: Any, name: str, value: Any) -> None:
        if name == "pb_msg":
            object.__setattr__(self, name, value)
        else:
            setattr(self.pb_msg, name, value)

    keep.when_asked_for = True  # type: ignore[attr-defined]
    base.__init__, base.__getattr__, base.__setattr__ = keep, message_of, change


def know_columns_once() -> None:
    """How the types of an answer's columns are found is set up once, and not for every answer: most of the cost of a
    small one is a parser for dates that nobody sent."""
    from dbt_common.clients import agate_helper

    make = agate_helper.build_type_tester
    if hasattr(make, "cache_info"):
        return
    known = lru_cache(maxsize=64)(make)

    def of_columns(text_columns: Iterable[str], string_null_values: Iterable[str] | None = ("null", "")) -> Any:
        return known(tuple(text_columns), None if string_null_values is None else tuple(string_null_values))

    of_columns.cache_info = known.cache_info  # type: ignore[attr-defined]
    agate_helper.build_type_tester = of_columns


class _WhenAskedFor(dict[str, Any]):
    """A dict that has what `find` gives for a name of `names`, from when it is asked for it."""

    def __init__(self, names: Container[str] = (), find: Callable[[str], Any] | None = None) -> None:
        super().__init__()
        self.names, self.find = names, find

    def __missing__(self, name: str) -> Any:
        if self.find is None or name not in self.names:
            raise KeyError(name)
        found = self[name] = self.find(name)
        return found

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self.names

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


def name_macros_when_asked_for() -> None:
    """For each node dbt makes an object of every macro there is, 500, of which its SQL names some ten: those are made
    that are named. Python's own modules that SQL may use are looked through once."""
    from dbt.clients.jinja import MacroGenerator
    from dbt.context import base, macros
    from dbt.context.manifest import ManifestContext
    from dbt_common.clients import jinja

    builder, context, with_macros = (
        cast("Any", macros.MacroNamespaceBuilder),
        cast("Any", base),
        cast("Any", ManifestContext),
    )
    if getattr(builder.build_namespace, "when_asked_for", False):
        return

    class Names(macros.MacroNamespace):
        def __contains__(self, name: object) -> bool:
            return any(name in each for each in self._search_order())

        def _keys(self) -> set[str]:
            return {name for each in self._search_order() for name in getattr(each, "names", each)}

    def build(self: Any, by_package: Mapping[str, Mapping[str, Any]], of_node: dict[str, Any]) -> Any:
        def lazily(of_package: Mapping[str, Any]) -> _WhenAskedFor:
            return _WhenAskedFor(
                of_package, lambda name: MacroGenerator(of_package[name], of_node, self.node, self.thread_ctx)
            )

        of_dbt: dict[str, Any] = {}
        for package in reversed(self.internal_package_names_order):
            of_dbt.update(by_package.get(package, {}))
        packages = {
            name: lazily(of_package)
            for name, of_package in by_package.items()
            if name not in self.internal_package_names
        }
        local: Any = packages.get(self.search_package, {})
        own: Any = {} if self.search_package == self.root_package else packages.get(self.root_package, {})
        return Names(own, local, lazily(of_dbt), cast("Any", packages))

    make = context.BaseContext.__init__

    def begin(self: Any, *given: Any, **named: Any) -> None:
        make(self, *given, **named)
        self._ctx = _WhenAskedFor()

    usual = with_macros.to_dict

    def to_dict(self: Any) -> Any:
        if not isinstance(self.namespace, Names):
            return usual(self)
        known = super(with_macros, self).to_dict()
        known.names, known.find = self.namespace, self.namespace.__getitem__
        # A macro goes before what dbt itself calls so.
        for name in [name for name in known if name in self.namespace]:
            known[name] = self.namespace[name]
        return known

    build.when_asked_for = True  # type: ignore[attr-defined]
    builder.build_namespace = build
    context.BaseContext.__init__ = begin
    with_macros.to_dict = to_dict
    # Looks into the names instead of copying them, as dbt's other template does.
    native: Any = jinja.NativeSandboxTemplate
    native.new_context = jinja.MacroFuzzTemplate.new_context
    context.get_context_modules = lru_cache(maxsize=1)(context.get_context_modules)


def compile_templates_once() -> None:
    """Hundreds of tests are the same few templates, and their arguments the same few expressions: each is compiled
    once, in an environment that is made once."""
    from dbt_common.clients import jinja as of_dbt
    from jinja2 import Environment

    jinja: Any = of_dbt
    if hasattr(jinja.get_environment, "cache_info"):
        return
    make = jinja.get_environment
    usual = lru_cache(maxsize=2)(lambda native: make(None, False, native=native))

    def environment(node: Any = None, capture_macros: bool = False, native: bool = False) -> Any:
        return make(node, capture_macros, native=native) if capture_macros else usual(native)

    environment.cache_info = usual.cache_info  # type: ignore[attr-defined]
    jinja.get_environment = environment

    @lru_cache(maxsize=1024)
    def compiled(environment: Any, source: str) -> Any:
        return Environment.compile(environment, source)

    def compile_(self: Any, source: Any, *arguments: Any, **named: Any) -> Any:
        if arguments or named or not isinstance(source, str) or self is not usual(self.native):
            return Environment.compile(self, source, *arguments, **named)
        return compiled(self, source)

    jinja.MacroFuzzEnvironment.native = False
    jinja.NativeSandboxEnvironment.native = True
    jinja.MacroFuzzEnvironment.compile = compile_


def leave_no_sql() -> None:
    """dbt writes each node's SQL into two files of its folder."""
    from dbt.contracts.graph import nodes

    node: Any = nodes.ParsedNode
    node.write_node = lambda *_: None


def leave_manifest_as_read(prepared: Path) -> None:
    """At the end of a run dbt writes the whole manifest, as it was read; `prepared` is that already."""
    from dbt.task import runnable

    write = runnable.write_manifest
    content = prepared.read_bytes()

    def take_over(manifest: Manifest, target_path: str, which: str | None = None) -> None:
        written = Path(target_path) / "manifest.json"
        try:
            if written.resolve() != prepared.resolve():
                written.write_bytes(content)
        except OSError:
            write(manifest, target_path, which)

    runnable.write_manifest = take_over


def know_who_asks() -> None:
    """For each flag of its behaviour an adapter looks through every module there is for the name of its own, for a
    message nobody hears: half a second a start."""
    from dbt_common.behavior_flags import BehaviorFlagRendered

    name = staticmethod(lambda: "dbt.adapters.postgres.impl")
    BehaviorFlagRendered._default_source = name  # type: ignore[method-assign]


def keep_connections() -> None:
    """A thread of dbt keeps its connection from node to node, with nothing open on it."""
    from dbt.adapters.contracts.connection import ConnectionState
    from dbt.adapters.postgres import PostgresAdapter
    from dbt.adapters.postgres.connections import PostgresConnectionManager

    class KeptConnections(PostgresConnectionManager):
        def release(self) -> None:
            connection = self.get_if_exists()
            if connection is None or connection.state != ConnectionState.OPEN:
                super().release()
                return
            try:
                connection.handle.rollback()
                connection.transaction_open = False
            except Exception:
                self.clear_thread_connection()
                raise

    PostgresAdapter.ConnectionManager = KeptConnections


@contextmanager
def _environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """The process's environment with `values`, of which None is no value, while the block runs."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def main() -> None:
    """Run dbt with the process's own arguments and end with its exit code. What was read, hundreds of thousands of
    objects, is left to the kernel: letting go of them one by one would take as long as reading them."""
    from ops_platform.warehouse.dbt_ahead import handed_over

    code = handed_over(sys.argv[1:])
    if code is None:
        code = work(sys.argv[1:])
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def work(words: list[str], read: Manifest | None = None) -> int:
    """Run dbt with the arguments `words`; its exit code. `read` is the project as `read_project` gives it, where that
    was done already; it is used up."""
    from ops_platform.failures import ConfigurationError

    manifest = None
    if any(word in _ON_MANIFEST for word in words) and not any(
        word.partition("=")[0] in _READ_OTHERWISE for word in words
    ):
        try:
            manifest = read or read_project()
        except ConfigurationError as error:
            print(error, file=sys.stderr)
            return 2
        connect_to(manifest, os.environ["DBT_PG_DATABASE"])
        if (prepared := prepared_manifest()) is not None:
            leave_manifest_as_read(prepared)
    if os.environ.get(LEAVES_NO_SQL):
        leave_no_sql()
    done = run(manifest, words)
    if done.exception is not None:
        print(done.exception, file=sys.stderr)
        return 2
    return 0 if done.success else 1


if __name__ == "__main__":
    main()
