{% include "flight_delays/route_delays.sql" %}
