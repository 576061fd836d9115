//! The one HTTP client, TLS set-up and listeners.

pub mod endpoint;
pub mod http;
pub mod link;
pub mod query;
