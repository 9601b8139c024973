-- What the register says of an aircraft: one row each. It holds for the aircraft's whole life, so it is known from the
-- start of time. The year of manufacture stands for the age: it cannot become stale.
SELECT
    tailnum,
    TIMESTAMPTZ '1970-01-01 00:00:00+00' AS event_timestamp,
    TIMESTAMPTZ '1970-01-01 00:00:00+00' AS created_timestamp,
    CAST(year AS DOUBLE) AS plane_year_built,
    CAST(seats AS DOUBLE) AS plane_seats,
    manufacturer AS plane_manufacturer
FROM planes
