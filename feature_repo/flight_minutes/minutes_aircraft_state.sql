{% include "flight_delays/aircraft_state.sql" %}
