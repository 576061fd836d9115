//! The one HTTP client, TLS set-up and listeners.

pub mod http;
pub mod query;
