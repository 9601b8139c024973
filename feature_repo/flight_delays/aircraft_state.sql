-- What was last known of an aircraft: one row each time the outcome of one of its departures from New York is known.
-- Its legs elsewhere are not in the data. `aircraft_ready_hour` is the local hour at which it could leave New York again:
-- the outcome's time, an hour on the ground and the flight back as long as the flight out.
WITH flown AS (
    SELECT tailnum, outcome_at AS event_timestamp, dep_delay, arr_delay, air_time, late
    FROM flights
    WHERE tailnum IS NOT NULL
    -- Two departures with the same outcome time are a fault of the records: the later one counts.
    QUALIFY row_number() OVER (
        PARTITION BY tailnum, outcome_at ORDER BY scheduled_at DESC, carrier, flight, origin, dest
    ) = 1
),
so_far AS (
    SELECT
        *,
        count(*) OVER past AS flights,
        sum(CAST(late AS INT)) OVER past AS late_flights,
        timezone(
            'America/New_York', event_timestamp + to_minutes(60 + CAST(coalesce(air_time, 0) AS BIGINT))
        ) AS ready_at
    FROM flown
    WINDOW past AS (PARTITION BY tailnum ORDER BY event_timestamp)
)
SELECT
    n.tailnum,
    n.event_timestamp,
    n.event_timestamp AS created_timestamp,
    n.dep_delay AS aircraft_last_departure_delay,
    n.arr_delay AS aircraft_last_arrival_delay,
    hour(n.ready_at) + minute(n.ready_at) / 60 AS aircraft_ready_hour,
    CAST(n.flights - coalesce(h24.flights, 0) AS DOUBLE) AS aircraft_flights_24h,
    (n.late_flights - coalesce(d28.late_flights, 0)) / (n.flights - coalesce(d28.flights, 0)) AS aircraft_late_ratio_28d
FROM so_far AS n
ASOF LEFT JOIN so_far AS h24
    ON n.tailnum = h24.tailnum AND n.event_timestamp - INTERVAL 24 HOUR >= h24.event_timestamp
ASOF LEFT JOIN so_far AS d28
    ON n.tailnum = d28.tailnum AND n.event_timestamp - INTERVAL 28 DAY >= d28.event_timestamp
