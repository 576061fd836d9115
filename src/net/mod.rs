//! The one HTTP client, TLS set-up and listeners.
