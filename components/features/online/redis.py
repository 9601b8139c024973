"""The online store of a cluster: Redis, one generation of keys a filling, and one key that points to the newest.

In: tables of newest rows, and a URL redis:// or rediss://. Out, for each problem, all in one slot of a Redis cluster:

    tidemill:{<problem>}:current    JSON: the generation that is read, its as_of and filled_at
    tidemill:{<problem>}:draft      the same of the generation that is being filled
    tidemill:{<problem>}:keys       set: the keys of all generations, also of one that was never finished
    tidemill:{<problem>}:<generation>:<view>
                                    hash: an entity's keys -> JSON [known_at, value, ...]; "" -> JSON list of features

Called through `store.py`. This is not Feast's encoding, so Feast's own readers find nothing here: Feast puts the views
of an entity under one key that names the project, so that two fillings cannot lie beside each other to be swapped; and
Feast on Redis refuses to replace a value by one with an older time, which a corrected delivery needs.
One hash a view: it is read by one command, counted by HLEN, and freed by one UNLINK, in the background.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

import pyarrow as pa
from redis import AuthenticationError, Redis, RedisError
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

from components.base.errors import EndpointUnavailableError, PermanentError
from components.features.online.reader import CachingReader, Filling, Found, Key, OnlineView

_BATCH_ROWS = 5_000
# A request waits for its features: better no answer after 2 s than an endpoint whose threads all wait.
_TIMEOUT_SECONDS = 2.0
# A backup moves a whole view at once, and nobody waits for it.
_COPY_TIMEOUT_SECONDS = 60.0
# The field of a view's hash that names its features; an entity's field is a JSON list.
_HEADER = ""


class RedisStore:
    """A Redis server, which may hold other keys too."""

    def __init__(self, url: str) -> None:
        """Take the URL; the first command connects."""
        self._place = _place(url)
        self._client: Redis = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            # A server closes connections that were idle; the second attempt opens a new one.
            retry=Retry(NoBackoff(), 1),
        )

    def held_as_of(self, problem: str) -> datetime | None:
        """Return the `as_of` that the store was filled with; None when it never was."""
        with _explain_errors(self._place):
            pointer = self._client.get(_key(problem, "current"))
        return datetime.fromtimestamp(_parse(pointer)[1].as_of, UTC) if pointer else None

    def count_entities(self, problem: str, views: Sequence[OnlineView]) -> dict[str, int]:
        """Return the entities of each view; a view that the filling lacks has none."""
        with _explain_errors(self._place):
            pointer = self._client.get(_key(problem, "current"))
            pipeline = self._client.pipeline()
            for view in views:
                pipeline.hlen(_key(problem, _parse(pointer)[0] if pointer else "", view.name))
            fields = pipeline.execute()
        # One field is the header.
        return {view.name: max(count - 1, 0) for view, count in zip(views, fields, strict=True)}

    @contextmanager
    def draft(self, problem: str, as_of: datetime) -> Iterator["RedisDraft"]:
        """Begin a generation, and remove those that are not read."""
        draft = RedisDraft(self._client, self._place, problem, Filling(as_of.timestamp(), time.time()))
        try:
            yield draft
        finally:
            # When Redis does not answer, the next filling removes it.
            with suppress(EndpointUnavailableError):
                draft.discard()

    def open_reader(self, problem: str, views: Sequence[OnlineView]) -> "RedisReader":
        """Open the store for reading."""
        return RedisReader(self._client, self._place, problem, views)


class RedisDraft:
    """A generation that is not read yet."""

    def __init__(self, client: Redis, place: str, problem: str, filling: Filling) -> None:
        """Point `draft` to a new generation."""
        self._client = client
        self._place = place
        self._problem = problem
        self._generation = uuid4().hex
        self._keys: set[str] = set()
        self._pointer = json.dumps({"generation": self._generation, **filling._asdict()})
        current, draft, registry = (_key(problem, name) for name in ("current", "draft", "keys"))

        def begin(pipeline: Pipeline) -> None:
            held = pipeline.get(current)
            read = _key(problem, _parse(held)[0], "") if held else None
            unread = [key for key in _members(pipeline, registry) if read is None or not key.startswith(read)]
            pipeline.multi()
            pipeline.set(draft, self._pointer)
            _remove(pipeline, registry, unread)

        with _explain_errors(place):
            client.transaction(begin, current, registry)

    def fill(self, view: OnlineView, rows: pa.Table) -> int:
        """Write a view and return its entities."""
        table = _key(self._problem, self._generation, view.name)
        self._keys.add(table)
        names = [feature.name for feature in view.features]
        with _explain_errors(self._place):
            self._write(table, {_HEADER: json.dumps(names)})
            for batch in rows.to_batches(_BATCH_ROWS):
                fields = {}
                for row in batch.to_pylist():
                    known_at = int(row["event_timestamp"].timestamp())
                    # NaN, the one value that differs from itself, is missing as on SQLite.
                    values = [None if value != value else value for value in map(row.get, names)]  # noqa: PLR0124
                    fields[_field(view.read_key(row))] = json.dumps([known_at, *values], ensure_ascii=False)
                self._write(table, fields)
        return int(rows.num_rows)

    def open_reader(self, views: Sequence[OnlineView]) -> "RedisReader":
        """Open the generation for reading."""
        return RedisReader(self._client, self._place, self._problem, views, pointer="draft")

    def swap(self) -> None:
        """Point `current` to this generation, and remove the one before, at once."""
        current, draft, registry = (_key(self._problem, name) for name in ("current", "draft", "keys"))

        def publish(pipeline: Pipeline) -> None:
            if pipeline.get(draft) != self._pointer:
                raise PermanentError(
                    f"online store {self._place}: one filling must run at a time, but another began and removed this "
                    "one. Wait for the other."
                )
            unread = _members(pipeline, registry) - self._keys
            pipeline.multi()
            pipeline.rename(draft, current)
            _remove(pipeline, registry, unread)

        with _explain_errors(self._place):
            self._client.transaction(publish, draft, registry)
        self._keys = set()

    def discard(self) -> None:
        """Remove the generation unless it was swapped."""
        draft, registry = _key(self._problem, "draft"), _key(self._problem, "keys")

        def remove(pipeline: Pipeline) -> None:
            is_newest = pipeline.get(draft) == self._pointer
            pipeline.multi()
            if is_newest:
                pipeline.delete(draft)
            _remove(pipeline, registry, self._keys)

        with _explain_errors(self._place):
            self._client.transaction(remove, draft)

    def _write(self, table: str, fields: Mapping[str, str]) -> None:
        """Write fields and register their key together, so that the next filling can remove them."""
        pipeline = self._client.pipeline()
        pipeline.sadd(_key(self._problem, "keys"), table)
        pipeline.hset(table, mapping=dict(fields))
        pipeline.execute()


class RedisReader(CachingReader):
    """Reads the generation that a pointer names, in one round trip a request."""

    def __init__(
        self, client: Redis, place: str, problem: str, views: Sequence[OnlineView], pointer: str = "current"
    ) -> None:
        """Look whether the views are there.

        Raises:
            PermanentError: the store was not filled, or lacks a view.
            EndpointUnavailableError: Redis does not answer.
        """
        super().__init__(views)
        self._client = client
        self._place = place
        self._problem = problem
        self._pointer_key = _key(problem, pointer)
        with _explain_errors(place):
            held = client.get(self._pointer_key)
            if held is None:
                raise PermanentError(
                    f"online store {place}: it must be filled for {problem}, but is not. Run `materialize` first."
                )
            generation, _ = _parse(held)
            for view in views:
                if not client.exists(_key(problem, generation, view.name)):
                    raise PermanentError(
                        f"online store {place}: it must hold {view.name}, but does not. Run `materialize` again."
                    )

    def _fetch(self, wanted: Mapping[str, Sequence[Key]]) -> tuple[str, Filling | None, dict[str, dict[Key, Found]]]:
        generation = _parse(self._state)[0] if self._state else ""
        with _explain_errors(self._place):
            # One transaction: no swap can come between the pointer and the views.
            pipeline = self._client.pipeline()
            pipeline.get(self._pointer_key)
            for name, keys in wanted.items():
                pipeline.hmget(_key(self._problem, generation, name), [_HEADER, *map(_field, keys)])
            pointer, *read = pipeline.execute()
        if pointer is None:
            raise EndpointUnavailableError(
                f"online store {self._place}: it must be filled for {self._problem}, but is not any more. "
                "Run `materialize` again."
            )
        filling = _parse(pointer)[1]
        if pointer != self._state:
            return pointer, filling, {}
        views = zip(wanted.items(), read, strict=True)
        return pointer, filling, {name: self._decode(name, keys, stored) for (name, keys), stored in views}

    def _decode(self, name: str, keys: Sequence[Key], stored: Sequence[str | None]) -> dict[Key, Found]:
        header, *entities = stored
        if header is None:
            raise EndpointUnavailableError(
                f"online store {self._place}: it must hold {name}, but does not any more. Run `materialize` again."
            )
        wanted = {feature.name for feature in self._views[name].features}
        names = json.loads(header)
        found = {}
        for key, entity in zip(keys, entities, strict=True):
            if entity is not None:
                known_at, *values = json.loads(entity)
                present = zip(names, values, strict=True)
                found[key] = Found(float(known_at), {n: v for n, v in present if v is not None and n in wanted})
        return found


def dump_keys(url: str, problem: str) -> Iterator[tuple[str, bytes]]:
    """Yield each key of a problem with its value in Redis' own serialisation, which a server as new or newer reads.

    Raises:
        EndpointUnavailableError: Redis does not answer.
    """
    client = Redis.from_url(url, socket_timeout=_COPY_TIMEOUT_SECONDS)
    with _explain_errors(_place(url)):
        for key in sorted(client.scan_iter(match=_key(problem, "*"), count=1000)):
            if (value := cast("bytes | None", client.dump(key))) is not None:
                yield key.decode(), value


def restore_key(url: str, key: str, value: bytes) -> None:
    """Write a key as `dump_keys` yielded it, in the place of what it held, with its errors."""
    with _explain_errors(_place(url)):
        Redis.from_url(url, socket_timeout=_COPY_TIMEOUT_SECONDS).restore(key, 0, value, replace=True)


def _place(url: str) -> str:
    """Write the URL without the password, which must not be in an error."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}{parts.path}"


def _key(problem: str, *parts: str) -> str:
    # Redis Cluster keeps keys with the same text in braces in one slot, as transactions need.
    return ":".join([f"tidemill:{{{problem}}}", *parts])


def _field(key: Key) -> str:
    return json.dumps(key, ensure_ascii=False)


def _parse(pointer: Any) -> tuple[str, Filling]:
    """Return the generation and the filling that a pointer names."""
    document = json.loads(pointer)
    return document["generation"], Filling(document["as_of"], document["filled_at"])


def _members(pipeline: Pipeline, registry: str) -> set[str]:
    # A watching pipeline answers at once; the client's types also cover the asynchronous one.
    return cast("set[str]", pipeline.smembers(registry))


def _remove(pipeline: Pipeline, registry: str, keys: Iterable[str]) -> None:
    """Free keys in the background; a generation has one a view."""
    if listed := sorted(keys):
        pipeline.unlink(*listed)
        pipeline.srem(registry, *listed)


@contextmanager
def _explain_errors(place: str) -> Iterator[None]:
    try:
        yield
    except AuthenticationError as error:
        raise PermanentError(
            f"online store {place}: the password must be right, but got {error}. Correct TIDEMILL_ONLINE_STORE."
        ) from error
    except RedisError as error:
        raise EndpointUnavailableError(
            f"online store {place}: it must answer, but got: {error} Start Redis, or check TIDEMILL_ONLINE_STORE."
        ) from error
