//! What the command says to an administrator about a code: what it means, and what to do.

use keystead_core::error::Code;

/// The words for a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Words {
    /// What is the case.
    pub(crate) sentence: &'static str,
    /// What to do.
    pub(crate) next: &'static str,
}

/// The words for a code; a general sentence for those that the command does not meet.
pub(crate) fn words(code: Code) -> Words {
    TABLE.iter().find(|(known, _, _)| *known == code).map_or(
        Words { sentence: "This went wrong.", next: "Look the code up in the documentation." },
        |(_, sentence, next)| Words { sentence, next },
    )
}

const TABLE: &[(Code, &str, &str)] = &[
    (
        Code::PinEvidence,
        "This is not a log as Keystead wrote it.",
        "Get the file again from the browser that wrote it; if it stays so, the log was altered.",
    ),
    (
        Code::DirNone,
        "No source has a certificate for this address.",
        "Have the person publish their certificate, or add the source that has it.",
    ),
    (
        Code::DirUnreachable,
        "A source of the directory cannot be reached.",
        "Check its URL and the network, then try again.",
    ),
    (Code::DirTimeout, "A source of the directory did not answer in time.", "Check the server, then try again."),
    (
        Code::DirTooLarge,
        "A source answered more than 1 MiB.",
        "Check that the URL is a key server's, and the certificate for signatures by thousands of strangers.",
    ),
    (Code::DirRedirect, "A source sent us to another host.", "Name that host itself, if it is yours."),
    (
        Code::DirNotAKey,
        "A source answered something that is no OpenPGP certificate.",
        "Check that the URL is a key server's, or the Web Key Directory's files.",
    ),
    (
        Code::DirWrongAddress,
        "No valid user ID of the certificate has this address.",
        "Have the person add a user ID with this address, or correct the address.",
    ),
    (Code::DirRevoked, "The certificate is revoked.", "Have the person make and publish a new one."),
    (Code::DirExpired, "The certificate has expired.", "Have the person extend it and publish it again."),
    (
        Code::DirNoEncryption,
        "The certificate has no key that may encrypt.",
        "Have the person add an encryption subkey and publish the certificate again.",
    ),
    (
        Code::DirWeak,
        "The certificate rests on algorithms that are no longer safe.",
        "Have the person make a new one: Ed25519 with Cv25519, or RSA with 3072 bits or more.",
    ),
    (
        Code::DirFingerprint,
        "What was found for this address is another certificate than the list names.",
        "Compare the fingerprint with the person, face to face, before you change the list.",
    ),
    (
        Code::DirAmbiguous,
        "Several certificates are acceptable for this address.",
        "Put the fingerprint into the list, or have the person revoke those no longer used.",
    ),
    (
        Code::DirUncertified,
        "None of the certifiers vouches for the user ID.",
        "Check the certificate with the person, certify it, and publish it again.",
    ),
    (
        Code::DirCertificationOld,
        "A certifier vouched for the user ID, but too long ago.",
        "Check the certificate with the person, certify it again, and publish it.",
    ),
    (Code::DirNoAddress, "No e-mail address is known for the account.", "Add it to the list."),
    (
        Code::DirConfirm,
        "The pair of account and address is the homeserver's word only.",
        "Put the person into the roster, or the pair into the policy.",
    ),
    (
        Code::DirOtherAccount,
        "The account that logged in is not the one whose name was typed.",
        "Find out whether the homeserver renames accounts at login.",
    ),
    (
        Code::DirEscrow,
        "An escrow certificate of the policy is expired, revoked, or cannot be encrypted to.",
        "Put a current one into the policy; keystead policy check says what is wrong with it.",
    ),
    (
        Code::DirContradiction,
        "Different addresses are given for this account: by the list, the policy's account, or the roster.",
        "Correct the one that is wrong.",
    ),
    (
        Code::SgnSigner,
        "The document is not signed by any of the signers, or the signer is expired or revoked.",
        "Give the signer's current certificate, or have the document signed by the right key.",
    ),
    (
        Code::SgnSignature,
        "The signature does not fit the document.",
        "Fetch both files again; if that does not help, sign the document again.",
    ),
    (Code::SgnExpired, "The document has expired.", "Build and sign a new one with a greater serial number."),
    (Code::SgnNotYet, "The document is issued in the future.", "Check the clocks of both machines."),
    (
        Code::SgnSerial,
        "The document is older than one that was seen before, or another one with the same serial number.",
        "Publish the newest one; a new document needs a greater serial number.",
    ),
    (Code::SgnDeployment, "The document is for another deployment.", "Build one for this deployment."),
    (Code::SgnKind, "The document is of another kind.", "Check the file's name and where it came from."),
    (Code::SgnTooLarge, "The document is larger than 8 MiB.", "Split the deployment, or leave out people who left."),
    (
        Code::SgnFormat,
        "The document or its signature is not of the documented form.",
        "Build it with keystead; the form is in docs/signed-documents.md.",
    ),
    (
        Code::IntNoManifest,
        "There is no release manifest that may be believed.",
        "Put a signed one where integrity.url says.",
    ),
    (Code::IntExpiring, "The release manifest ends within seven days.", "Build, sign and publish the next one."),
    (Code::IntRevoked, "The release was revoked.", "Serve another release that the manifest allows."),
    (
        Code::IntExtension,
        "The release needs a newer version of the extension.",
        "Roll the extension out first, or build the manifest with a lower --minimum-extension.",
    ),
    (
        Code::IntChanged,
        "The file is not what the manifest lists.",
        "Compare it with the release; if the change is yours, put the file into the --site folder and sign anew.",
    ),
    (
        Code::IntUnlisted,
        "The file is in no release of the manifest.",
        "Remove it from the server, or put it into the --site folder and sign anew.",
    ),
    (Code::IntMissing, "A file that the manifest lists is not served.", "Put the whole release onto the server."),
    (
        Code::IntMixed,
        "The file belongs to another release than the page.",
        "Serve each release as a whole; load balancers must not mix them.",
    ),
    (Code::IntKind, "A file is used for something that it is not for.", "Find out who loads it."),
    (
        Code::IntConfig,
        "The settings are not those of the manifest.",
        "Correct config.json; if the change is yours, put it into the --site folder and sign anew.",
    ),
    (
        Code::IntUnreachable,
        "The server did not give the file, or not in time.",
        "Check the URL, the server and the network, then try again.",
    ),
    (
        Code::IntRedirect,
        "The server sends to another host.",
        "Serve every file from the deployment's own origin, or give the URL that it is really served at.",
    ),
    (
        Code::IntTooLarge,
        "The file is larger than the manifest lists.",
        "Compare it with the release; it may be another file altogether.",
    ),
    (
        Code::IntArchive,
        "The release's archive cannot be read.",
        "Fetch it again; it must be a tar archive, plain or compressed with gzip.",
    ),
    (
        Code::IntBomb,
        "The release has more files or bytes than any release has.",
        "Fetch it again from its makers: at most 20000 files, 64 MiB each, 1 GiB in all.",
    ),
    (
        Code::IntLink,
        "The release has a link or a special file.",
        "Take a release that consists of ordinary files and folders.",
    ),
    (
        Code::IntPath,
        "The release has a file with a path that is not allowed.",
        "Fetch it again from its makers: paths are relative, without .. and without \\ % ? #.",
    ),
    (Code::IntDuplicate, "The release has two files of one path.", "Fetch it again from its makers."),
    (
        Code::IntDocument,
        "An HTML document of the release cannot be listed.",
        "Take a release whose documents are UTF-8, with plain scripts only.",
    ),
    (
        Code::IntRelease,
        "This is no release of Element Web.",
        "Give the folder, or the archive, that has Element Web's index.html and version.",
    ),
    (
        Code::GpgNoHost,
        "gpgme-json, which connects browsers with GnuPG, is not there.",
        "Install it (docs/native-host.md says where it comes from), or give its path.",
    ),
    (Code::GpgPermission, "Native messaging is not permitted.", "Grant the extension the permission nativeMessaging."),
    (Code::GpgDied, "gpgme-json ended before it had answered.", "Run it by hand to see why."),
    (Code::GpgTimeout, "gpgme-json did not answer in time.", "Run it by hand to see why."),
    (Code::GpgTooLarge, "gpgme-json answered more than is allowed.", "Check that this is gpgme-json."),
    (Code::GpgAnswer, "The program does not speak gpgme-json's protocol.", "Give the path of gpgme-json itself."),
    (Code::GpgCancelled, "The PIN or passphrase was not entered.", "Try again."),
    (Code::GpgPin, "The PIN or passphrase was wrong, or the card is locked.", "Try again with the right one."),
    (Code::GpgWrongKey, "GnuPG has secret keys, but not the one that is needed.", "Import it, or connect its card."),
    (Code::GpgNoSecretKey, "GnuPG has no secret key.", "Import it, or connect its card."),
    (Code::GpgMessage, "The message is damaged, or not encrypted to a certificate.", "Fetch it again."),
    (
        Code::GpgAgent,
        "GnuPG's agent does not run, or cannot ask for the PIN.",
        "Check agent-program, and pinentry-program in gpg-agent.conf.",
    ),
    (
        Code::GpgCard,
        "The smartcard is missing or does not answer.",
        "Connect it; gpg --card-status shows what is wrong.",
    ),
    (Code::GpgUnusableKey, "The secret key cannot sign.", "Extend it, or use a current one."),
    (Code::GpgNoGnupg, "gpgme-json finds no GnuPG, or one that is too old.", "Install GnuPG 2.2 or later."),
    (Code::GpgFailed, "GnuPG reported an error.", "Run gpg by hand to see why."),
    (Code::PolAbsent, "There is no policy.", "Write one; docs/policy.md has examples."),
    (Code::PolField, "The policy has a field that does not exist.", "Correct its name, or take it out."),
    (Code::PolType, "A field of the policy has the wrong type.", "Correct it; docs/policy.md has every field."),
    (
        Code::PolValue,
        "A field of the policy has a value it cannot have.",
        "Correct it; docs/policy.md has every field.",
    ),
    (Code::PolCombination, "Fields of the policy contradict each other.", "Change one of them."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_that_the_command_can_meet_has_words_of_its_own() {
        for code in Code::ALL {
            let met = ["KS-DIR-", "KS-SGN-", "KS-INT-", "KS-POL-", "KS-GPG-", "KS-PIN-EVIDENCE"]
                .iter()
                .any(|prefix| code.as_str().starts_with(prefix));
            let rows = TABLE.iter().filter(|(known, _, _)| known == code).count();
            assert_eq!(rows, usize::from(met), "{}", code.as_str());
        }
        for (_, sentence, next) in TABLE {
            assert!(sentence.ends_with('.') && next.ends_with('.'), "{sentence} {next}");
        }
    }
}
