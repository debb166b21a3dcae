//! Why GnuPG did not do what it was asked.

use crate::{
    effect::NativeError,
    error::{Code, Coded},
};

/// Why GnuPG did not do what it was asked. What a person can do by hand instead, they still can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GnupgError {
    /// The browser knows no host, or it is not for this extension.
    #[error("GnuPG is not connected with this browser")]
    NoHost,
    /// The extension may not use native messaging.
    #[error("native messaging is not permitted")]
    NoPermission,
    /// The host ended before it had answered.
    #[error("GnuPG ended before it had answered")]
    Died,
    /// No answer in time.
    #[error("GnuPG did not answer in time")]
    Timeout,
    /// More than [`super::MAX_REPLY`].
    #[error("GnuPG's answer is too large")]
    TooLarge,
    /// Something that is not of the protocol.
    #[error("GnuPG's answer is not understood")]
    Answer,
    /// The person did not enter the PIN or passphrase.
    #[error("the PIN was not entered")]
    Cancelled,
    /// The PIN or passphrase was wrong, or the card is locked.
    #[error("the PIN was wrong")]
    Pin,
    /// There are secret keys, but not the one that is needed.
    #[error("none of the secret keys is the one that is needed")]
    WrongKey,
    /// There is no secret key at all.
    #[error("there is no secret key")]
    NoSecretKey,
    /// The message is damaged, or not encrypted to a certificate; which of them, it does not say.
    #[error("the message cannot be opened")]
    Message,
    /// The agent does not run, or cannot ask for the PIN.
    #[error("GnuPG's agent does not work")]
    Agent,
    /// The smartcard is missing or does not answer.
    #[error("the smartcard does not answer")]
    Card,
    /// The secret key is there and cannot sign.
    #[error("the secret key cannot sign")]
    UnusableKey,
    /// The host finds no GnuPG, or one that is too old.
    #[error("there is no GnuPG")]
    NoGnupg,
    /// Another error of GnuPG; its number, as libgpg-error counts them.
    #[error("GnuPG failed with error {0}")]
    Other(u16),
}

impl Coded for GnupgError {
    fn code(&self) -> Code {
        match self {
            Self::NoHost => Code::GpgNoHost,
            Self::NoPermission => Code::GpgPermission,
            Self::Died => Code::GpgDied,
            Self::Timeout => Code::GpgTimeout,
            Self::TooLarge => Code::GpgTooLarge,
            Self::Answer => Code::GpgAnswer,
            Self::Cancelled => Code::GpgCancelled,
            Self::Pin => Code::GpgPin,
            Self::WrongKey => Code::GpgWrongKey,
            Self::NoSecretKey => Code::GpgNoSecretKey,
            Self::Message => Code::GpgMessage,
            Self::Agent => Code::GpgAgent,
            Self::Card => Code::GpgCard,
            Self::UnusableKey => Code::GpgUnusableKey,
            Self::NoGnupg => Code::GpgNoGnupg,
            Self::Other(_) => Code::GpgFailed,
        }
    }
}

impl From<NativeError> for GnupgError {
    fn from(error: NativeError) -> Self {
        match error {
            NativeError::Missing => Self::NoHost,
            NativeError::NoPermission => Self::NoPermission,
            NativeError::Died => Self::Died,
            NativeError::Timeout => Self::Timeout,
            NativeError::TooLarge => Self::TooLarge,
        }
    }
}

impl GnupgError {
    /// What an error value of GnuPG means here. Its lower 16 bits are the error, the upper ones say which of GnuPG's
    /// programs reports it. The numbers never change (libgpg-error, `err-codes.h`).
    pub(super) fn of_value(value: u32) -> Self {
        // Cannot fail: 16 bits.
        let error = u16::try_from(value & 0xffff).unwrap_or(u16::MAX);
        match error {
            // No error number: the host did not understand us.
            0 => Self::Answer,
            // CANCELED, NOT_CONFIRMED, FULLY_CANCELED, ASS_CANCELED; NO_PASSPHRASE, NO_PIN.
            99 | 114 | 198 | 277 | 177 | 178 => Self::Cancelled,
            // BAD_PASSPHRASE, INV_PASSPHRASE, BAD_PIN, PIN_BLOCKED.
            11 | 31 | 87 | 130 => Self::Pin,
            // NO_SECKEY, WRONG_SECKEY.
            17 | 18 => Self::NoSecretKey,
            // UNUSABLE_SECKEY, WRONG_KEY_USAGE, KEY_EXPIRED, CERT_REVOKED, SUBKEYS_EXP_OR_REV, KEY_DISABLED.
            54 | 125 | 153 | 94 | 217 | 252 => Self::UnusableKey,
            // UNKNOWN_PACKET, CHECKSUM, INV_PACKET, INV_ARMOR, NOT_ENCRYPTED, NO_DATA, BAD_DATA, DECRYPT_FAILED.
            2 | 10 | 14 | 15 | 51 | 58 | 89 | 152 => Self::Message,
            // TIMEOUT: of the window that asks for the PIN.
            62 => Self::Timeout,
            // NO_AGENT, AGENT, NO_PIN_ENTRY, PIN_ENTRY, ASS_CONNECT_FAILED, ASS_SERVER_START, EOF.
            77 | 78 | 85 | 86 | 259 | 269 | 16383 => Self::Agent,
            // WRONG_CARD, CARD, CARD_RESET, CARD_REMOVED, INV_CARD, CARD_NOT_PRESENT, NO_SCDAEMON, SCDAEMON.
            91 | 108..=112 | 119 | 120 => Self::Card,
            // INV_ENGINE, NO_ENGINE, ENGINE_TOO_OLD.
            150 | 180 | 300 => Self::NoGnupg,
            // TOO_LARGE.
            67 => Self::TooLarge,
            other => Self::Other(other),
        }
    }
}
