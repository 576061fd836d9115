//! What happens on the way: the table of contents.
