"""One exam for every S3 service that the store adapter is used with."""

import hashlib
import re
import uuid

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from components.base.adapters.s3 import ObjectStore
from components.base.errors import (
    DataError,
    ObjectMissingError,
    StoreAccessError,
    StoreRequestError,
)
from components.base.settings import S3Endpoint

# Larger than boto3's 8 MB threshold: goes up in parts and comes down in ranges.
LARGE_BYTES = 9 * 2**20

# One hypothesis example is a few requests; the exam is about keys and content, not about speed.
ROUND_TRIPS = settings(max_examples=25, deadline=None)
PARTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="/\\"), min_size=1, max_size=20
).filter(lambda part: part not in (".", "..", ".uploads"))
KEYS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


class StoreContract:
    """The exam; a subclass gives the fixture `store`: an empty bucket of one service."""

    def test_whatever_is_put_comes_back_under_the_same_key(self, store):
        @ROUND_TRIPS
        @given(key=KEYS, content=st.binary(max_size=2000))
        @example(key="sp ace+%25?#&=é/ü😀", content=b"")
        @example(key="carrier=AA/month=2013-01/part 0.parquet", content=b"\x00\xff")
        @example(key="%2F/*/'q\"/<>&/~", content=b"1")
        def round_trip(key, content):
            under = f"{uuid.uuid4().hex}/{key}"
            assert store.put_bytes(under, content) == f"s3://{store.bucket}/{under}"
            assert store.get_bytes(under) == content
            assert store.get_bytes(f"s3://{store.bucket}/{under}") == content
            assert [entry.key for entry in store.list_objects(under)] == [under]
            assert store.describe(under).size_bytes == len(content)
            store.delete(under)
            assert not store.exists(under)

        round_trip()

    def test_a_second_put_replaces_the_first_and_changes_the_etag(self, store):
        store.put_bytes("table.parquet", b"old")
        before = store.etag("table.parquet")
        store.put_bytes("table.parquet", b"new")
        assert store.get_bytes("table.parquet") == b"new"
        assert store.etag("table.parquet") != before
        assert len(store.list_objects()) == 1

    def test_the_etag_of_one_put_is_its_md5(self, store):
        store.put_bytes("x", b"content")
        assert store.etag("x") == hashlib.md5(b"content").hexdigest()

    def test_the_time_of_an_object_is_utc(self, store):
        store.put_bytes("x", b"")
        assert store.describe("x").modified_at.utcoffset().total_seconds() == 0
        assert store.list_objects()[0].modified_at.utcoffset().total_seconds() == 0

    def test_a_large_file_makes_the_round_trip(self, store, tmp_path):
        source, copy = tmp_path / "source", tmp_path / "deep" / "copy"
        source.write_bytes(hashlib.shake_128(b"seed").digest(LARGE_BYTES))
        store.put_file("large", source)
        assert store.get_file("large", copy) == copy
        assert copy.read_bytes() == source.read_bytes()
        assert store.describe("large").size_bytes == LARGE_BYTES
        assert [path.name for path in copy.parent.iterdir()] == ["copy"]

    def test_a_list_holds_more_than_one_page(self, store):
        # A service answers at most 1,000 keys at once; two show the same with fewer requests.
        events = store._client.meta.events
        events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: params | {"MaxKeys": 2})
        keys = [f"page/{number}" for number in range(5)]
        for key in keys:
            store.put_bytes(key, b"")
        assert [entry.key for entry in store.list_objects("page/")] == keys

    def test_a_key_and_a_key_below_it_are_two_objects(self, store):
        store.put_bytes("a", b"file")
        store.put_bytes("a/b", b"below")
        assert (store.get_bytes("a"), store.get_bytes("a/b")) == (b"file", b"below")
        store.delete("a/b")
        assert store.get_bytes("a") == b"file"

    def test_a_folder_makes_the_round_trip(self, store, tmp_path):
        source = tmp_path / "source"
        (source / "sub").mkdir(parents=True)
        (source / "a.json").write_text("a")
        (source / "sub" / "b.json").write_text("b")
        uris = store.upload_directory(source, "runs/1/")
        assert uris == [store.uri("runs/1/a.json"), store.uri("runs/1/sub/b.json")]
        store.put_bytes("runs/10/other", b"not mine")
        copy = tmp_path / "copy"
        assert store.download_directory(store.uri("runs/1"), copy) == [copy / "a.json", copy / "sub" / "b.json"]
        assert (copy / "sub" / "b.json").read_text() == "b"

    def test_a_missing_object_is_named_with_what_to_do(self, store, tmp_path):
        words = (
            f"s3://{store.bucket}/no/such: the object must exist, but nothing is stored there at "
            f"{store.endpoint.url}. Run the step that writes it."
        )
        for read in (store.get_bytes, store.describe, lambda key: store.get_file(key, tmp_path / "copy")):
            with pytest.raises(ObjectMissingError, match=re.escape(words)):
                read("no/such")
        assert list(tmp_path.iterdir()) == []

    def test_a_missing_folder_is_named(self, store, tmp_path):
        with pytest.raises(ObjectMissingError, match=re.escape(f"s3://{store.bucket}/no/: the object must exist")):
            store.download_directory("no", tmp_path)

    def test_deleting_nothing_is_no_error(self, store):
        store.delete("no/such")
        assert not store.exists("no/such")

    def test_a_missing_bucket_is_named_with_what_to_do(self, store):
        lost = ObjectStore(store.endpoint, "never-made")
        words = f"the bucket must exist, but there is no 'never-made' at {store.endpoint.url}. Create it, or correct"
        for read in (lost.get_bytes, lost.exists, lost.list_objects):
            with pytest.raises(StoreRequestError, match=re.escape(words)):
                read("key")

    def test_a_bucket_may_be_ensured_twice(self, store):
        store.put_bytes("x", b"kept")
        store.ensure_bucket()
        assert store.get_bytes("x") == b"kept"

    def test_a_uri_of_another_bucket_is_refused(self, store):
        words = f"s3://elsewhere/x: the bucket must be '{store.bucket}', but got 'elsewhere'."
        with pytest.raises(DataError, match=re.escape(words)):
            store.get_bytes("s3://elsewhere/x")


class TestSeaweedFS(StoreContract):
    """The embedded server; its buckets come from `tests/conftest.py`."""

    @pytest.mark.parametrize("verb", ["get_bytes", "exists", "list_objects"])
    def test_wrong_credentials_are_refused(self, store, verb):
        stranger = S3Endpoint(store.endpoint.url, "nobody", "nothing")
        words = f"{store.endpoint.url} must accept the credentials, but got "
        with pytest.raises(StoreAccessError, match=re.escape(words)):
            getattr(ObjectStore(stranger, store.bucket), verb)("x")


@pytest.fixture(scope="module")
def moto_url():
    """A moto server for the tests of this file."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


class TestMoto(StoreContract):
    """A second implementation of S3, behind a real socket; it checks no signatures."""

    @pytest.fixture
    def store(self, moto_url):
        """An empty bucket."""
        store = ObjectStore(S3Endpoint(moto_url, "any", "any"), f"test-{uuid.uuid4().hex}")
        store.ensure_bucket()
        return store
