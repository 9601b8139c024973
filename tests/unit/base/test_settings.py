import re
from pathlib import Path

import pytest

from components.base.errors import SettingsError
from components.base.settings import S3Endpoint, load_settings

OTHER_S3 = {
    "TIDEMILL_S3_ENDPOINT": "http://127.0.0.1:9000",
    "TIDEMILL_S3_ACCESS_KEY": "reader",
    "TIDEMILL_S3_SECRET_KEY": "hunter2",
}


def test_defaults_live_under_an_absolute_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load_settings({"PATH": "/bin"})
    home = tmp_path / ".tidemill"
    assert settings.home == home
    assert settings.bucket == "tidemill"
    assert settings.s3 is None
    assert settings.mlflow_uri == f"sqlite:///{home}/mlflow.db"
    assert settings.registry == f"{home}/feast/registry.db"
    assert settings.online_store == f"{home}/feast/online.db"
    assert not home.exists()


def test_relative_places_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load_settings(
        {
            "TIDEMILL_HOME": "state",
            "TIDEMILL_MLFLOW_URI": "sqlite:///runs.db",
            "TIDEMILL_REGISTRY": "registry.db",
            "TIDEMILL_ONLINE_STORE": "~/online.db",
        }
    )
    assert settings.home == tmp_path / "state"
    assert settings.mlflow_uri == f"sqlite:///{tmp_path}/runs.db"
    assert settings.registry == f"{tmp_path}/registry.db"
    assert settings.online_store == f"{Path.home()}/online.db"


@pytest.mark.parametrize("uri", ["http://mlflow:5000", "postgresql+psycopg2://db/mlflow"])
def test_urls_are_kept_as_given(uri):
    settings = load_settings({"TIDEMILL_MLFLOW_URI": uri, "TIDEMILL_REGISTRY": "postgresql://db/feast"})
    assert (settings.mlflow_uri, settings.registry) == (uri, "postgresql://db/feast")


def test_an_empty_variable_counts_as_unset():
    assert load_settings({"TIDEMILL_BUCKET": "", "TIDEMILL_S3_ENDPOINT": ""}).s3 is None


def test_another_s3_service_is_taken_from_the_environment():
    s3 = load_settings(OTHER_S3 | {"TIDEMILL_S3_ENDPOINT": "https://s3.example:9000/"}).s3
    assert s3 == S3Endpoint("https://s3.example:9000", "reader", "hunter2", "us-east-1")


def test_the_secret_key_is_never_shown():
    assert "hunter2" not in repr(load_settings(OTHER_S3))


def test_an_unknown_variable_is_refused_with_the_nearest_name():
    words = "TIDEMILL_BUCKT must be one of the known variables, but it is not. Did you mean 'TIDEMILL_BUCKET'?"
    with pytest.raises(SettingsError, match=re.escape(f"settings: {words}")):
        load_settings({"TIDEMILL_BUCKT": "x"})


def test_what_kubernetes_tells_a_pod_of_its_services_is_no_setting():
    """For a Service `tidemill-mlflow`, as a pod saw it."""
    links = {
        "TIDEMILL_MLFLOW_SERVICE_HOST": "10.0.0.7",
        "TIDEMILL_MLFLOW_SERVICE_PORT": "5000",
        "TIDEMILL_MLFLOW_SERVICE_PORT_HTTP": "5000",
        "TIDEMILL_MLFLOW_PORT": "tcp://10.0.0.7:5000",
        "TIDEMILL_MLFLOW_PORT_5000_TCP": "tcp://10.0.0.7:5000",
        "TIDEMILL_MLFLOW_PORT_5000_TCP_PROTO": "tcp",
        "TIDEMILL_MLFLOW_PORT_5000_TCP_PORT": "5000",
        "TIDEMILL_MLFLOW_PORT_5000_TCP_ADDR": "10.0.0.7",
    }
    assert load_settings(links) == load_settings({})
    with pytest.raises(SettingsError, match="TIDEMILL_MLFLOW_PORT must be one of the known variables"):
        load_settings({"TIDEMILL_MLFLOW_PORT": "5000"})


def test_all_faults_are_told_at_once():
    with pytest.raises(SettingsError) as refusal:
        load_settings(
            {
                "TIDEMILL_BUKET": "x",
                "TIDEMILL_BUCKET": "Not_A_Bucket",
                "TIDEMILL_HOME": "s3://tidemill/home",
                "TIDEMILL_MLFLOW_URI": "mlflow:5000",
                "TIDEMILL_S3_ACCESS_KEY": "reader",
            }
        )
    lines = str(refusal.value).splitlines()
    assert lines[0] == "settings: 6 faults."
    assert lines[3] == "  TIDEMILL_BUCKET must be 3 to 63 of a-z, 0-9 and inner hyphens, but got 'Not_A_Bucket'."
    assert lines[-1].endswith("Set it, or unset the others.")


@pytest.mark.parametrize(
    "endpoint",
    ["127.0.0.1:9000", "ftp://host", "http://", "http://host/path", "http://host:99999", "http://me@host"],
)
def test_an_endpoint_that_is_no_service_root_is_refused(endpoint):
    words = f"TIDEMILL_S3_ENDPOINT must be http(s)://host[:port] without a path, but got {endpoint!r}."
    with pytest.raises(SettingsError, match=re.escape(words)):
        load_settings(OTHER_S3 | {"TIDEMILL_S3_ENDPOINT": endpoint})


def test_a_child_reads_the_same_settings_from_its_environment(tmp_path, monkeypatch):
    settings = load_settings({"TIDEMILL_HOME": str(tmp_path), "TIDEMILL_BUCKET": "other"})
    endpoint = S3Endpoint("http://127.0.0.1:4711", "made", "here")
    child = settings.with_store(endpoint).child_environment()
    monkeypatch.chdir("/")
    assert load_settings(child) == load_settings(OTHER_S3 | child)
    assert load_settings(child).s3 == endpoint
    assert load_settings(child).home == settings.home


def test_a_child_of_settings_without_a_store_reads_them_again(tmp_path):
    settings = load_settings({"TIDEMILL_HOME": str(tmp_path), "TIDEMILL_CLOCK": "clock"})
    assert load_settings(settings.child_environment()) == settings


def test_a_child_can_reach_the_store_with_stock_clients(tmp_path):
    settings = load_settings({"TIDEMILL_HOME": str(tmp_path)})
    child = settings.with_store(S3Endpoint("http://127.0.0.1:4711", "made", "here")).child_environment()
    stock = {name: value for name, value in child.items() if not name.startswith("TIDEMILL_")}
    assert stock == {
        "AWS_ACCESS_KEY_ID": "made",
        "AWS_SECRET_ACCESS_KEY": "here",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:4711",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "MLFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:4711",
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
    }


def test_a_child_without_keys_keeps_its_own_credentials():
    child = load_settings({}).with_store(S3Endpoint("https://s3.example")).child_environment()
    assert not {"AWS_ACCESS_KEY_ID", "AWS_EC2_METADATA_DISABLED", "TIDEMILL_S3_ACCESS_KEY"} & set(child)


def test_the_prediction_log_is_on_and_spools_below_home(tmp_path):
    settings = load_settings({"TIDEMILL_HOME": str(tmp_path)})
    assert settings.prediction_log == "on"
    assert settings.prediction_log_spool == tmp_path / "spool"


def test_what_is_set_of_the_prediction_log_reaches_a_child(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {
        "TIDEMILL_PREDICTION_LOG": "off",
        "TIDEMILL_PREDICTION_LOG_SPOOL": "held",
        "TIDEMILL_PREDICTION_LOG_SEGMENT_SECONDS": "0.5",
        "TIDEMILL_PREDICTION_LOG_SEGMENT_BYTES": "1000",
        "TIDEMILL_PREDICTION_LOG_SPOOL_BYTES": "5000",
    }
    settings = load_settings(OTHER_S3 | given)
    child = settings.child_environment()
    for read in (settings, load_settings({name: value for name, value in child.items() if "LOG" in name})):
        assert read.prediction_log == "off"
        assert read.prediction_log_spool == tmp_path / "held"
        assert read.prediction_log_segment_seconds == 0.5
        assert (read.prediction_log_segment_bytes, read.prediction_log_spool_bytes) == (1000, 5000)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TIDEMILL_PREDICTION_LOG", "yes", "must be on, off or synced, but got 'yes'"),
        ("TIDEMILL_PREDICTION_LOG_SEGMENT_SECONDS", "0", "must be a number above 0, but got '0'"),
        ("TIDEMILL_PREDICTION_LOG_SEGMENT_BYTES", "1.5", "must be a whole number above 0, but got '1.5'"),
        ("TIDEMILL_PREDICTION_LOG_SPOOL_BYTES", "-1", "must be a whole number above 0, but got '-1'"),
        ("TIDEMILL_PREDICTION_LOG_SPOOL", "s3://tidemill/spool", "must be a path on this machine"),
    ],
)
def test_wrong_values_of_the_prediction_log_are_refused(name, value, words):
    with pytest.raises(SettingsError, match=re.escape(f"{name} {words}")):
        load_settings({name: value})


@pytest.mark.parametrize("url", ["redis://cache:6379", "rediss://:hunter2@cache:6380/3"])
def test_the_online_store_can_be_a_redis(url):
    settings = load_settings({"TIDEMILL_ONLINE_STORE": url})
    assert settings.online_store == url
    assert settings.child_environment()["TIDEMILL_ONLINE_STORE"] == url
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    "url", ["postgresql://me:hunter2@db/online", "redis://:hunter2@cache/0", "redis://cache:6379/a"]
)
def test_another_online_store_is_refused_without_showing_a_password(url):
    words = "TIDEMILL_ONLINE_STORE must be a path on this machine or redis[s]://host:port[/number], but got"
    with pytest.raises(SettingsError, match=re.escape(words)) as refusal:
        load_settings({"TIDEMILL_ONLINE_STORE": url})
    assert "hunter2" not in str(refusal.value)


def test_the_platform_is_this_machine_unless_it_is_named():
    cluster = OTHER_S3 | {"TIDEMILL_IMAGE": "python-tidemill:1", "TIDEMILL_PLATFORM": "kubernetes"}
    assert load_settings({}).platform == "local"
    assert load_settings(cluster).platform == "kubernetes"
    with pytest.raises(SettingsError, match="TIDEMILL_PLATFORM must be local or kubernetes, but got 'kfp'"):
        load_settings({"TIDEMILL_PLATFORM": "kfp"})


def test_a_cluster_needs_an_image_and_an_object_store():
    with pytest.raises(SettingsError) as refusal:
        load_settings({"TIDEMILL_PLATFORM": "kubernetes"})
    first, *faults = str(refusal.value).splitlines()
    assert first == "settings: 2 faults."
    for line, name in zip(faults, ("TIDEMILL_IMAGE", "TIDEMILL_S3_ENDPOINT"), strict=True):
        assert line.startswith(f"  {name} must be set when TIDEMILL_PLATFORM is kubernetes, but is not. Name ")


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        load_settings({}).bucket = "other"


def test_a_child_gets_no_secret_of_the_governor():
    settings = load_settings({"TIDEMILL_GOVERNOR_TOKEN_FILE": "/secret/token", "TIDEMILL_FEATURES": "s3://tidemill/f"})
    assert not [name for name in settings.child_environment() if "GOVERNOR" in name or "FEATURES" in name]


def _mount(folder, **variables):
    """Lay files out as Kubernetes mounts a ConfigMap: links through a folder that it swaps."""
    (folder / "..2026").mkdir(parents=True)
    (folder / "..data").symlink_to("..2026")
    for name, value in variables.items():
        (folder / "..2026" / name).write_text(value)
        (folder / name).symlink_to(Path("..data") / name)
    return folder


def test_a_pod_reads_its_settings_from_mounted_files(tmp_path):
    plain = _mount(tmp_path / "settings", TIDEMILL_BUCKET="team-a\n", TIDEMILL_S3_ENDPOINT="http://store:8333")
    secret = _mount(tmp_path / "secrets", TIDEMILL_S3_ACCESS_KEY="reader", TIDEMILL_S3_SECRET_KEY="hunter2\n")
    settings = load_settings({}, (plain, secret, tmp_path / "missing"))
    assert settings.bucket == "team-a"
    assert settings.s3 == S3Endpoint("http://store:8333", "reader", "hunter2", "us-east-1")


def test_the_environment_wins_over_a_file(tmp_path):
    plain = _mount(tmp_path / "settings", TIDEMILL_BUCKET="from-file", TIDEMILL_ENDPOINT_NAMESPACE="models")
    settings = load_settings({"TIDEMILL_BUCKET": "from-environment"}, (plain,))
    assert (settings.bucket, settings.endpoint_namespace) == ("from-environment", "models")


def test_a_wrong_or_unknown_file_is_refused_like_a_variable_without_its_secret(tmp_path):
    folder = _mount(tmp_path / "secrets", TIDEMILL_ONLINE_STORE="redis://:hunter2@nowhere", TIDEMILL_BUCKT="x")
    with pytest.raises(SettingsError) as refusal:
        load_settings({}, (folder,))
    assert "TIDEMILL_ONLINE_STORE must be a path" in str(refusal.value)
    assert f"; set in {folder}/TIDEMILL_ONLINE_STORE." in str(refusal.value)
    unknown = f"TIDEMILL_BUCKT must be one of the known variables, but it is not; set in {folder}/TIDEMILL_BUCKT."
    assert unknown in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
