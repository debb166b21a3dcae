//! A JSON string, read into a buffer that is wiped.

use zeroize::Zeroizing;

/// Reads a JSON string, quotes and all (RFC 8259, section 7), into its UTF-8 bytes. `None` where it is none, or has a
/// character written as a pair of escapes, which gpgme-json does not do.
pub(super) fn read(json: &str) -> Option<Zeroizing<Vec<u8>>> {
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    // No text is longer than its JSON, so the buffer never grows.
    let mut text = Zeroizing::new(Vec::with_capacity(inside.len()));
    let mut rest = inside.chars();
    while let Some(character) = rest.next() {
        let character = if character == '\\' { escaped(&mut rest)? } else { character };
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(text)
}

fn escaped(rest: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match rest.next()? {
        same @ ('"' | '\\' | '/') => same,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let digits = rest.as_str().get(..4)?;
            *rest = rest.as_str().get(4..)?.chars();
            let number = u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
            char::from_u32(number)?
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_serde_reads() {
        for text in ["", "plain", "a\nb\r\tc\u{8}\u{c}", "\"\\/", "Schlüssel 🔑", "\u{1}\u{1f}\u{7f}"] {
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(read(&json).unwrap().as_slice(), text.as_bytes(), "{json}");
        }
        assert_eq!(read(r#""\/\u00e9\u000A""#).unwrap().as_slice(), "/é\n".as_bytes());
        for bad in ["", "\"", "x", "null", r#""\x""#, r#""\u12""#, r#""\u+123""#, r#""\ud83d""#, r#""\"#, r#""\u12é4""#]
        {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
