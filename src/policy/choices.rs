//! The fields of a policy that are one of few words.

use serde::{Deserialize, Serialize};

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[cfg_attr(test, derive(Hash))]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        #[cfg(test)]
        impl $name {
            pub(super) const ALL: &[Self] = &[$(Self::$variant),*];
        }
    };
}

choice!(
    /// What to do where there is no certificate that may be used.
    #[derive(Default)]
    OnMissing {
        /// Set nothing up, try again later.
        #[default]
        Wait,
        /// Seal to the escrow certificates alone.
        Escrow,
        /// Show the recovery key once.
        Show,
    }
);

choice!(
    /// Does the wrapping key stay after a logout?
    RetainAfterLogout {
        /// It goes at once.
        Never,
        /// It stays for `retain_hours`.
        Hours,
        /// It stays.
        Always,
    }
);

choice!(
    /// What happens when a known identity changes.
    #[derive(Default)]
    OnChange {
        /// No room keys until the change is accepted.
        #[default]
        Hold,
        /// Only say so.
        Warn,
    }
);

choice!(
    /// What happens to devices that their owner did not sign.
    #[derive(Default)]
    UnsignedDevices {
        /// No room keys for them.
        #[default]
        Hold,
        /// Only say so.
        Warn,
        /// Nothing.
        Allow,
    }
);

choice!(
    /// What happens when an identity is seen for the first time.
    #[derive(Default)]
    FirstContact {
        /// Pinned without a word.
        Silent,
        /// Pinned; said where a newcomer would receive keys of a room in use.
        #[default]
        Notice,
        /// Pinned where the roster has the person, and, if it names the identity, that one; else no room keys until the
        /// identity is accepted.
        Roster,
    }
);

choice!(
    /// How strictly the page's code is checked.
    #[derive(Default)]
    IntegrityMode {
        /// Not at all.
        #[default]
        Off,
        /// Compared; nothing is blocked.
        Report,
        /// Nothing else runs.
        Enforce,
    }
);

choice!(
    /// A kind of file that may differ from the release manifest.
    PassiveKind {
        /// Fonts.
        Font,
        /// Images.
        Image,
        /// Sound and video.
        Media,
        /// Style sheets.
        Style,
        /// Translations.
        Translation,
    }
);

choice!(
    /// May the person open a refused page all the same?
    #[derive(Default)]
    Override {
        /// No.
        #[default]
        Never,
        /// Once, without keys.
        Once,
    }
);

choice!(
    /// A language of Keystead's own pages.
    Language {
        /// German.
        De,
        /// English.
        En,
        /// French.
        Fr,
    }
);

choice!(
    /// What goes into the log.
    #[derive(Default, PartialOrd, Ord)]
    LogLevel {
        /// What failed.
        Error,
        /// And what was refused.
        #[default]
        Warn,
        /// And each step.
        Info,
        /// And each effect.
        Debug,
    }
);

#[cfg(test)]
mod tests {
    use serde_json::{Value, to_value};

    use super::*;
    use crate::policy::schema;

    #[test]
    fn choices_are_those_of_the_schema() {
        macro_rules! compare {
            ($($path:literal => $name:ident,)*) => {$(
                let ours = $name::ALL.iter().map(|choice| to_value(choice).unwrap()).collect::<Value>();
                assert_eq!(schema().pointer($path), Some(&ours), $path);
            )*};
        }
        compare! {
            "/properties/directory/properties/on_missing/enum" => OnMissing,
            "/properties/restore/properties/retain_after_logout/enum" => RetainAfterLogout,
            "/properties/pins/properties/on_change/enum" => OnChange,
            "/properties/pins/properties/unsigned_devices/enum" => UnsignedDevices,
            "/properties/pins/properties/first_contact/enum" => FirstContact,
            "/properties/integrity/properties/mode/enum" => IntegrityMode,
            "/properties/integrity/properties/passive/items/enum" => PassiveKind,
            "/properties/integrity/properties/override/enum" => Override,
            "/properties/language/enum" => Language,
            "/properties/log_level/enum" => LogLevel,
        }
    }
}
