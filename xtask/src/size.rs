//! The gate on the size of the background's WebAssembly, which the browser reads at every start of it.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

/// How large it may be, in bytes, optimised and gzipped at level 9: 700 KB, of 1000 bytes each.
pub(crate) const TARGET: u64 = 700 * 1000;
/// How large the part may be that is loaded when it is first needed, measured as [`TARGET`].
const LATER: u64 = 460 * 1000;

/// The size of a module, in bytes.
pub(crate) struct Size {
    pub(crate) plain: u64,
    pub(crate) gzipped: u64,
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes, {} gzipped", self.plain, self.gzipped)
    }
}

/// Measures a module.
pub(crate) fn measure(module: &Path) -> Result<Size> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(9));
    encoder.write_all(&bytes)?;
    Ok(Size { plain: u64::try_from(bytes.len())?, gzipped: u64::try_from(encoder.finish()?.len())? })
}

/// Measures the background's module, and the part that is loaded later; an error if one is larger than it may be.
pub(crate) fn check(first: &Path, later: &Path) -> Result<[Size; 2]> {
    Ok([at_most(first, TARGET)?, at_most(later, LATER)?])
}

fn at_most(module: &Path, limit: u64) -> Result<Size> {
    let size = measure(module)?;
    if size.gzipped > limit {
        bail!("{} is too large: {size}, and at most {limit} are allowed", module.display());
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn what_is_just_too_large_is_refused() {
        // Hashes cannot be compressed.
        let noise = |length: u64| -> Vec<u8> {
            (0..length / 32).flat_map(|block| Sha256::digest(block.to_le_bytes())).collect()
        };
        let dir = tempfile::tempdir().unwrap();
        let [small, first, later] = ["small", "first", "later"].map(|name| dir.path().join(name));
        fs::write(&small, noise(1000)).unwrap();
        for (large, limit) in [(&first, TARGET), (&later, LATER)] {
            let check = |large| if limit == TARGET { check(large, &small) } else { check(&small, large) };
            fs::write(large, noise(limit - 1000)).unwrap();
            assert!(check(large).unwrap().iter().all(|size| size.gzipped <= limit));
            fs::write(large, noise(limit + 32)).unwrap();
            check(large).err().unwrap();
        }
    }
}
