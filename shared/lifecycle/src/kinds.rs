//! One spelling for every closed list of the procedure.

/// Declares a closed list: an enum with its kebab-case spelling in YAML, records and messages.
macro_rules! kinds {
    ($(#[$list_doc:meta])* $list:ident { $($(#[$doc:meta])* $name:ident = $text:literal,)+ }) => {
        $(#[$list_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $list {
            $($(#[$doc])* #[serde(rename = $text)] $name,)+
        }

        impl $list {
            /// Every member, in the procedure's order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The kebab-case spelling.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }

        impl std::fmt::Display for $list {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $list {
            type Err = String;
            /// Takes `smoke_tests` for `smoke-tests` too.
            fn from_str(text: &str) -> Result<Self, String> {
                let kebab = text.replace('_', "-");
                Self::ALL.iter().copied().find(|member| member.as_str() == kebab).ok_or_else(|| {
                    format!("{text:?} is none of {}", Self::ALL.iter().map(|m| m.as_str()).collect::<Vec<_>>().join(", "))
                })
            }
        }
    };
}

pub(crate) use kinds;
