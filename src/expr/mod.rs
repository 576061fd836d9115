//! Jinja: conditions, templates, filters, tests. The one expression language.
