"""What is known of a borrower."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64

borrower = Entity(name="borrower", join_keys=["borrower"], value_type=ValueType.INT64, description="Borrower")
history = FeatureView(
    name="borrower_history",
    entities=[borrower],
    ttl=timedelta(days=200),
    schema=[
        Field(name="borrower", dtype=Int64),
        Field(name="past_loans", dtype=Float64, description="Past loans"),
        Field(name="past_defaults", dtype=Float64, description="Past defaults"),
    ],
    source=FileSource(
        name="borrower_history",
        path="borrower_history.parquet",
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    ),
)
borrowers = FeatureService(name="borrowers", features=[history])
