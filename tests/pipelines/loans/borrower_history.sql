SELECT
    borrower,
    settled_on AS event_timestamp,
    settled_on AS created_timestamp,
    CAST(count(*) OVER past AS DOUBLE) AS past_loans,
    CAST(sum(CAST(went_bad AS INT)) OVER past AS DOUBLE) AS past_defaults
FROM applications
WINDOW past AS (PARTITION BY borrower ORDER BY settled_on, application_no ROWS UNBOUNDED PRECEDING)
QUALIFY row_number() OVER (PARTITION BY borrower, settled_on ORDER BY application_no DESC) = 1
