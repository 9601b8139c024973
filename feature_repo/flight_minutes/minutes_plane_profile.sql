{% include "flight_delays/plane_profile.sql" %}
