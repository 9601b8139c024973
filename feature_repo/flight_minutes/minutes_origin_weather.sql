{% include "flight_delays/origin_weather.sql" %}
