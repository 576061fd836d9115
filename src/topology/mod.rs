//! The engine: graph, edges, runners, reload, shutdown, telemetry.
