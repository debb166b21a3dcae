//! Base64 as Matrix uses it: written without padding in keys and signatures, with padding in secret storage.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Padding may be there or not; everything else is strict, so that one value has one text besides its padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(crate) fn encode_padded(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

pub(crate) fn encode_unpadded(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text).ok()
}

/// Decodes exactly `N` bytes; a wrong length is no panic and no truncation.
pub(crate) fn decode_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

/// Decodes into a buffer that the caller wipes; `false` unless it is filled exactly.
pub(crate) fn decode_secret_into(text: &str, bytes: &mut [u8]) -> bool {
    LENIENT.decode_slice(text, bytes).is_ok_and(|length| length == bytes.len())
}

/// For `#[serde(with)]`: bytes of a fixed length, written with padding.
pub(crate) mod array {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::encode_padded(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(from: D) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(from)?;
        super::decode_array(&text).ok_or_else(|| D::Error::custom(format_args!("expected {N} bytes of base64")))
    }
}

/// For `#[serde(with)]`: bytes of any length, written with padding.
pub(crate) mod bytes {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::encode_padded(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        super::decode(&text).ok_or_else(|| D::Error::custom("expected base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_optional_and_nothing_else_is() {
        assert_eq!(decode("AQI="), Some(vec![1, 2]));
        assert_eq!(decode("AQI"), Some(vec![1, 2]));
        for bad in ["AQJ", "AQ I", "A", "-_", "AQI=="] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_wrong_length_is_refused() {
        assert_eq!(decode_array::<2>("AQI"), Some([1, 2]));
        assert_eq!(decode_array::<3>("AQI"), None);
        assert_eq!(decode_array::<1>("AQI"), None);
        assert!(decode_secret_into("AQI", &mut [0; 2]));
        assert!(!decode_secret_into("AQI", &mut [0; 3]));
        assert!(!decode_secret_into("AQI", &mut [0; 1]));
    }
}
