//! Where a topology ends: the table of contents.
