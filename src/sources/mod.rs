//! Where a topology begins: the table of contents.
