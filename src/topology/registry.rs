//! The registry: one macro that makes a folder's list of components into all that config, schema
//! and docs need of them. The word in the list is the file's name, the `type:` in a config, and
//! the page in the reference.

/// Declares the components of a folder, one module each, with a `Config` that implements the
/// folder's config trait.
macro_rules! components {
    ($trait:ident: $($(#[$doc:meta])* $module:ident),* $(,)?) => {
        $($(#[$doc])* pub mod $module;)*

        /// The components' names, which are their `type:`.
        pub const NAMES: &[&str] = &[$(stringify!($module)),*];

        /// Reads the config of the component `type_name`; `None` where there is no such one.
        pub fn read(
            type_name: &str,
            node: &$crate::event::tree::Node,
        ) -> Option<Result<std::sync::Arc<dyn $trait>, Vec<$crate::event::fault::Diagnostic>>> {
            match type_name {
                $(stringify!($module) => Some(
                    $crate::event::de::from_node::<$module::Config>(
                        node,
                        concat!("`", stringify!($module), "`"),
                    )
                    .map(|config| std::sync::Arc::new(config) as std::sync::Arc<dyn $trait>),
                ),)*
                _ => None,
            }
        }

        /// The JSON Schema of the component's config; `None` where there is no such one.
        pub fn schema(
            type_name: &str,
            generator: &mut schemars::SchemaGenerator,
        ) -> Option<schemars::Schema> {
            match type_name {
                $(stringify!($module) => Some(
                    <$module::Config as schemars::JsonSchema>::json_schema(generator),
                ),)*
                _ => None,
            }
        }
    };
}

pub(crate) use components;
