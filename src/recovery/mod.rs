//! Placeholder until the module lands.

/// The 32 random bytes that open a user's secret storage.
pub struct RecoveryKey(crate::secret::SecretBytes<32>);
impl std::fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<recovery key>")
    }
}
/// The recovery key wrapped by the vault's wrapping key.
#[derive(Debug, Clone)]
pub struct WrappedRecoveryKey;
/// The AES and MAC keys for one secret.
pub struct DerivedKeys;
