-- How a route did lately, from flights whose outcome was known: one row whenever outcomes become known.
-- Counted as in carrier_delays.sql; a route has few flights a day, so the windows are longer.
WITH known AS (
    SELECT
        origin || '-' || dest AS route,
        outcome_at AS event_timestamp,
        count(*) AS flights,
        sum(CAST(late AS INT)) AS late,
        sum(least(coalesce(CAST(dep_delay AS BIGINT), 180), 180)) AS delay_minutes
    FROM flights
    GROUP BY ALL
),
so_far AS (
    SELECT
        route,
        event_timestamp,
        sum(flights) OVER past AS flights,
        sum(late) OVER past AS late,
        sum(delay_minutes) OVER past AS delay_minutes
    FROM known
    WINDOW past AS (PARTITION BY route ORDER BY event_timestamp)
),
counted AS (
    SELECT
        n.route,
        n.event_timestamp,
        n.flights - coalesce(h24.flights, 0) AS flights_24h,
        n.flights - coalesce(d14.flights, 0) AS flights_14d,
        n.late - coalesce(h24.late, 0) AS late_24h,
        n.late - coalesce(d14.late, 0) AS late_14d,
        n.delay_minutes - coalesce(d14.delay_minutes, 0) AS delay_minutes_14d
    FROM so_far AS n
    ASOF LEFT JOIN so_far AS h24
        ON n.route = h24.route AND n.event_timestamp - INTERVAL 24 HOUR >= h24.event_timestamp
    ASOF LEFT JOIN so_far AS d14
        ON n.route = d14.route AND n.event_timestamp - INTERVAL 14 DAY >= d14.event_timestamp
)
SELECT
    route,
    event_timestamp,
    event_timestamp AS created_timestamp,
    late_24h / flights_24h AS route_late_ratio_24h,
    late_14d / flights_14d AS route_late_ratio_14d,
    delay_minutes_14d / flights_14d AS route_departure_delay_14d,
    CAST(flights_14d AS DOUBLE) AS route_flights_14d
FROM counted
