-- How a carrier did lately, from flights whose outcome was known: one row whenever outcomes become known.
--
-- `so_far` counts from the start of the data; what happened in the last h hours is the count now minus the count
-- h hours ago. The counts are whole numbers, so nothing is rounded, and the cost grows with the rows only: a window
-- function over the same ranges takes ten times as long. A flight that never left counts as 180 minutes late, and
-- no delay counts as more, so that one bad flight does not hide the others.
WITH known AS (
    SELECT
        carrier,
        outcome_at AS event_timestamp,
        count(*) AS flights,
        sum(CAST(late AS INT)) AS late,
        sum(least(coalesce(CAST(dep_delay AS BIGINT), 180), 180)) AS delay_minutes,
        sum(CAST(dep_time IS NULL AS INT)) AS cancelled
    FROM flights
    GROUP BY ALL
),
so_far AS (
    SELECT
        carrier,
        event_timestamp,
        sum(flights) OVER past AS flights,
        sum(late) OVER past AS late,
        sum(delay_minutes) OVER past AS delay_minutes,
        sum(cancelled) OVER past AS cancelled
    FROM known
    WINDOW past AS (PARTITION BY carrier ORDER BY event_timestamp)
),
counted AS (
    SELECT
        n.carrier,
        n.event_timestamp,
        n.flights - coalesce(h3.flights, 0) AS flights_3h,
        n.flights - coalesce(h24.flights, 0) AS flights_24h,
        n.flights - coalesce(d7.flights, 0) AS flights_7d,
        n.late - coalesce(h3.late, 0) AS late_3h,
        n.late - coalesce(h24.late, 0) AS late_24h,
        n.late - coalesce(d7.late, 0) AS late_7d,
        n.delay_minutes - coalesce(h3.delay_minutes, 0) AS delay_minutes_3h,
        n.delay_minutes - coalesce(h24.delay_minutes, 0) AS delay_minutes_24h,
        n.cancelled - coalesce(h24.cancelled, 0) AS cancelled_24h
    FROM so_far AS n
    ASOF LEFT JOIN so_far AS h3
        ON n.carrier = h3.carrier AND n.event_timestamp - INTERVAL 3 HOUR >= h3.event_timestamp
    ASOF LEFT JOIN so_far AS h24
        ON n.carrier = h24.carrier AND n.event_timestamp - INTERVAL 24 HOUR >= h24.event_timestamp
    ASOF LEFT JOIN so_far AS d7
        ON n.carrier = d7.carrier AND n.event_timestamp - INTERVAL 7 DAY >= d7.event_timestamp
)
SELECT
    carrier,
    event_timestamp,
    event_timestamp AS created_timestamp,
    late_3h / flights_3h AS carrier_late_ratio_3h,
    late_24h / flights_24h AS carrier_late_ratio_24h,
    late_7d / flights_7d AS carrier_late_ratio_7d,
    delay_minutes_3h / flights_3h AS carrier_departure_delay_3h,
    delay_minutes_24h / flights_24h AS carrier_departure_delay_24h,
    cancelled_24h / flights_24h AS carrier_cancelled_ratio_24h,
    CAST(flights_24h AS DOUBLE) AS carrier_flights_24h
FROM counted
