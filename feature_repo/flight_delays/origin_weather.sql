-- Weather at an airport of departure: one row an observation, known when it is published.
-- Precipitation, visibility and pressure also look back over the last six hours of the same airport.
SELECT
    origin,
    observed_at AS event_timestamp,
    observed_at AS created_timestamp,
    temp AS weather_temperature,
    temp - dewp AS weather_dew_point_spread,
    humid AS weather_humidity,
    wind_speed AS weather_wind_speed,
    -- Gusts are reported only when they differ from the wind.
    coalesce(wind_gust, wind_speed) AS weather_wind_gust,
    wind_speed * sin(radians(wind_dir)) AS weather_wind_from_east,
    wind_speed * cos(radians(wind_dir)) AS weather_wind_from_north,
    visib AS weather_visibility,
    min(visib) OVER six_hours AS weather_visibility_lowest_6h,
    precip AS weather_precipitation,
    -- In hundredths of an inch, as measured: whole numbers add up the same in any order.
    sum(CAST(round(precip * 100) AS BIGINT)) OVER six_hours / 100 AS weather_precipitation_6h,
    pressure AS weather_pressure,
    pressure - first_value(pressure) OVER six_hours AS weather_pressure_change_6h
FROM weather
WINDOW six_hours AS (
    PARTITION BY origin ORDER BY observed_at RANGE BETWEEN INTERVAL 6 HOUR PRECEDING AND CURRENT ROW
)
