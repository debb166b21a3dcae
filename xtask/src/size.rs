//! The gate on the size of the background's WebAssembly, which the browser reads at every start of it.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

/// How large it is to be at most, in bytes, optimised and gzipped at level 9: 700 KB, of 1000 bytes each.
pub(crate) const TARGET: u64 = 700 * 1000;
/// How large it may be today, measured as [`TARGET`]: it must not grow on its way down to that.
pub(crate) const LIMIT: u64 = 880 * 1000;

/// The size of a module, in bytes.
pub(crate) struct Size {
    pub(crate) plain: u64,
    pub(crate) gzipped: u64,
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes, {} gzipped (at most {LIMIT})", self.plain, self.gzipped)
    }
}

/// Measures a module.
pub(crate) fn measure(module: &Path) -> Result<Size> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(9));
    encoder.write_all(&bytes)?;
    Ok(Size { plain: u64::try_from(bytes.len())?, gzipped: u64::try_from(encoder.finish()?.len())? })
}

/// Measures a module; an error if it is larger than it may be.
pub(crate) fn check(module: &Path) -> Result<Size> {
    let size = measure(module)?;
    if size.gzipped > LIMIT {
        bail!("{} is too large: {size}", module.display());
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
        let module = dir.path().join("module.wasm");
        fs::write(&module, noise(LIMIT - 1000)).unwrap();
        assert!(check(&module).unwrap().gzipped <= LIMIT);
        fs::write(&module, noise(LIMIT + 32)).unwrap();
        check(&module).err().unwrap();
    }
}
