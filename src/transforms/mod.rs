//! What happens on the way: the table of contents.

use crate::topology::component::TransformConfig;
use crate::topology::registry::components;

components! {
    TransformConfig:
    /// Makes one sample of those that came in an interval.
    aggregate,
    /// Leaves out records that were seen a short while ago.
    dedupe,
    /// Leaves records out.
    filter,
    /// Makes fields of what is nested.
    flatten,
    /// Keeps some fields and no others.
    keep_fields,
    /// Counts and measures what records say.
    log_to_metric,
    /// Adds what a table says about a record.
    lookup,
    /// Turns text into fields.
    parse,
    /// Hides what should not be in a log.
    redact,
    /// Makes one record of several that belong together.
    reduce,
    /// Takes fields away.
    remove,
    /// Gives fields other names.
    rename,
    /// Sends records different ways.
    route,
    /// Keeps a part of the records.
    sample,
    /// Attaches the secrets to a desired state.
    secrets,
    /// Gives fields new values.
    set,
    /// Says when a metric is where it should not be.
    threshold,
    /// Lets no more than so many records pass in a time.
    throttle,
}
