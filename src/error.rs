//! Stable codes: the same in the user interface, the log, the command's output and the tests.
//!
//! A code never changes its meaning and is never used again for another. Each has a sentence for the person and what to
//! do next in every language of `static/_locales` (names: the code with `_` for `-`; `…_do` for what to do).

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What went wrong, or why nothing happens.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        // By the table: derived for each name, it took as much of the module as a flow does.
        #[serde(into = "&'static str", try_from = "String")]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

impl From<Code> for &'static str {
    fn from(code: Code) -> Self {
        code.as_str()
    }
}

/// The text is no code of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a code")]
pub struct NotACode;

impl TryFrom<String> for Code {
    type Error = NotACode;
    fn try_from(text: String) -> Result<Self, NotACode> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text).ok_or(NotACode)
    }
}

codes! {
    /// No source of the directory has a certificate for the address.
    DirNone = "KS-DIR-NONE",
    /// No source of the directory could be reached.
    DirUnreachable = "KS-DIR-UNREACHABLE",
    /// A source took longer than its time limit.
    DirTimeout = "KS-DIR-TIMEOUT",
    /// A source answered more than 1 MiB.
    DirTooLarge = "KS-DIR-TOO-LARGE",
    /// A source sent us to another host.
    DirRedirect = "KS-DIR-REDIRECT",
    /// A source answered something that is no OpenPGP certificate.
    DirNotAKey = "KS-DIR-NOT-A-KEY",
    /// The certificate has no valid user ID with the wanted address.
    DirWrongAddress = "KS-DIR-WRONG-ADDRESS",
    /// The certificate is revoked.
    DirRevoked = "KS-DIR-REVOKED",
    /// The certificate has expired.
    DirExpired = "KS-DIR-EXPIRED",
    /// The certificate has no key that may encrypt.
    DirNoEncryption = "KS-DIR-NO-ENCRYPTION",
    /// The certificate rests on algorithms that are no longer safe.
    DirWeak = "KS-DIR-WEAK",
    /// The certificate's fingerprint is not the one that was looked up.
    DirFingerprint = "KS-DIR-FINGERPRINT",
    /// Several certificates are acceptable for the address and nothing says which is meant.
    DirAmbiguous = "KS-DIR-AMBIGUOUS",
    /// None of the policy's certifiers vouches for the user ID.
    DirUncertified = "KS-DIR-UNCERTIFIED",
    /// A certifier vouched for the user ID, but too long ago.
    DirCertificationOld = "KS-DIR-CERTIFICATION-OLD",
    /// No e-mail address is known for the account.
    DirNoAddress = "KS-DIR-NO-ADDRESS",
    /// The address belongs to the account by the homeserver's word alone: a person must confirm.
    DirConfirm = "KS-DIR-CONFIRM",
    /// The account that logged in is not the one whose name was typed.
    DirOtherAccount = "KS-DIR-OTHER-ACCOUNT",
    /// Policy and roster give different addresses for the account.
    DirContradiction = "KS-DIR-CONTRADICTION",
    /// The organisation's escrow certificate is expired, revoked, or cannot be encrypted to.
    DirEscrow = "KS-DIR-ESCROW",

    /// Secret storage belongs to a key that is not the vault's.
    RecForeign = "KS-REC-FOREIGN",
    /// The person switched key storage or recovery off.
    RecDeclined = "KS-REC-DECLINED",
    /// The text is no recovery key.
    RecFormat = "KS-REC-FORMAT",
    /// The recovery key's checksum is wrong: a typing error.
    RecChecksum = "KS-REC-CHECKSUM",
    /// The key does not open this, or it was altered.
    RecMac = "KS-REC-MAC",
    /// The key description asks for more work than is allowed, or for an unknown algorithm.
    RecDescription = "KS-REC-DESCRIPTION",
    /// What was read back is not what was written.
    RecReadBack = "KS-REC-READ-BACK",
    /// An older default key came back.
    RecRollback = "KS-REC-ROLLBACK",
    /// A secret is missing from secret storage.
    RecSecretMissing = "KS-REC-SECRET-MISSING",
    /// A secret does not derive the key that is published for the account.
    RecSecretMismatch = "KS-REC-SECRET-MISMATCH",
    /// The key backup is signed neither by the account's master key nor by a device it vouches for.
    RecBackupUntrusted = "KS-REC-BACKUP-UNTRUSTED",
    /// The account's own identity does not vouch for this device.
    RecDevice = "KS-REC-DEVICE",
    /// The account's published identity is not the one this browser knows.
    RecIdentity = "KS-REC-IDENTITY",
    /// The account has no published identity yet.
    RecNoIdentity = "KS-REC-NO-IDENTITY",
    /// The sealed recovery on the server is not ours, or was altered.
    RecSealedForged = "KS-REC-SEALED-FORGED",
    /// The browser's key store failed.
    RecVault = "KS-REC-VAULT",
    /// The bridge refused to give or take a secret.
    RecBridge = "KS-REC-BRIDGE",
    /// The page did not do what it was asked.
    RecPage = "KS-REC-PAGE",
    /// This session does not have the keys that are to be secured.
    RecSession = "KS-REC-SESSION",
    /// The person has to open the sealed recovery, or to enter the recovery key.
    RecRecover = "KS-REC-RECOVER",
    /// Only the person can say whether the identity that was opened is theirs.
    RecBelieve = "KS-REC-BELIEVE",
    /// The person has to say whether it was they who reset the identity.
    RecReset = "KS-REC-RESET",
    /// Another browser of the person's has replaced the recovery key.
    RecReplaced = "KS-REC-REPLACED",
    /// The recovery key waits for the person to keep it.
    RecKeep = "KS-REC-KEEP",
    /// The vault no longer has the key that secret storage uses.
    RecVaultLost = "KS-REC-VAULT-LOST",

    /// A person's identity or device is pinned: it was seen for the first time, or is as it was.
    PinFirst = "KS-PIN-FIRST",
    /// Somebody new would receive the keys of a room in use.
    PinNewcomer = "KS-PIN-NEWCOMER",
    /// The organisation's list of people does not vouch for a person's first identity, and the policy wants it to.
    PinRoster = "KS-PIN-ROSTER",
    /// A person has another identity, which the organisation's list of people names.
    PinReset = "KS-PIN-RESET",
    /// Nobody vouches for a person's device.
    PinDevice = "KS-PIN-DEVICE",
    /// A known device of a person has other keys.
    PinDeviceKey = "KS-PIN-DEVICE-KEY",
    /// A person has another identity.
    PinIdentity = "KS-PIN-IDENTITY",
    /// A person's identity is gone.
    PinRemoved = "KS-PIN-REMOVED",
    /// A signature of a person's keys does not fit.
    PinSignature = "KS-PIN-SIGNATURE",
    /// A person's identity no longer vouches for a device.
    PinVouched = "KS-PIN-VOUCHED",
    /// What is kept of a person is older than what happened.
    PinRollback = "KS-PIN-ROLLBACK",
    /// A person's published keys cannot be understood.
    PinMalformed = "KS-PIN-MALFORMED",
    /// Something else has changed than what was decided about.
    PinChanged = "KS-PIN-CHANGED",
    /// What the client sends to devices cannot be understood.
    PinBody = "KS-PIN-BODY",
    /// What a person's browsers share of others' keys is older, altered or gone.
    PinShared = "KS-PIN-SHARED",
    /// A log of changes is not what was written.
    PinEvidence = "KS-PIN-EVIDENCE",

    /// No native messaging host for GnuPG is registered with the browser, or it is not for this extension.
    GpgNoHost = "KS-GPG-NO-HOST",
    /// The extension may not use native messaging.
    GpgPermission = "KS-GPG-PERMISSION",
    /// The native messaging host ended before it had answered.
    GpgDied = "KS-GPG-DIED",
    /// GnuPG, or the person it asks, did not answer in time.
    GpgTimeout = "KS-GPG-TIMEOUT",
    /// GnuPG's answer is larger than is allowed.
    GpgTooLarge = "KS-GPG-TOO-LARGE",
    /// The native messaging host answered something that is not of its protocol.
    GpgAnswer = "KS-GPG-ANSWER",
    /// The person did not enter the PIN or passphrase.
    GpgCancelled = "KS-GPG-CANCELLED",
    /// The PIN or passphrase was wrong, or the card is locked.
    GpgPin = "KS-GPG-PIN",
    /// GnuPG has secret keys, but not the one that is needed.
    GpgWrongKey = "KS-GPG-WRONG-KEY",
    /// GnuPG has no secret key at all.
    GpgNoSecretKey = "KS-GPG-NO-SECRET-KEY",
    /// The message is damaged, or no message encrypted to a certificate.
    GpgMessage = "KS-GPG-MESSAGE",
    /// GnuPG's agent does not run, or cannot ask for the PIN.
    GpgAgent = "KS-GPG-AGENT",
    /// The smartcard is missing or does not answer.
    GpgCard = "KS-GPG-CARD",
    /// The secret key cannot sign.
    GpgUnusableKey = "KS-GPG-UNUSABLE-KEY",
    /// There is no GnuPG that the host can run.
    GpgNoGnupg = "KS-GPG-NO-GNUPG",
    /// GnuPG failed in another way.
    GpgFailed = "KS-GPG-FAILED",

    /// The network or the server cannot be reached.
    NetUnreachable = "KS-NET-UNREACHABLE",
    /// The server answered with an error of its own.
    NetServer = "KS-NET-SERVER",
    /// The server asks to wait.
    NetLimited = "KS-NET-LIMITED",
    /// The server no longer accepts the session.
    NetToken = "KS-NET-TOKEN",
    /// The server's answer is not what the specification says.
    NetAnswer = "KS-NET-ANSWER",
    /// The server refuses what it must allow.
    NetRefused = "KS-NET-REFUSED",

    /// The signer of the document is none that the policy names, or is revoked.
    SgnSigner = "KS-SGN-SIGNER",
    /// The signature does not fit the document.
    SgnSignature = "KS-SGN-SIGNATURE",
    /// The document has expired.
    SgnExpired = "KS-SGN-EXPIRED",
    /// The document is issued in the future.
    SgnNotYet = "KS-SGN-NOT-YET",
    /// The document is older than one that was seen before, or another one with the same serial number.
    SgnSerial = "KS-SGN-SERIAL",
    /// The document is for another deployment.
    SgnDeployment = "KS-SGN-DEPLOYMENT",
    /// The document is of another kind.
    SgnKind = "KS-SGN-KIND",
    /// The document is larger than is allowed.
    SgnTooLarge = "KS-SGN-TOO-LARGE",
    /// The document is not of the documented form.
    SgnFormat = "KS-SGN-FORMAT",

    /// There is no release manifest that may be believed, and none was kept.
    IntNoManifest = "KS-INT-NO-MANIFEST",
    /// The release manifest ends within seven days.
    IntExpiring = "KS-INT-EXPIRING",
    /// The release was revoked.
    IntRevoked = "KS-INT-REVOKED",
    /// The release needs a newer version of the extension.
    IntExtension = "KS-INT-EXTENSION",
    /// A file is not what the release manifest lists.
    IntChanged = "KS-INT-CHANGED",
    /// A file is in no release of the manifest.
    IntUnlisted = "KS-INT-UNLISTED",
    /// A file that the manifest lists is not served.
    IntMissing = "KS-INT-MISSING",
    /// A file belongs to another release than the page.
    IntMixed = "KS-INT-MIXED",
    /// A file is used for something that it is not for.
    IntKind = "KS-INT-KIND",
    /// The deployment's settings are not those of the manifest.
    IntConfig = "KS-INT-CONFIG",
    /// A file of the deployment cannot be had, or not in time.
    IntUnreachable = "KS-INT-UNREACHABLE",
    /// The deployment sends to another address for a file.
    IntRedirect = "KS-INT-REDIRECT",
    /// A file is much larger than listed, or than any file may be.
    IntTooLarge = "KS-INT-TOO-LARGE",
    /// The release's archive cannot be read.
    IntArchive = "KS-INT-ARCHIVE",
    /// The release has more files or bytes than any release has.
    IntBomb = "KS-INT-BOMB",
    /// The release has a link or a special file.
    IntLink = "KS-INT-LINK",
    /// The release has a file with a path that is not allowed.
    IntPath = "KS-INT-PATH",
    /// The release has two files of one path.
    IntDuplicate = "KS-INT-DUPLICATE",
    /// An HTML document of the release cannot be listed.
    IntDocument = "KS-INT-DOCUMENT",
    /// It is no release of Element Web.
    IntRelease = "KS-INT-RELEASE",

    /// There is no policy.
    PolAbsent = "KS-POL-ABSENT",
    /// The policy has a field that does not exist.
    PolField = "KS-POL-FIELD",
    /// A field of the policy has the wrong type.
    PolType = "KS-POL-TYPE",
    /// A field of the policy has a value it cannot have.
    PolValue = "KS-POL-VALUE",
    /// Fields of the policy contradict each other.
    PolCombination = "KS-POL-COMBINATION",

    /// A saved record is of a newer version, or damaged.
    StoRecord = "KS-STO-RECORD",
    /// The browser's storage failed.
    StoFailed = "KS-STO-FAILED",
    /// No host permission for the deployment.
    ExtPermission = "KS-EXT-PERMISSION",
}

/// Implemented by every error of the core: its stable code.
pub trait Coded {
    /// The code of this error.
    fn code(&self) -> Code;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_well_formed() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let text = code.as_str();
            assert!(seen.insert(text), "{text} twice");
            let parts: Vec<_> = text.splitn(3, '-').collect();
            assert!(parts.len() == 3 && parts[0] == "KS" && parts[1].len() == 3, "{text}");
            assert_eq!(serde_json::to_value(code).unwrap(), text);
            assert_eq!(serde_json::from_value::<Code>(text.into()).unwrap(), *code);
        }
        serde_json::from_value::<Code>("KS-DIR-OTHER".into()).unwrap_err();
    }
}
