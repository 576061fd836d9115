//! The one HTTP client, TLS set-up and listeners.

pub mod auth;
pub mod endpoint;
pub mod endpoints;
pub mod fetch;
pub mod git;
pub mod http;
pub mod link;
pub mod listen;
pub mod parts;
pub mod query;
pub mod s3;
pub mod tls;
pub mod urls;
