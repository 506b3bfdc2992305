-- historian 0.1.0: what CREATE EXTENSION historian runs. Public names stand in @extschema@, internals in the schema historian.
\echo Use "CREATE EXTENSION historian" to load this file. \quit

CREATE SCHEMA historian;
GRANT USAGE ON SCHEMA historian TO PUBLIC;

-- ------------------------------------------------------------------------------------------------ access methods

-- ------------------------------------------------------------------------------------------------ operation

-- ------------------------------------------------------------------------------------------------ MQTT

