"""The settings of a process: read once from the environment, checked whole, then passed as data."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PREFIX = "GNES_"
STATE_FILE = "state.json"  # written by `gnes up` in its data folder, readable by its owner alone
REPOSITORY = Path(__file__).resolve().parent.parent
_VALKEY = re.compile(r"^valkey(s?)://")


class Limits(BaseModel):
    """What one request may ask for; each error names the limit it met."""

    max_body_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="bytes of one request body")
    max_upload_bytes: int = Field(
        4 << 30, ge=1024, description="bytes of one uploaded content, or of a form with files"
    )
    max_batch: int = Field(10_000, ge=1, description="documents in one write")
    max_text_chars: int = Field(1_000_000, ge=1, description="characters of one document's text")
    max_query_chars: int = Field(20_000, ge=1, description="characters of one query's text")
    max_limit: int = Field(1_000, ge=1, description="limit + offset of one search")
    max_id_chars: int = Field(512, ge=1, description="characters of a document id")
    max_tags_bytes: int = Field(64 * 1024, ge=1, description="bytes of one document's tags as JSON")
    max_filter_depth: int = Field(8, ge=1, description="nesting of a filter")
    max_timeout_s: float = Field(600.0, gt=0, description="seconds a request may wait")
    max_pending_queries: int = Field(
        1_024, ge=1, description="queries one API process holds before it answers 503"
    )


class Fetch(BaseModel):
    """What bringing one medium from the web may cost, and where it may go."""

    max_bytes: int = Field(256 * 1024 * 1024, ge=1, description="bytes of one medium")
    timeout_s: float = Field(30.0, gt=0, description="seconds for one medium, redirects included")
    max_redirects: int = Field(5, ge=0)
    allowed_networks: tuple[str, ...] = Field(
        (), description="private networks that media may come from, such as 10.1.0.0/16"
    )

    @field_validator("allowed_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse at the start what is no network."""
        for network in value:
            ip_network(network)
        return value


class Settings(BaseSettings):
    """Everything that a process is told from outside; ``GNES_`` + name, ``__`` for nesting.

    Any value can come from a file instead: ``GNES_API_KEY_FILE=/run/secrets/key``.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore", populate_by_name=True
    )

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    data_dir: Path = Path(".gnes")
    flow: Path = REPOSITORY / "flows" / "text.yml"
    broker_url: str = "redis://127.0.0.1:6379/0"
    result_backend: str = ""
    database_url: str = ""
    blob_url: str = ""
    api_processes: int = Field(1, ge=1, description="API processes that share the in-flight budget")
    api_key: SecretStr | None = None
    read_only_api_key: SecretStr | None = None
    cors_origins: Annotated[list[str], NoDecode] = []
    log_format: str = Field("text", pattern="^(text|json)$")
    search_timeout_s: float = Field(10.0, gt=0, description="deadline of a search without its own")
    visibility_timeout_s: int = Field(
        6, ge=2, description="seconds after which a dead worker's message is delivered again"
    )
    presence_interval_s: float = Field(0.5, gt=0, description="seconds between heartbeats")
    window_documents: int = Field(
        2_048, ge=1, description="documents under way between ledger and log at one time"
    )
    document_batch: int = Field(64, ge=1, description="documents in one message")
    lease_s: float = Field(60.0, gt=0, description="seconds until a lost document is sent again")
    build_rows: int = Field(20_000, ge=1, description="fresh chunks that make a segment worthwhile")
    most_fresh_rows: int = Field(
        200_000,
        ge=1,
        description="fresh chunks of a shard from which on a collection is yellow; twice as many"
        " refuse writes",
    )
    retired_grace_s: float = Field(
        300.0, gt=0, description="seconds until the files of a replaced segment are deleted"
    )
    log_keep_seqs: int = Field(
        10_000, ge=0, description="newest log rows whose deletes are kept for readers that lag"
    )
    upkeep_interval_s: float = Field(
        60.0, gt=0, description="seconds between rounds that give unneeded space back"
    )
    cache_bytes: int = Field(
        1 << 30, ge=0, description="bytes of the embedding cache; 0 turns it off"
    )
    metrics_dir: Path | None = Field(
        None,
        validation_alias=AliasChoices("PROMETHEUS_MULTIPROC_DIR"),
        description="where the processes of one machine share what they count",
    )
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="where a worker of its own machine tells what it counts"
    )
    otel_endpoint: str | None = Field(
        None,
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="where the API sends spans, by OTLP over HTTP, such as http://127.0.0.1:4318",
    )
    limits: Limits = Limits()
    fetch: Fetch = Fetch()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then ``*_FILE``."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, _FileSource(settings_cls)

    @field_validator("broker_url", "result_backend")
    @classmethod
    def _by_its_older_name(cls, url: str) -> str:
        """Return a Valkey's URL as a Redis's: one protocol, and libraries know that name of it."""
        return _VALKEY.sub(r"redis\1://", url)

    @field_validator("otel_endpoint")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        """Refuse at the start what spans cannot be sent to."""
        try:
            parts = urlsplit(url or "http://nobody")
            is_address = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address:
            raise ValueError("wants an http:// or https:// address, such as http://127.0.0.1:4318")
        return url or None

    def model_post_init(self, _context: Any) -> None:
        """Derive what follows from the data folder and the broker."""
        self.data_dir = self.data_dir.expanduser().absolute()
        if not self.database_url:
            self.database_url = f"sqlite:///{self.data_dir / 'gnes.db'}"
        if not self.blob_url:
            self.blob_url = f"file://{self.data_dir / 'blobs'}"
        if not self.result_backend and self.broker_url.startswith("redis"):
            self.result_backend = self.broker_url


class _FileSource(EnvSettingsSource):
    """``GNES_X_FILE=/path``: the value of ``GNES_X`` is the content of that file."""

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name in self.settings_cls.model_fields:
            path = os.environ.get(f"{PREFIX}{name.upper()}_FILE")
            if path:
                values[name] = Path(path).read_text(encoding="utf-8").strip()
        return values


def variable_of(name: str) -> str:
    """Return the environment variable of a setting, ``__`` in the names of nested ones."""
    field = Settings.model_fields.get(name)
    if field is not None and isinstance(field.validation_alias, AliasChoices):
        return str(field.validation_alias.choices[0])  # a name that others gave it
    return f"{PREFIX}{name.upper()}"


@cache
def settings() -> Settings:
    """Return this process's settings, read once.

    A process that was told no broker joins the deployment that runs in its data folder: so
    ``celery -A app worker -Q encode``, typed beside a running ``gnes up``, is one more encoder.

    Raises:
        pydantic.ValidationError: a value is malformed; it names the variable and what it expects.
    """
    given = Settings()
    if "broker_url" not in given.model_fields_set:
        given = Settings(**_joined(given))
    if given.metrics_dir is not None:  # prometheus_client looks there when it is imported
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(given.metrics_dir))
    return given


def _joined(given: Settings) -> dict[str, Any]:
    """Return broker and flow of the deployment in the data folder, where nothing else was said."""
    try:
        state = json.loads((given.data_dir / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {
        name: state[name]
        for name in ("broker_url", "flow")
        if state.get(name) and name not in given.model_fields_set
    }
