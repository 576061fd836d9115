//! Finds and reads config files and lowers them to one graph.
