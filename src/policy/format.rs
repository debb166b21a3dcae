//! What the texts of a policy must look like, field by field.

use super::values::{
    AddressTemplate, ArmoredCertificate, BaseUrl, ContactUrl, DocumentUrl, HostName, KeyServerUrl, ServerName,
};
use crate::ident::{EmailAddress, Origin, UserId};

/// One field's format.
pub(super) struct Format {
    /// The field, `[]` for the items of a list.
    pub(super) field: &'static str,
    /// What is expected, for the person.
    pub(super) expected: &'static str,
    /// Whether a text is that.
    pub(super) accepts: fn(&str) -> bool,
}

const fn row(field: &'static str, expected: &'static str, accepts: fn(&str) -> bool) -> Format {
    Format { field, expected, accepts }
}

const USER_ID: &str = "a Matrix ID such as @ann:example.org";

fn certificate(text: &str) -> bool {
    ArmoredCertificate::parse(text).is_ok_and(|certificate| certificate.is_readable())
}

fn user_id(text: &str) -> bool {
    UserId::parse(text).is_ok()
}

fn document_url(text: &str) -> bool {
    DocumentUrl::parse(text).is_ok()
}

/// Every text field that is no enumeration.
pub(super) const FORMATS: &[Format] = &[
    row(
        "deployments[].origin",
        "a web origin such as https://chat.example.org (https, or http on a loopback host; no path)",
        |text| Origin::parse(text).is_ok(),
    ),
    row("deployments[].homeserver", BaseUrl::EXPECTED, |text| BaseUrl::parse(text).is_ok()),
    row("deployments[].server_name", ServerName::EXPECTED, |text| ServerName::parse(text).is_ok()),
    row("account.user_id", USER_ID, user_id),
    row("account.address", "an e-mail address such as ann@example.org", |text| EmailAddress::parse(text).is_ok()),
    row("roster.url", DocumentUrl::EXPECTED, document_url),
    row("roster.signers[]", ArmoredCertificate::EXPECTED, certificate),
    row("directory.hkp[]", KeyServerUrl::EXPECTED, |text| KeyServerUrl::parse(text).is_ok()),
    row("directory.address_template", AddressTemplate::EXPECTED, |text| AddressTemplate::parse(text).is_ok()),
    row("directory.certifiers[]", ArmoredCertificate::EXPECTED, certificate),
    row("escrow.certificates[]", ArmoredCertificate::EXPECTED, certificate),
    row("restore.gnupg_host", HostName::EXPECTED, |text| HostName::parse(text).is_ok()),
    row("pins.exempt[]", USER_ID, user_id),
    row("pins.ask_it", ContactUrl::EXPECTED, |text| ContactUrl::parse(text).is_ok()),
    row("integrity.url", DocumentUrl::EXPECTED, document_url),
    row("integrity.signers[]", ArmoredCertificate::EXPECTED, certificate),
    row("evidence.url", BaseUrl::EXPECTED, |text| BaseUrl::parse(text).is_ok()),
];

/// The format of a field, if it has one.
pub(super) fn of(field: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.field == field)
}
